// The call in progress: the tiles of its users, and the controls. It covers the page, or is a small window on it.
import { useEffect, useRef, useState, type ReactNode } from 'react';
import { talkTime, type CallState, type Part } from 'beckon/call';
import { AddToCall } from '../people/add-to-call.js';
import { PickMembers } from '../people/pick-members.js';
import type { TextKey } from '../text/text.js';
import { Name, UserAvatar } from '../ui/avatar.js';
import { Button, IconButton } from '../ui/button.js';
import { duration, useNow, useObservable, useSession, useText } from '../use.js';
import { DevicePicker } from './devices.js';
import { OwnTile, Tile, useLocal, useRemote } from './tiles.js';

const parts: Partial<Record<Part, TextKey>> = {
  invited: 'part.invited',
  ringing: 'part.ringing',
  accepted: 'part.accepted',
  declined: 'part.declined',
  busy: 'part.busy',
  noAnswer: 'part.noAnswer',
  left: 'part.left',
  cancelled: 'part.cancelled',
};

/** The call in progress. */
export function Ongoing({
  call,
  problems,
  onSeen,
}: {
  call: CallState;
  /** Texts about devices that do not work. */
  problems: readonly string[];
  onSeen: () => void;
}): ReactNode {
  const s = useSession();
  const t = useText();
  const { room } = s.calls;
  const local = useLocal(room);
  const remote = useRemote(room);
  const now = useNow(call.since > 0);
  const floating = useObservable(s.floating);
  const [dialog, setDialog] = useState<'add' | 'devices'>();
  const whole = useRef<HTMLElement>(null);
  useEffect(() => {
    if (!floating) whole.current?.focus();
  }, [floating]);
  const fail =
    (failure: 'failed.microphone' | 'failed.camera' | 'failed.screen') =>
    (err: unknown): void => {
      if (!(err instanceof Error && err.name === 'NotAllowedError' && failure === 'failed.screen'))
        s.fail(err, failure);
    };
  const microphone = (): void => {
    room.muteLocalAudio(room.microphone).catch(fail('failed.microphone'));
  };
  const camera = (): void => {
    (room.camera ? room.closeCamera() : room.openCamera()).catch(fail('failed.camera'));
  };
  const waiting = Object.entries(call.people).filter(([u, p]) => p !== 'in' && !remote.users.includes(u));
  const two = Object.keys(call.people).length === 1;
  useEffect(() => {
    const key = (e: KeyboardEvent): void => {
      const typing = e.target instanceof HTMLInputElement || e.target instanceof HTMLTextAreaElement;
      if (typing || e.ctrlKey || e.metaKey || e.altKey || !room.roomID) return;
      if (e.key === 'm') microphone();
      if (e.key === 'v') camera();
    };
    addEventListener('keydown', key);
    return () => removeEventListener('keydown', key);
  });
  const others = [
    ...remote.screens.map((u) => ({ u, source: 'screen' as const })),
    ...remote.users.map((u) => ({ u, source: 'camera' as const })),
  ];
  // A shared screen is large; without one and with more than three users, the active speaker.
  const speaker = useSpeaker(remote.volumes, remote.users);
  const spotlight = remote.screens[0] ?? (others.length > 3 ? speaker : undefined);
  const ownScreen = local.screen;
  const size = others.length + (two ? 0 : waiting.length) + 1;
  const title = two ? (
    <Name id={Object.keys(call.people)[0] ?? ''} />
  ) : (
    (s.group(call.groupID)?.name ?? t('call.group'))
  );
  return (
    <section
      ref={whole}
      tabIndex={-1}
      className={`ongoing ${floating ? 'floating' : ''}`}
      aria-label={t('call')}
      data-phase={call.phase}
    >
      <header>
        <div>
          <h2>{title}</h2>
          <span className="timer" role="timer" aria-live="off">
            {statusOf(call, { now, lost: remote.lost, two, inRoom: Boolean(room.roomID), waiting }, t)}
          </span>
        </div>
        {remote.blocked && (
          <Button tone="main" onClick={() => void room.resumeAudio()}>
            {t('call.playSound')}
          </Button>
        )}
        <IconButton
          icon={floating ? 'grow' : 'shrink'}
          label={t(floating ? 'call.full' : 'call.float')}
          onClick={() => s.floating.set(!floating)}
        />
      </header>
      {problems.length > 0 && (
        <div className="banner error" role="alert">
          <span>{problems.join(' ')}</span>
          <Button onClick={onSeen}>{t('call.problemSeen')}</Button>
        </div>
      )}
      {remote.lost && (
        <div className="banner lost" role="alert">
          {t('room.lost')}
        </div>
      )}
      {ownScreen && (
        <div className="banner" role="status">
          <span>{t('call.youShare')}</span>
          <Button onClick={() => room.stopScreenShare().catch(fail('failed.screen'))}>{t('call.stopShare')}</Button>
        </div>
      )}
      <div
        className={`tiles n${Math.min(9, size)} ${two && others.length === 1 ? 'pair' : ''} ${spotlight ? 'spot' : ''}`}
      >
        {others.map(({ u, source }) => (
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
            large={u === spotlight && (source === 'screen' || !remote.screens.includes(u))}
          />
        ))}
        {others.length === 0 || !two
          ? waiting.map(([u, p]) => (
              <div key={u} className="tile waiting">
                <UserAvatar userID={u} size={72} />
                <span className="label">
                  <Name id={u} /> ·{' '}
                  {p === 'left' && call.links[u] === 'lost' ? t('part.lost') : t(parts[p] ?? 'part.left')}
                </span>
              </div>
            ))
          : null}
        <OwnTile room={room} local={local} remote={remote} link={call.links[s.me]} />
      </div>
      <div className="controls" role="toolbar" aria-label={t('call.controls')}>
        <IconButton
          icon="mic"
          off={!local.microphone}
          label={t(local.microphone ? 'call.mute' : 'call.unmute')}
          aria-pressed={!local.microphone}
          onClick={microphone}
        />
        <IconButton
          icon="video"
          off={!local.camera}
          label={t(local.camera ? 'call.cameraOff' : 'call.cameraOn')}
          aria-pressed={!local.camera}
          onClick={camera}
        />
        <IconButton
          icon="screen"
          label={t(local.screen ? 'call.stopShare' : 'call.share')}
          aria-pressed={local.screen}
          tone={local.screen ? 'main' : 'quiet'}
          onClick={() => (local.screen ? room.stopScreenShare() : room.startScreenShare()).catch(fail('failed.screen'))}
        />
        {call.media === 'video' && two && (
          <IconButton
            icon="sound"
            label={t('call.voiceOnly')}
            onClick={() => s.calls.switchToAudio().catch(fail('failed.camera'))}
          />
        )}
        <IconButton icon="gear" label={t('devices.pick')} onClick={() => setDialog('devices')} />
        <IconButton icon="add" label={t('call.addPeople')} onClick={() => setDialog('add')} />
        <IconButton
          icon="phone"
          label={t('call.hangUp')}
          tone="stop"
          className="round stop hang"
          onClick={() => void s.calls.hangup()}
        />
      </div>
      {dialog === 'devices' && <DevicePicker room={room} onClose={() => setDialog(undefined)} />}
      {dialog === 'add' &&
        (call.groupID ? (
          <PickMembers
            groupID={call.groupID}
            ofCall
            title={t('call.addPeople')}
            action={t('call.invite')}
            without={remote.users}
            onPick={(users) => s.calls.inviteMore(users).catch((err: unknown) => s.fail(err, 'failed.inviteMore'))}
            onClose={() => setDialog(undefined)}
          />
        ) : (
          <AddToCall without={Object.keys(call.people)} onClose={() => setDialog(undefined)} />
        ))}
    </section>
  );
}

/** Returns the text below the title. */
function statusOf(
  call: CallState,
  at: { now: number; lost: boolean; two: boolean; inRoom: boolean; waiting: [string, Part][] },
  t: ReturnType<typeof useText>,
): string {
  if (call.phase === 'reconnecting') return t(at.inRoom && !at.two && !at.lost ? 'call.allLeft' : 'call.reconnecting');
  if (call.since) return duration(talkTime(call, at.now));
  if (call.phase === 'connecting') return t('call.connecting');
  return t(at.waiting.some(([, p]) => p === 'ringing') ? 'call.ringing' : 'call.calling');
}

/** Returns the active speaker, or the last one. */
function useSpeaker(volumes: Record<string, number>, users: readonly string[]): string | undefined {
  const [last, set] = useState<string>();
  const loudest = users.reduce<string | undefined>(
    (best, u) => ((volumes[u] ?? 0) > Math.max(5, volumes[best ?? ''] ?? 0) ? u : best),
    undefined,
  );
  if (loudest && loudest !== last) set(loudest);
  return last && users.includes(last) ? last : users[0];
}
