import { useEffect, useEffectEvent, useState, type ReactNode } from 'react';
import { BeckonError, Code } from 'beckon';
import { useLocal, useRemote } from '../call/tiles.js';
import { Messages } from '../chat/messages.js';
import { readScene } from '../chat/scene.js';
import type { TextKey } from '../text/text.js';
import { Name, UserAvatar } from '../ui/avatar.js';
import { Button, IconButton } from '../ui/button.js';
import { Icon } from '../ui/icon.js';
import { useEvent, useObservable, useSession, useText } from '../use.js';
import { isPresent, useGroupRoom } from './group-room.js';
import { Stage } from './stage.js';

const places = 8;
const requestTimeout = 60; // seconds

interface MicRequest {
  inviteID: string;
  userID: string;
}

/** A chat room with seats: users request the microphone, the host grants and revokes it. */
export function ChatRoom({ groupID }: { groupID: string }): ReactNode {
  const s = useSession();
  const t = useText();
  useObservable(s.groups);
  const groupRoom = useGroupRoom(groupID, false, true);
  const { room, roomID, host, owner, speakers } = groupRoom;
  const local = useLocal(room);
  const remote = useRemote(room);
  const [requests, setRequests] = useState<MicRequest[]>([]);
  const [ownRequest, setOwnRequest] = useState('');
  const [busy, setBusy] = useState(false);
  const doing = async (failure: TextKey, f: () => Promise<unknown>): Promise<void> => {
    setBusy(true);
    await f().catch((err: unknown) => s.fail(err, failure));
    setBusy(false);
  };
  useEffect(() => {
    // open requests from before this page entered
    if (groupRoom.entry !== 'in') return;
    s.client.listInvitations().then(
      ({ invitations }) => {
        for (const v of invitations) {
          if (v.roomID !== roomID || readScene(v.data).scene !== 'mic') continue;
          if (v.inviter === s.me) setOwnRequest(v.inviteID);
          else
            setRequests((w) => [
              ...w.filter((x) => x.userID !== v.inviter),
              { inviteID: v.inviteID, userID: v.inviter },
            ]);
        }
      },
      () => undefined,
    );
  }, [s, roomID, groupRoom.entry]);
  const cancelOnPageHide = useEffectEvent(() => {
    if (ownRequest) s.client.callOnLeave('cancel', { inviteID: ownRequest });
  });
  const cancelOnLeave = useEffectEvent(() => {
    if (ownRequest) s.client.cancel({ inviteID: ownRequest }).catch(() => undefined); // may be answered already
  });
  useEffect(() => {
    const hide = (): void => cancelOnPageHide();
    addEventListener('pagehide', hide);
    return () => {
      removeEventListener('pagehide', hide);
      cancelOnLeave();
    };
  }, [s, roomID]);
  const drop = (id: string): void => setRequests((w) => w.filter((x) => x.inviteID !== id));
  useEvent('onSignaling', (m) => {
    if (m.actionType === 1 && m.to === s.me && m.roomID === roomID && readScene(m.data).scene === 'mic') {
      setRequests((w) => [...w.filter((x) => x.userID !== m.inviter), { inviteID: m.inviteID, userID: m.inviter }]);
    }
  });
  useEvent('onInvitationCancelled', (e) => drop(e.inviteID));
  useEvent('onInvitationTimeout', (e) => {
    drop(e.inviteID);
    if (e.inviteID === ownRequest) {
      setOwnRequest('');
      s.toast(t('room.hostSilent'));
    }
  });
  useEvent('onInvitationHandledByOtherDevice', (e) => drop(e.inviteID));
  useEvent('onInviteeAccepted', (e) => {
    if (e.inviteID === ownRequest) setOwnRequest('');
  }); // the microphone opens on onRoomRoleChanged
  useEvent('onInviteeRejected', (e) => {
    if (e.inviteID === ownRequest) {
      setOwnRequest('');
      s.toast(t('room.hostDeclined'));
    }
  });

  const requestMic = (): Promise<void> =>
    doing('failed.askHost', async () => {
      const { inviteID } = await s.client.invite({
        invitee: owner,
        roomID,
        timeout: requestTimeout,
        data: JSON.stringify({ scene: 'mic' }),
      });
      setOwnRequest(inviteID);
    });
  const cancelRequest = (): Promise<void> =>
    doing('failed.cancelRequest', async () => {
      setOwnRequest('');
      await s.client.cancel({ inviteID: ownRequest }).catch((err: unknown) => {
        if (!(err instanceof BeckonError && err.code === Code.Over)) throw err;
      });
    });
  const grant = (w: MicRequest, yes: boolean): Promise<void> =>
    doing('failed.answerSent', async () => {
      drop(w.inviteID);
      if (yes && !(await isPresent(room, w.userID))) {
        await s.client.reject({ inviteID: w.inviteID, reason: 'left' });
        return s.toast(t('room.hasLeft', { name: s.name(w.userID) }));
      }
      await (yes ? s.client.accept({ inviteID: w.inviteID }) : s.client.reject({ inviteID: w.inviteID }));
      if (yes) await groupRoom.reload();
    });
  const set = (userID: string, role: 'audience' | 'none'): Promise<void> =>
    doing('failed.change', async () => {
      await s.client.setRoomRole({ roomID, userID, role });
      await groupRoom.reload();
    });
  const speaks = speakers.includes(s.me);
  const listeners = [...remote.users, s.me].filter((u) => !speakers.includes(u));
  return (
    <Stage
      title={s.group(groupID)?.name || groupID}
      subtitle={t('room')}
      groupRoom={groupRoom}
      blocked={remote.blocked}
      lost={remote.lost}
      onBack={() => s.navigate({ kind: 'room' })}
      side={<Messages conversationID={`group_${groupID}`} />}
      bar={
        <>
          {speaks && (
            <IconButton
              icon="mic"
              off={!local.microphone}
              label={t(local.microphone ? 'room.mute' : 'room.unmute')}
              onClick={() => void doing('failed.microphone', () => room.muteLocalAudio(local.microphone))}
            />
          )}
          {!speaks && !ownRequest && (
            <Button tone="main" disabled={busy || groupRoom.entry !== 'in'} onClick={() => void requestMic()}>
              <Icon name="mic" /> {t('room.askMicrophone')}
            </Button>
          )}
          {ownRequest && <Button onClick={() => void cancelRequest()}>{t('room.cancelRequest')}</Button>}
          {speaks && !host && (
            <Button disabled={busy} onClick={() => void doing('failed.seat', groupRoom.releaseMicrophone)}>
              {t('room.leaveSeat')}
            </Button>
          )}
        </>
      }
    >
      <ul className="seats" aria-label={t('room.seats')}>
        {Array.from({ length: Math.max(places, speakers.length) }, (_, i) => {
          const u = speakers[i];
          const here = u !== undefined && (u === s.me || remote.users.includes(u));
          const open = u === s.me ? local.microphone : u !== undefined && remote.audios.includes(u);
          if (!u)
            return (
              <li key={`free${i}`} className="seat free">
                <span className="circle">
                  <Icon name="sofa" />
                </span>
                <span className="label muted">{t('room.free')}</span>
              </li>
            );
          return (
            <li
              key={u}
              data-seat={u}
              data-mic={open ? 'on' : 'off'}
              className={`seat ${(remote.volumes[u] ?? 0) > 5 ? 'speaks' : ''} ${here ? '' : 'away'}`}
            >
              <span className="circle">
                <UserAvatar userID={u} size={72} />
              </span>
              <span className="label">
                <Icon name="mic" off={!open} />
                <Name id={u} />
                {u === owner && <em> {t('room.host')}</em>}
              </span>
              {host && u !== s.me && (
                <span className="acts">
                  <Button tone="quiet" disabled={busy} onClick={() => void set(u, 'audience')}>
                    {t('room.toListeners')}
                  </Button>
                  <Button tone="quiet" disabled={busy} onClick={() => void set(u, 'none')}>
                    {t('members.remove')}
                  </Button>
                </span>
              )}
            </li>
          );
        })}
      </ul>
      {host && (
        <section className="panel" aria-label={t('room.requests')} aria-live="polite">
          <h2>
            {t('room.microphoneRequests')} {requests.length > 0 && <span className="count">{requests.length}</span>}
          </h2>
          {requests.length === 0 && <p className="muted">{t('room.noRequests')}</p>}
          <ul className="rows">
            {requests.map((w) => (
              <li key={w.inviteID} data-request={w.userID}>
                <UserAvatar userID={w.userID} size={36} />
                <span>
                  <Name id={w.userID} />
                </span>
                <Button disabled={busy} onClick={() => void grant(w, false)}>
                  {t('notNow')}
                </Button>
                <Button tone="go" disabled={busy} onClick={() => void grant(w, true)}>
                  {t('room.grant')}
                </Button>
              </li>
            ))}
          </ul>
        </section>
      )}
      <section className="panel" aria-label={t('room.listeners')}>
        <h2>
          {t('room.listening')} <span className="count">{listeners.length}</span>
        </h2>
        <ul className="crowd">
          {listeners.map((u) => (
            <li key={u}>
              <UserAvatar userID={u} size={40} />
              <span>
                <Name id={u} />
              </span>
            </li>
          ))}
        </ul>
      </section>
    </Stage>
  );
}
