import { useEffect, useRef, useState, type ReactNode } from 'react';
import { talkTime, type CallState, type EndReason, type Part } from 'beckon/call';
import type { Session } from './session.js';
import { ring } from './sounds.js';
import { PickMembers } from './people.js';
import { useLocal, useRemote, Tile } from './tiles.js';
import { Button, Dialog, IconButton, Name, UserAvatar } from './ui.js';
import { duration, useCall, useName, useNow, useSession } from './use.js';

const endings: Record<Exclude<EndReason, 'mediaLost'>, string> = {
  hangup: '',
  remoteHangup: 'The call has ended',
  declined: 'The call was declined',
  busy: 'They are in another call',
  noAnswer: 'Nobody answered',
  cancelled: 'The call was cancelled',
  elsewhere: 'Handled on another device',
  lost: 'The connection to the server was lost',
  failed: 'The call could not be made',
};

/** Shows why audio and video failed on this side, or that they were lost, with a button that calls again. */
function mediaLost(s: Session, { people, links, groupID, media }: CallState, error: Error | undefined): void {
  const all = Object.keys(people);
  const lost = all.filter((u) => links[u] === 'lost');
  const users = lost.length ? lost : all;
  const again = (): void => {
    const to = groupID ? { groupID, userIDs: users } : { userIDs: users };
    s.calls.call(to, { media }).catch((err: unknown) => s.fail(err, 'The call could not be made'));
  };
  if (error) return s.toast(error.message, 'error');
  const names = users.map((u) => s.name(u)).join(', ');
  s.toast(`The connection to ${names} was lost`, 'error', { label: 'call again', run: again });
}

/** The layer of the call, above the page: an incoming call, or the call in progress. */
export function CallLayer(): ReactNode {
  const s = useSession();
  const call = useCall();
  const [problem, setProblem] = useState('');
  useEffect(
    () =>
      s.calls.on('onCallEnded', ({ reason, error, state }) => {
        setProblem('');
        if (reason === 'mediaLost') return mediaLost(s, state, error);
        const text = endings[reason] + (reason === 'failed' && error ? `: ${error.message}` : '');
        if (text && !(state.phase === 'ringing' && reason === 'elsewhere'))
          s.toast(text, reason === 'failed' || reason === 'lost' ? 'error' : 'info');
      }),
    [s],
  );
  useEffect(
    () =>
      s.calls.on('onDeviceError', ({ device, error }) => {
        const name = device === 'camera' ? 'camera' : 'microphone';
        setProblem(
          (before) =>
            (before ? `${before} ` : '') +
            (error.name === 'NotAllowedError'
              ? `The browser may not use your ${name}. Allow it in the address bar; you are in the call without it.`
              : error.name === 'NotFoundError'
                ? `No ${name} was found. You are in the call without it.`
                : `Your ${name} does not work: ${error.message}. You are in the call without it.`),
        );
      }),
    [s],
  );
  const outgoing = call.phase === 'calling' && Object.values(call.people).includes('ringing');
  useTone(outgoing ? 'outgoing' : undefined);
  if (call.phase === 'idle') return null;
  if (call.phase === 'ringing') return <Incoming call={call} />;
  return <Ongoing call={call} problem={problem} onSeen={() => setProblem('')} />;
}

function useTone(tone: 'incoming' | 'outgoing' | undefined): void {
  useEffect(() => (tone ? ring(tone) : undefined), [tone]);
}

function Incoming({ call }: { call: CallState }): ReactNode {
  const s = useSession();
  const callerName = useName(call.inviter);
  const now = useNow(true);
  const { ref, error, stop, ask } = usePreview(call.media === 'video' && call.leader);
  const left = call.deadline ? Math.max(0, Math.ceil((call.deadline - now) / 1000)) : 0;
  const others = Object.keys(call.people).length - 1;
  const group = s.group(call.groupID)?.name;
  const [quiet, setQuiet] = useState(false); // Escape silences; it does not decline
  useTone(call.leader && !quiet ? 'incoming' : undefined);
  const fail = (err: unknown): void => {
    if (!(err instanceof Error && 'won' in err && err.won)) s.fail(err, 'The call could not be answered');
  };
  return (
    <Dialog
      title={call.media === 'audio' ? 'Voice call' : 'Video call'}
      className="incoming"
      onClose={() => setQuiet(true)}
    >
      <div className="caller">
        <span className="pulse">
          <UserAvatar userID={call.inviter} size={88} />
        </span>
        <h3>{callerName}</h3>
        <p className="muted">
          {call.groupID ? `calls you and ${others} more${group ? ` in ${group}` : ''}` : 'calls you'}
          {left > 0 && <> · {left} s</>}
        </p>
      </div>
      {call.media === 'video' && (
        <div className="preview">
          <video ref={ref} autoPlay playsInline muted aria-label="Your camera" />
          {error && <p>{error}</p>}
          {ask && <Button onClick={ask}>See yourself first</Button>}
        </div>
      )}
      <div className="actions">
        <Button tone="stop" onClick={() => void s.calls.decline()}>
          Decline
        </Button>
        {call.media === 'video' && (
          <Button
            onClick={() => {
              stop();
              s.calls.answer({ media: 'audio' }).catch(fail);
            }}
          >
            Voice only
          </Button>
        )}
        <Button
          tone="go"
          onClick={() => {
            stop();
            s.calls.answer().catch(fail);
          }}
        >
          Accept
        </Button>
      </div>
    </Dialog>
  );
}

