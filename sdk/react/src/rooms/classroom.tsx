import { useCallback, useEffect, useRef, useState, type ReactNode } from 'react';
import { BeckonError, Code } from 'beckon';
import type { Schemas } from 'beckon';
import { OwnTile, Tile, useLocal, useRemote } from '../call/tiles.js';
import { Messages } from '../chat/messages.js';
import { readScene } from '../chat/scene.js';
import type { TextKey } from '../text/text.js';
import { Name, UserAvatar } from '../ui/avatar.js';
import { Button, IconButton } from '../ui/button.js';
import { Dialog } from '../ui/dialog.js';
import { Icon } from '../ui/icon.js';
import { useEvent, useNow, useObservable, useSession, useText } from '../use.js';
import { useGroupRoom } from './group-room.js';
import { Stage } from './stage.js';

/** A question to the class, and the users with a raised hand. */
interface Hands {
  inviteID: string;
  raised: string[];
  mine: 'asked' | 'raised' | 'no' | 'none';
  open: boolean;
  deadline: number;
}

const questionTimeout = 120; // seconds

/** A classroom: students raise hands on a question of the teacher, visible to all, and the teacher lets one speak. */
export function Classroom({ groupID }: { groupID: string }): ReactNode {
  const s = useSession();
  const t = useText();
  useObservable(s.groups);
  const groupRoom = useGroupRoom(groupID, true);
  const { room, roomID, host } = groupRoom;
  const local = useLocal(room);
  const remote = useRemote(room);
  const [hands, setHands] = useState<Hands>();
  const [asked, setAsked] = useState('');
  const [busy, setBusy] = useState(false);
  const [offered, setOffered] = useState('');
  const now = useNow(hands?.open ?? false);

  const read = useCallback(
    async (inviteID: string) => {
      const { invitation: v, mine } = await s.client.getInvitation({ inviteID, limit: 1000 });
      if (!v) return;
      if (v.over && v.counts.cancelled > 0) return setHands(undefined); // lowered by the teacher
      const raised = (v.invitees ?? [])
        .filter((p) => p.state === 'accepted')
        .sort((a, b) => (a.decidedAt ?? 0) - (b.decidedAt ?? 0))
        .map((p) => p.userID);
      setHands({
        inviteID,
        raised,
        open: !v.over,
        deadline: v.deadline ?? 0,
        mine: !mine ? 'none' : mine.state === 'open' ? 'asked' : mine.state === 'accepted' ? 'raised' : 'no',
      });
    },
    [s],
  );

  useEffect(() => {
    // restore the last question
    s.client
      .getHistoryMessageList({ conversationID: `group_${groupID}`, limit: 100 })
      .then(({ messages }) => {
        for (const { event } of messages) {
          const m = event as Schemas['Signaling'];
          const { scene } = m.type === 'signaling' && m.actionType === 1 ? readScene(m.data) : {};
          if (scene === 'lower') return undefined;
          if (scene === 'hands') return read(m.inviteID);
        }
        return undefined;
      })
      .catch((err: unknown) => s.fail(err, 'failed.class'));
  }, [s, groupID, read]);

  useEffect(() => {
    // an open request to speak from before this page entered
    s.client.listInvitations().then(
      ({ invitations }) => {
        const v = invitations.find(
          (x) =>
            x.groupID === groupID &&
            x.inviter !== s.me &&
            readScene(x.data).scene === 'speak' &&
            x.invitees?.some((p) => p.userID === s.me && p.state === 'open'),
        );
        if (v) setAsked(v.inviteID);
      },
      () => undefined,
    );
  }, [s, groupID]);
  useEvent('onReceiveNewInvitation', (e) => {
    if (e.groupID !== groupID) return;
    const { scene } = readScene(e.data);
    if (scene === 'hands') void read(e.inviteID).catch(() => undefined);
    if (scene === 'lower') setHands(undefined);
    if (scene === 'speak' && e.inviteeList.includes(s.me)) setAsked(e.inviteID);
  });
  useEvent('onInviteeAccepted', (e) => {
    const { scene } = readScene(e.invitationData); // hands or speak
    if (e.groupID !== groupID || scene !== 'hands') return;
    if (e.inviteID !== hands?.inviteID) return void read(e.inviteID).catch(() => undefined);
    setHands(
      (h) =>
        h && {
          ...h,
          open: h.open && !e.over,
          raised: h.raised.includes(e.invitee) ? h.raised : [...h.raised, e.invitee],
        },
    );
  });
  useEvent('onInviteeRejected', (e) => {
    if (host && e.inviteID === offered) s.toast(t('class.declinedTurn', { name: s.name(e.invitee) }));
    if (e.over) setHands((h) => (h?.inviteID === e.inviteID ? { ...h, open: false } : h));
  });
  useEvent('onInvitationCancelled', (e) => {
    if (e.over) setHands((h) => (h?.inviteID === e.inviteID ? undefined : h));
    setAsked((a) => (a === e.inviteID ? '' : a));
  });
  useEvent('onInvitationTimeout', (e) => {
    setHands((h) => (h?.inviteID === e.inviteID ? { ...h, open: false, mine: h.mine === 'asked' ? 'no' : h.mine } : h));
    setAsked((a) => (a === e.inviteID ? '' : a));
    if (host && e.inviteID === offered) s.toast(t('class.noAnswer'));
  });
  useEvent('onInvitationHandledByOtherDevice', (e) => {
    setAsked((a) => (a === e.inviteID ? '' : a));
    if (e.inviteID === hands?.inviteID) void read(e.inviteID);
  });

  // A hand goes down when its turn is over.
  const speaking = useRef<readonly string[]>([]);
  useEffect(() => {
    if (groupRoom.entry !== 'in') return;
    const finished = speaking.current.filter((u) => !groupRoom.speakers.includes(u));
    speaking.current = groupRoom.speakers;
    if (finished.length) setHands((h) => h && { ...h, raised: h.raised.filter((u) => !finished.includes(u)) });
  }, [groupRoom.entry, groupRoom.speakers]);

  const doing = async (failure: TextKey, f: () => Promise<unknown>): Promise<void> => {
    setBusy(true);
    await f().catch((err: unknown) => s.fail(err, failure));
    setBusy(false);
  };
  const ask = (): Promise<void> =>
    doing('failed.ask', async () => {
      const { inviteID } = await s.client.inviteInGroup({
        groupID,
        everyone: true,
        timeout: questionTimeout,
        data: JSON.stringify({ scene: 'hands' }),
      });
      setHands({ inviteID, raised: [], mine: 'none', open: true, deadline: s.client.now() + questionTimeout * 1000 });
    });
  const lower = (): Promise<void> =>
    doing('failed.lower', async () => {
      if (!hands) return;
      const over = (err: unknown): boolean => err instanceof BeckonError && err.code === Code.Over;
      const cancelled =
        hands.open &&
        (await s.client.cancel({ inviteID: hands.inviteID }).then(
          () => true,
          (err: unknown) => {
            if (!over(err)) throw err;
            return false;
          },
        ));
      // After the last answer the invitation is over and cannot be cancelled: a notice lowers the hands.
      if (!cancelled)
        await s.client.inviteInGroup({
          groupID,
          everyone: true,
          notice: true,
          data: JSON.stringify({ scene: 'lower' }),
        });
      setHands(undefined);
    });
  const raise = (up: boolean): Promise<void> =>
    doing('failed.answerSent', async () => {
      if (!hands) return;
      const { over } = await (up
        ? s.client.accept({ inviteID: hands.inviteID })
        : s.client.reject({ inviteID: hands.inviteID }));
      setHands(
        (h) =>
          h && {
            ...h,
            open: h.open && !over,
            mine: up ? 'raised' : 'no',
            raised: up && !h.raised.includes(s.me) ? [...h.raised, s.me] : h.raised,
          },
      );
    });
  const letSpeak = (userID: string): Promise<void> =>
    doing('failed.letSpeak', async () => {
      const { inviteID } = await s.client.inviteInGroup({
        groupID,
        inviteeList: [userID],
        roomID,
        timeout: 30,
        data: JSON.stringify({ scene: 'speak' }),
      });
      setOffered(inviteID);
    });
  const takeBack = (userID: string): Promise<void> =>
    doing('failed.microphone', async () => {
      await s.client.setRoomRole({ roomID, userID, role: 'audience' });
      await groupRoom.reload();
    });
  const answer = (yes: boolean): Promise<void> =>
    doing('failed.answerSent', async () => {
      const inviteID = asked;
      setAsked('');
      if (!yes) return s.client.reject({ inviteID });
      await s.client.accept({ inviteID });
      await groupRoom.speak();
      return groupRoom.reload();
    });
  const students = groupRoom.speakers.filter((u) => u !== groupRoom.owner);
  const teacher = groupRoom.owner;
  const left = hands?.open && hands.deadline ? Math.max(0, Math.ceil((hands.deadline - now) / 1000)) : 0;
  return (
    <Stage
      title={s.group(groupID)?.name || groupID}
      subtitle={t('class')}
      groupRoom={groupRoom}
      blocked={remote.blocked}
      lost={remote.lost}
      onBack={() => s.navigate({ kind: 'class' })}
      side={<Messages conversationID={`group_${groupID}`} />}
      bar={
        <>
          {local.microphone || groupRoom.speakers.includes(s.me) ? (
            <IconButton
              icon="mic"
              off={!local.microphone}
              label={t(local.microphone ? 'room.mute' : 'room.unmute')}
              onClick={() => void doing('failed.microphone', () => room.muteLocalAudio(local.microphone))}
            />
          ) : null}
          {host && (
            <IconButton
              icon="video"
              off={!local.camera}
              label={t(local.camera ? 'room.cameraOff' : 'room.cameraOn')}
              onClick={() => void doing('failed.camera', () => (local.camera ? room.closeCamera() : room.openCamera()))}
            />
          )}
          {host && (
            <IconButton
              icon="screen"
              tone={local.screen ? 'main' : 'quiet'}
              label={t(local.screen ? 'call.stopShare' : 'call.share')}
              onClick={() =>
                void doing('failed.screen', () => (local.screen ? room.stopScreenShare() : room.startScreenShare()))
              }
            />
          )}
          {host && !hands?.open && (
            <Button tone="main" disabled={busy} onClick={() => void ask()}>
              <Icon name="hand" /> {t('class.ask')}
            </Button>
          )}
          {host && hands && (
            <Button disabled={busy} onClick={() => void lower()}>
              {t('class.lower')}
            </Button>
          )}
          {!host && hands?.mine === 'asked' && hands.open && (
            <>
              <Button tone="go" disabled={busy} onClick={() => void raise(true)}>
                <Icon name="hand" /> {t('class.raise')}
              </Button>
              <Button disabled={busy} onClick={() => void raise(false)}>
                {t('notNow')}
              </Button>
            </>
          )}
          {!host && students.includes(s.me) && (
            <Button onClick={() => void doing('failed.microphone', groupRoom.releaseMicrophone)}>
              {t('class.finished')}
            </Button>
          )}
        </>
      }
    >
      <div className={`teaching ${remote.screens.length ? 'shared' : ''}`}>
        {remote.screens.map((u) => (
          <Tile key={`${u}/screen`} room={room} userID={u} source="screen" shown muted={false} volume={0} />
        ))}
        {teacher &&
          (teacher === s.me ? (
            <OwnTile room={room} local={local} remote={remote} link={remote.links[s.me]} />
          ) : (
            <Tile
              room={room}
              userID={teacher}
              shown={remote.videos.includes(teacher)}
              muted={!remote.audios.includes(teacher)}
              volume={remote.volumes[teacher] ?? 0}
              link={remote.links[teacher]}
              paused={remote.paused.received.includes(teacher)}
            />
          ))}
      </div>
      <div className="desk">
        <section aria-label={t('class.speaking')} className="panel">
          <h2>{t('class.speaking')}</h2>
          {students.length === 0 && <p className="muted">{t('class.onlyTeacher')}</p>}
          <ul className="rows">
            {students.map((u) => (
              <li key={u} data-speaker={u} className={(remote.volumes[u] ?? 0) > 5 ? 'speaks' : ''}>
                <UserAvatar userID={u} size={36} />
                <span>
                  <Name id={u} />
                </span>
                <Icon name="mic" off={u === s.me ? !local.microphone : !remote.audios.includes(u)} />
                {host && (
                  <Button tone="quiet" onClick={() => void takeBack(u)}>
                    {t('class.endTurn')}
                  </Button>
                )}
              </li>
            ))}
          </ul>
        </section>
        <section aria-label={t('class.hands')} className="panel" aria-live="polite">
          <h2>
            {t('class.hands')} {hands && <span className="count">{hands.raised.length}</span>}{' '}
            {left > 0 && <span className="muted">{t('secondsLeft', { count: left })}</span>}
          </h2>
          {!hands && <p className="muted">{t(host ? 'class.hostHint' : 'class.studentHint')}</p>}
          {hands && hands.raised.length === 0 && (
            <p className="muted">{t(hands.open ? 'class.waiting' : 'class.noHands')}</p>
          )}
          <ol className="rows">
            {hands?.raised.map((u) => (
              <li key={u} data-hand={u}>
                <UserAvatar userID={u} size={36} />
                <span>
                  <Name id={u} />
                </span>
                <Icon name="hand" />
                {host &&
                  !groupRoom.speakers.includes(u) &&
                  (remote.users.includes(u) ? (
                    <Button tone="main" disabled={busy} onClick={() => void letSpeak(u)}>
                      {t('class.letSpeak')}
                    </Button>
                  ) : (
                    <span className="muted">{t('class.notHere')}</span>
                  ))}
              </li>
            ))}
          </ol>
        </section>
      </div>
      {asked && (
        <Dialog title={t('class.turn')} onClose={() => void answer(false)}>
          <p>{t('class.turnText')}</p>
          <div className="actions">
            <Button onClick={() => void answer(false)}>{t('notNow')}</Button>
            <Button tone="go" autoFocus onClick={() => void answer(true)}>
              {t('class.speak')}
            </Button>
          </div>
        </Dialog>
      )}
    </Stage>
  );
}
