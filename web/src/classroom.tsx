import { useCallback, useEffect, useState, type ReactNode } from 'react';
import { BeckonError, Code } from 'beckon';
import { Messages } from './messages.js';
import { readScene } from './history.js';
import { Stage } from './stage.js';
import { useGroupRoom } from './group-room.js';
import { useLocal, useRemote, Tile } from './tiles.js';
import { Button, Dialog, Icon, IconButton, Name, UserAvatar } from './ui.js';
import { go, useEvent, useNow, useSession, useObservable } from './use.js';
import type { Schemas } from 'beckon';

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
      .catch((err: unknown) => s.fail(err, 'The class could not be read'));
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
    if (host && e.inviteID === offered) s.toast(`${s.name(e.invitee)} does not want to speak now`);
    if (e.over) setHands((h) => (h?.inviteID === e.inviteID ? { ...h, open: false } : h));
  });
  useEvent('onInvitationCancelled', (e) => {
    if (e.over) setHands((h) => (h?.inviteID === e.inviteID ? undefined : h));
    setAsked((a) => (a === e.inviteID ? '' : a));
  });
  useEvent('onInvitationTimeout', (e) => {
    setHands((h) => (h?.inviteID === e.inviteID ? { ...h, open: false, mine: h.mine === 'asked' ? 'no' : h.mine } : h));
    setAsked((a) => (a === e.inviteID ? '' : a));
    if (host && e.inviteID === offered) s.toast('No answer');
  });
  useEvent('onInvitationHandledByOtherDevice', (e) => {
    setAsked((a) => (a === e.inviteID ? '' : a));
    if (e.inviteID === hands?.inviteID) void read(e.inviteID);
  });

  const doing = async (failure: string, f: () => Promise<unknown>): Promise<void> => {
    setBusy(true);
    await f().catch((err: unknown) => s.fail(err, failure));
    setBusy(false);
  };
  const ask = (): Promise<void> =>
    doing('The class could not be asked', async () => {
      const { inviteID } = await s.client.inviteInGroup({
        groupID,
        everyone: true,
        timeout: questionTimeout,
        data: JSON.stringify({ scene: 'hands' }),
      });
      setHands({ inviteID, raised: [], mine: 'none', open: true, deadline: s.client.now() + questionTimeout * 1000 });
    });
  const lower = (): Promise<void> =>
    doing('The hands could not be lowered', async () => {
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
    doing('The answer did not arrive', async () => {
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
    doing('They could not be asked to speak', async () => {
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
    doing('The microphone could not be closed', async () => {
      await s.client.setRoomRole({ roomID, userID, role: 'audience' });
      await groupRoom.reload();
    });
  const answer = (yes: boolean): Promise<void> =>
    doing('The answer did not arrive', async () => {
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
      subtitle="Classroom"
      groupRoom={groupRoom}
      blocked={remote.blocked}
      lost={remote.lost}
      onBack={() => go('class')}
      side={<Messages conversationID={`group_${groupID}`} />}
      bar={
        <>
          {local.microphone || groupRoom.speakers.includes(s.me) ? (
            <IconButton
              icon="mic"
              off={!local.microphone}
              label={local.microphone ? 'Mute your microphone' : 'Open your microphone'}
              onClick={() => void doing('The microphone', () => room.muteLocalAudio(local.microphone))}
            />
          ) : null}
          {host && (
            <IconButton
              icon="video"
              off={!local.camera}
              label={local.camera ? 'Turn your camera off' : 'Turn your camera on'}
              onClick={() => void doing('The camera', () => (local.camera ? room.closeCamera() : room.openCamera()))}
            />
          )}
          {host && (
            <IconButton
              icon="screen"
              tone={local.screen ? 'main' : 'quiet'}
              label={local.screen ? 'Stop sharing the screen' : 'Share the screen'}
              onClick={() =>
                void doing('The screen', () => (local.screen ? room.stopScreenShare() : room.startScreenShare()))
              }
            />
          )}
          {host && !hands?.open && (
            <Button tone="main" disabled={busy} onClick={() => void ask()}>
              <Icon name="hand" /> Ask for raised hands
            </Button>
          )}
          {host && hands && (
            <Button disabled={busy} onClick={() => void lower()}>
              Lower all hands
            </Button>
          )}
          {!host && hands?.mine === 'asked' && hands.open && (
            <>
              <Button tone="go" disabled={busy} onClick={() => void raise(true)}>
                <Icon name="hand" /> Raise hand
              </Button>
              <Button disabled={busy} onClick={() => void raise(false)}>
                Not now
              </Button>
            </>
          )}
          {!host && students.includes(s.me) && (
            <Button onClick={() => void doing('The microphone', groupRoom.releaseMicrophone)}>I have finished</Button>
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
            <Tile
              room={room}
              userID={s.me}
              own
              shown={local.camera}
              muted={!local.microphone}
              volume={remote.volumes[s.me] ?? 0}
              link={remote.links[s.me]}
              paused={remote.paused.sent}
            />
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
        <section aria-label="Speaking" className="panel">
          <h2>Speaking</h2>
          {students.length === 0 && <p className="muted">Only the teacher is here.</p>}
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
                    End turn
                  </Button>
                )}
              </li>
            ))}
          </ul>
        </section>
        <section aria-label="Raised hands" className="panel" aria-live="polite">
          <h2>
            Raised hands {hands && <span className="count">{hands.raised.length}</span>}{' '}
            {left > 0 && <span className="muted">{left} s left</span>}
          </h2>
          {!hands && (
            <p className="muted">
              {host
                ? 'Ask the class, and see here who wants to speak.'
                : 'When the teacher asks, raise your hand here.'}
            </p>
          )}
          {hands && hands.raised.length === 0 && (
            <p className="muted">{hands.open ? 'Waiting for raised hands…' : 'No hands are raised.'}</p>
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
                      Let speak
                    </Button>
                  ) : (
                    <span className="muted">not here</span>
                  ))}
              </li>
            ))}
          </ol>
        </section>
      </div>
      {asked && (
        <Dialog title="Your turn" onClose={() => void answer(false)}>
          <p>The teacher asks you to speak. Your microphone will open for the whole class.</p>
          <div className="actions">
            <Button onClick={() => void answer(false)}>Not now</Button>
            <Button tone="go" autoFocus onClick={() => void answer(true)}>
              Speak
            </Button>
          </div>
        </Dialog>
      )}
    </Stage>
  );
}