/**
 * A preview of the own camera on an incoming call. It starts by itself only if the permission is granted already, so
 * that no permission dialog opens while the call rings.
 */
function usePreview(on: boolean): {
  ref: React.RefObject<HTMLVideoElement | null>;
  error: string;
  stop: () => void;
  ask: (() => void) | undefined;
} {
  const ref = useRef<HTMLVideoElement>(null);
  const stream = useRef<MediaStream>(undefined);
  const [error, setError] = useState('');
  const [may, setMay] = useState(false);
  useEffect(() => {
    if (on)
      navigator.permissions?.query({ name: 'camera' }).then(
        (p) => setMay(p.state === 'granted'),
        () => undefined,
      );
  }, [on]);
  const stop = (): void => {
    for (const t of stream.current?.getTracks() ?? []) t.stop();
  };
  useEffect(() => {
    if (!on || !may) return;
    let gone = false;
    if (!navigator.mediaDevices) {
      setError('This page may not use a camera: it is not served over https.');
      return;
    }
    navigator.mediaDevices.getUserMedia({ video: { width: 640 } }).then(
      (m) => {
        stream.current = m;
        if (gone) return stop();
        if (ref.current) ref.current.srcObject = m;
      },
      (err: Error) =>
        setError(
          err.name === 'NotFoundError'
            ? 'No camera was found. You can answer without.'
            : 'The browser may not use your camera. You can answer without.',
        ),
    );
    return () => {
      gone = true;
      stop();
    };
  }, [on, may]);
  return { ref, error, stop, ask: may ? undefined : () => setMay(true) };
}

const parts: Partial<Record<Part, string>> = {
  invited: 'calling…',
  ringing: 'ringing…',
  accepted: 'coming in…',
  declined: 'declined',
  busy: 'in another call',
  noAnswer: 'no answer',
  left: 'left',
  cancelled: 'cancelled',
};

