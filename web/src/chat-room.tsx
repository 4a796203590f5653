import { useEffect, useEffectEvent, useState, type ReactNode } from 'react';
import { BeckonError, Code } from 'beckon';
import { Messages } from './messages.js';
import { readScene } from './history.js';
import { Stage } from './stage.js';
import { isPresent, useGroupRoom } from './group-room.js';
import { useLocal, useRemote } from './tiles.js';
import { Button, Icon, IconButton, Name, UserAvatar } from './ui.js';
import { go, useEvent, useSession, useObservable } from './use.js';

const places = 8;
const requestTimeout = 60; // seconds

interface MicRequest {
  inviteID: string;
  userID: string;
}

/** A chat room with seats: users request the microphone, the host grants and revokes it. */
export function ChatRoom({ groupID }: { groupID: string }): ReactNode {
  const s = useSession();
  useObservable(s.groups);
  const groupRoom = useGroupRoom(groupID, false, true);
  const { room, roomID, host, owner, speakers } = groupRoom;
  const local = useLocal(room);
  const remote = useRemote(room);
  const [requests, setRequests] = useState<MicRequest[]>([]);
  const [ownRequest, setOwnRequest] = useState('');
  const [busy, setBusy] = useState(false);
  const doing = async (failure: string, f: () => Promise<unknown>): Promise<void> => {
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
      s.toast('The host did not answer');
    }
  });
  useEvent('onInvitationHandledByOtherDevice', (e) => drop(e.inviteID));
  useEvent('onInviteeAccepted', (e) => {
    if (e.inviteID === ownRequest) setOwnRequest('');
  }); // the microphone opens on onRoomRoleChanged
  useEvent('onInviteeRejected', (e) => {
    if (e.inviteID === ownRequest) {
      setOwnRequest('');
      s.toast('The host said: not now');
    }
  });

  const requestMic = (): Promise<void> =>
    doing('The host could not be asked', async () => {
      const { inviteID } = await s.client.invite({
        invitee: owner,
        roomID,
        timeout: requestTimeout,
        data: JSON.stringify({ scene: 'mic' }),
      });
      setOwnRequest(inviteID);
    });
  const cancelRequest = (): Promise<void> =>
    doing('The request could not be cancelled', async () => {
      setOwnRequest('');
      await s.client.cancel({ inviteID: ownRequest }).catch((err: unknown) => {
        if (!(err instanceof BeckonError && err.code === Code.Over)) throw err;
      });
    });
  const grant = (w: MicRequest, yes: boolean): Promise<void> =>
    doing('The answer did not arrive', async () => {
      drop(w.inviteID);
      if (yes && !(await isPresent(room, w.userID))) {
        await s.client.reject({ inviteID: w.inviteID, reason: 'left' });
        return s.toast(`${s.name(w.userID)} has left`);
      }
      await (yes ? s.client.accept({ inviteID: w.inviteID }) : s.client.reject({ inviteID: w.inviteID }));
      if (yes) await groupRoom.reload();
    });
  const set = (userID: string, role: 'audience' | 'none'): Promise<void> =>
    doing('That could not be done', async () => {
      await s.client.setRoomRole({ roomID, userID, role });
      await groupRoom.reload();
    });
  const speaks = speakers.includes(s.me);
  const listeners = [...remote.users, s.me].filter((u) => !speakers.includes(u));
  return (
    <Stage
      title={s.group(groupID)?.name || groupID}
      subtitle="Chat room"
      groupRoom={groupRoom}
      blocked={remote.blocked}
      lost={remote.lost}
      onBack={() => go('lounge')}
      side={<Messages conversationID={`group_${groupID}`} />}
      bar={
        <>
          {speaks && (
            <IconButton
              icon="mic"
              off={!local.microphone}
              label={local.microphone ? 'Mute your microphone' : 'Open your microphone'}
              onClick={() => void doing('The microphone', () => room.muteLocalAudio(local.microphone))}
            />
          )}
          {!speaks && !ownRequest && (
            <Button tone="main" disabled={busy || groupRoom.entry !== 'in'} onClick={() => void requestMic()}>
              <Icon name="mic" /> Ask for the microphone
            </Button>
          )}
          {ownRequest && <Button onClick={() => void cancelRequest()}>Waiting for the host… Cancel</Button>}
          {speaks && !host && (
            <Button disabled={busy} onClick={() => void doing('The seat', groupRoom.releaseMicrophone)}>
              Leave the seat
            </Button>
          )}
        </>
      }
    >
      <ul className="seats" aria-label="Seats">
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
                <span className="label muted">free</span>
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
                {u === owner && <em> host</em>}
              </span>
              {host && u !== s.me && (
                <span className="acts">
                  <Button tone="quiet" disabled={busy} onClick={() => void set(u, 'audience')}>
                    Move to listeners
                  </Button>
                  <Button tone="quiet" disabled={busy} onClick={() => void set(u, 'none')}>
                    Remove
                  </Button>
                </span>
              )}
            </li>
          );
        })}
      </ul>
      {host && (
        <section className="panel" aria-label="Requests" aria-live="polite">
          <h2>Microphone requests {requests.length > 0 && <span className="count">{requests.length}</span>}</h2>
          {requests.length === 0 && <p className="muted">No requests.</p>}
          <ul className="rows">
            {requests.map((w) => (
              <li key={w.inviteID} data-request={w.userID}>
                <UserAvatar userID={w.userID} size={36} />
                <span>
                  <Name id={w.userID} />
                </span>
                <Button disabled={busy} onClick={() => void grant(w, false)}>
                  Not now
                </Button>
                <Button tone="go" disabled={busy} onClick={() => void grant(w, true)}>
                  Grant
                </Button>
              </li>
            ))}
          </ul>
        </section>
      )}
      <section className="panel" aria-label="Listeners">
        <h2>
          Listening <span className="count">{listeners.length}</span>
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
