import { useEffect, useEffectEvent, useState, type ReactNode } from 'react';
import { BeckonError, Code } from 'beckon';
import { Messages } from './chat.js';
import { readScene } from './history.js';
import { Stage } from './stage.js';
import { isIn, useStanding } from './standing.js';
import { useLocal, useRemote } from './tiles.js';
import { Button, Icon, IconButton, Name, PersonAvatar } from './ui.js';
import { go, useEvent, useSession, useStore } from './use.js';

const places = 8;
const askFor = 60; // seconds

interface Wish {
  inviteID: string;
  userID: string;
}

/** Seats with microphones: one asks for one, the host grants it and takes it back. */
export function Lounge({ groupID }: { groupID: string }): ReactNode {
  const s = useSession();
  useStore(s.groups);
  const standing = useStanding(groupID, false, true);
  const { room, roomID, host, owner, speakers } = standing;
  const local = useLocal(room);
  const remote = useRemote(room);
  const [wishes, setWishes] = useState<Wish[]>([]);
  const [mine, setMine] = useState('');
  const [busy, setBusy] = useState(false);
  const doing = async (what: string, f: () => Promise<unknown>): Promise<void> => {
    setBusy(true);
    await f().catch((err: unknown) => s.fail(err, what));
    setBusy(false);
  };
  useEffect(() => {
    // those who asked while this page was elsewhere
    if (standing.entry !== 'in') return;
    s.client.listInvitations().then(
      ({ invitations }) => {
        for (const v of invitations) {
          if (v.roomID !== roomID || readScene(v.data).scene !== 'mic') continue;
          if (v.inviter === s.me) setMine(v.inviteID);
          else
            setWishes((w) => [...w.filter((x) => x.userID !== v.inviter), { inviteID: v.inviteID, userID: v.inviter }]);
        }
      },
      () => undefined,
    );
  }, [s, roomID, standing.entry]);
  const cancelOnPageHide = useEffectEvent(() => {
    if (mine) s.client.callOnLeave('cancel', { inviteID: mine });
  });
  const cancelOnLeave = useEffectEvent(() => {
    if (mine) s.client.cancel({ inviteID: mine }).catch(() => undefined); // it may have been answered meanwhile
  });
  useEffect(() => {
    const hide = (): void => cancelOnPageHide();
    addEventListener('pagehide', hide);
    return () => {
      removeEventListener('pagehide', hide);
      cancelOnLeave();
    };
  }, [s, roomID]);
  const drop = (id: string): void => setWishes((w) => w.filter((x) => x.inviteID !== id));
  useEvent('onSignaling', (m) => {
    if (m.actionType === 1 && m.to === s.me && m.roomID === roomID && readScene(m.data).scene === 'mic') {
      setWishes((w) => [...w.filter((x) => x.userID !== m.inviter), { inviteID: m.inviteID, userID: m.inviter }]);
    }
  });
  useEvent('onInvitationCancelled', (e) => drop(e.inviteID));
  useEvent('onInvitationTimeout', (e) => {
    drop(e.inviteID);
    if (e.inviteID === mine) {
      setMine('');
      s.toast('The host did not answer');
    }
  });
  useEvent('onInvitationHandledByOtherDevice', (e) => drop(e.inviteID));
  useEvent('onInviteeAccepted', (e) => {
    if (e.inviteID === mine) setMine('');
  }); // onRoomRoleChanged opens the microphone
  useEvent('onInviteeRejected', (e) => {
    if (e.inviteID === mine) {
      setMine('');
      s.toast('The host said: not now');
    }
  });

  const ask = (): Promise<void> =>
    doing('The host could not be asked', async () => {
      const { inviteID } = await s.client.invite({
        invitee: owner,
        roomID,
        timeout: askFor,
        data: JSON.stringify({ scene: 'mic' }),
      });
      setMine(inviteID);
    });
  const unask = (): Promise<void> =>
    doing('The wish could not be taken back', async () => {
      setMine('');
      await s.client.cancel({ inviteID: mine }).catch((err: unknown) => {
        if (!(err instanceof BeckonError && err.code === Code.Over)) throw err;
      });
    });
  const grant = (w: Wish, yes: boolean): Promise<void> =>
    doing('The answer did not arrive', async () => {
      drop(w.inviteID);
      if (yes && !(await isIn(room, w.userID))) {
        await s.client.reject({ inviteID: w.inviteID, reason: 'left' });
        return s.toast(`${s.name(w.userID)} has left`);
      }
      await (yes ? s.client.accept({ inviteID: w.inviteID }) : s.client.reject({ inviteID: w.inviteID }));
      if (yes) await standing.reload();
    });
  const set = (userID: string, role: 'audience' | 'none'): Promise<void> =>
    doing('That could not be done', async () => {
      await s.client.setRoomRole({ roomID, userID, role });
      await standing.reload();
    });
  const speaks = speakers.includes(s.me);
  const listeners = [...remote.users, s.me].filter((u) => !speakers.includes(u));
  return (
    <Stage
      title={s.group(groupID)?.name || groupID}
      subtitle="Chat room"
      standing={standing}
      blocked={remote.blocked}
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
          {!speaks && !mine && (
            <Button tone="main" disabled={busy || standing.entry !== 'in'} onClick={() => void ask()}>
              <Icon name="mic" /> Ask for the microphone
            </Button>
          )}
          {mine && <Button onClick={() => void unask()}>Waiting for the host… take back</Button>}
          {speaks && !host && (
            <Button disabled={busy} onClick={() => void doing('The seat', standing.giveUp)}>
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
                <PersonAvatar userID={u} size={72} />
              </span>
              <span className="label">
                <Icon name="mic" off={!open} />
                <Name id={u} />
                {u === owner && <em> host</em>}
              </span>
              {host && u !== s.me && (
                <span className="acts">
                  <Button tone="quiet" disabled={busy} onClick={() => void set(u, 'audience')}>
                    Take back
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
          <h2>Who asks for the microphone {wishes.length > 0 && <span className="count">{wishes.length}</span>}</h2>
          {wishes.length === 0 && <p className="muted">Nobody at the moment.</p>}
          <ul className="rows">
            {wishes.map((w) => (
              <li key={w.inviteID} data-wish={w.userID}>
                <PersonAvatar userID={w.userID} size={36} />
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
              <PersonAvatar userID={u} size={40} />
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