function Ongoing({ call, problem, onSeen }: { call: CallState; problem: string; onSeen: () => void }): ReactNode {
  const s = useSession();
  const { room } = s.calls;
  const local = useLocal(room);
  const remote = useRemote(room);
  const now = useNow(call.since > 0);
  const [adding, setAdding] = useState(false);
  const whole = useRef<HTMLElement>(null);
  useEffect(() => whole.current?.focus(), []);
  const fail =
    (device: string) =>
    (err: unknown): void => {
      if (!(err instanceof Error && err.name === 'NotAllowedError' && device === 'The screen'))
        s.fail(err, `${device} could not be switched`);
    };
  const waiting = Object.entries(call.people).filter(([u, p]) => p !== 'in' && !remote.users.includes(u));
  const two = Object.keys(call.people).length === 1;
  useEffect(() => {
    const key = (e: KeyboardEvent): void => {
      if (
        e.target instanceof HTMLInputElement ||
        e.target instanceof HTMLTextAreaElement ||
        e.ctrlKey ||
        e.metaKey ||
        e.altKey ||
        !room.roomID
      )
        return;
      if (e.key === 'm') room.muteLocalAudio(room.microphone).catch(fail('The microphone'));
      if (e.key === 'v') (room.camera ? room.closeCamera() : room.openCamera()).catch(fail('The camera'));
    };
    addEventListener('keydown', key);
    return () => removeEventListener('keydown', key);
  });
  const left = call.phase === 'reconnecting' && room.roomID && !two && !remote.lost;
  const status = left
    ? 'Everybody has left'
    : call.phase === 'reconnecting'
      ? 'Reconnecting…'
      : call.since
        ? duration(talkTime(call, now))
        : call.phase === 'connecting'
          ? 'Connecting…'
          : waiting.some(([, p]) => p === 'ringing')
            ? 'Ringing…'
            : 'Calling…';
  const tiles = [
    ...remote.screens.map((u) => ({ u, source: 'screen' as const })),
    ...remote.users.map((u) => ({ u, source: 'camera' as const })),
  ];
  return (
    <section ref={whole} tabIndex={-1} className="ongoing" aria-label="Call" data-phase={call.phase}>
      <header>
        <div>
          <h2>
            {two ? <Name id={Object.keys(call.people)[0] ?? ''} /> : (s.group(call.groupID)?.name ?? 'Group call')}
          </h2>
          <span className="timer" role="timer" aria-live="off">
            {status}
          </span>
        </div>
        {remote.blocked && (
          <Button tone="main" onClick={() => void room.resumeAudio()}>
            Play the sound
          </Button>
        )}
      </header>
      {problem && (
        <div className="banner error" role="alert">
          <span>{problem}</span>
          <Button onClick={onSeen}>All right</Button>
        </div>
      )}
      {remote.lost && (
        <div className="banner lost" role="alert">
          The connection to the room is lost. Trying again…
        </div>
      )}
      <div
        className={`tiles n${Math.min(9, tiles.length + (two ? 0 : waiting.length) + 1)} ${two && tiles.length === 1 ? 'pair' : ''}`}
      >
        {tiles.map(({ u, source }) => (
          <Tile
            key={`${u}/${source}`}
            room={room}
            userID={u}
            source={source}
            shown={source === 'screen' || remote.videos.includes(u)}
            muted={!remote.audios.includes(u)}
            volume={remote.volumes[u] ?? 0}
            link={call.links[u]}
            paused={remote.paused.received.includes(u)}
          />
        ))}
        {tiles.length === 0 || !two
          ? waiting.map(([u, p]) => (
              <div key={u} className="tile waiting">
                <UserAvatar userID={u} size={72} />
                <span className="label">
                  <Name id={u} /> · {p === 'left' && call.links[u] === 'lost' ? 'connection lost' : (parts[p] ?? '')}
                </span>
              </div>
            ))
          : null}
        <Tile
          room={room}
          userID={s.me}
          own
          shown={local.camera}
          muted={!local.microphone}
          volume={remote.volumes[s.me] ?? 0}
          link={call.links[s.me]}
          paused={remote.paused.sent}
        />
      </div>
      <div className="controls" role="toolbar" aria-label="Call controls">
        <IconButton
          icon="mic"
          off={!local.microphone}
          label={local.microphone ? 'Mute the microphone (m)' : 'Open the microphone (m)'}
          aria-pressed={!local.microphone}
          onClick={() => room.muteLocalAudio(local.microphone).catch(fail('The microphone'))}
        />
        <IconButton
          icon="video"
          off={!local.camera}
          label={local.camera ? 'Turn the camera off (v)' : 'Turn the camera on (v)'}
          aria-pressed={!local.camera}
          onClick={() => (local.camera ? room.closeCamera() : room.openCamera()).catch(fail('The camera'))}
        />
        <IconButton
          icon="screen"
          label={local.screen ? 'Stop sharing the screen' : 'Share the screen'}
          aria-pressed={local.screen}
          tone={local.screen ? 'main' : 'quiet'}
          onClick={() => (local.screen ? room.stopScreenShare() : room.startScreenShare()).catch(fail('The screen'))}
        />
        {call.media === 'video' && two && (
          <IconButton
            icon="sound"
            label="Go on with voice only"
            onClick={() => s.calls.switchToAudio().catch(fail('The camera'))}
          />
        )}
        {call.groupID && <IconButton icon="add" label="Invite more people" onClick={() => setAdding(true)} />}
        <IconButton
          icon="phone"
          label="Hang up"
          tone="stop"
          className="round stop hang"
          onClick={() => void s.calls.hangup()}
        />
      </div>
      {adding && (
        <PickMembers
          groupID={call.groupID}
          ofCall
          title="Invite more people"
          action="Invite"
          without={remote.users}
          onPick={(users) => s.calls.inviteMore(users).catch((err: unknown) => s.fail(err, 'Nobody was invited'))}
          onClose={() => setAdding(false)}
        />
      )}
    </section>
  );
}
