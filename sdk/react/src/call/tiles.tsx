// Video tiles, and the local and remote tracks of a room.
import { useEffect, useRef, useState, type ReactNode } from 'react';
import type { Link, Paused, Room } from 'beckon/room';
import type { TextKey } from '../text/text.js';
import { Name, UserAvatar } from '../ui/avatar.js';
import { Icon } from '../ui/icon.js';
import { useSession, useText } from '../use.js';

interface Local {
  camera: boolean;
  microphone: boolean;
  screen: boolean;
}

function localOf({ camera, microphone, screen }: Room): Local {
  return { camera, microphone, screen };
}

/** The tracks that this device sends. */
export function useLocal(room: Room): Local {
  const [local, set] = useState(() => localOf(room));
  useEffect(() => {
    const read = (): void => set(localOf(room));
    const offs = [
      room.on('onLocalChanged', set),
      room.on('onEnterRoom', read),
      room.on('onExitRoom', read),
      room.on('onRoleChanged', read),
    ];
    read();
    return () => offs.forEach((off) => off());
  }, [room]);
  return local;
}

interface Remote {
  users: string[];
  videos: string[];
  audios: string[];
  screens: string[];
  volumes: Record<string, number>;
  links: Record<string, Link>;
  paused: Paused;
  lost: boolean;
  blocked: boolean;
}

/** The state of a room before others are known. */
function nobody({ paused }: Room): Partial<Remote> {
  return { users: [], videos: [], audios: [], screens: [], links: {}, lost: false, paused };
}

/** The other users in the room and their tracks. */
export function useRemote(room: Room): Remote {
  const [r, set] = useState<Remote>(() => ({
    users: room.remoteUsers,
    videos: [],
    audios: [],
    screens: [],
    volumes: {},
    links: {},
    paused: room.paused,
    lost: false,
    blocked: false,
  }));
  useEffect(() => {
    const change = (f: (r: Remote) => Partial<Remote>): void => set((old) => ({ ...old, ...f(old) }));
    const put = (list: string[], u: string, on: boolean): string[] =>
      on ? [...list.filter((x) => x !== u), u] : list.filter((x) => x !== u);
    const offs = [
      room.on('onEnterRoom', () => change(() => nobody(room))),
      room.on('onExitRoom', () => change(() => ({ ...nobody(room), volumes: {} }))),
      room.on('onRemoteUserEnterRoom', ({ userID }) =>
        change((o) => ({ users: put(o.users, userID, true), links: { ...o.links, [userID]: room.link(userID) } })),
      ),
      room.on('onRemoteUserLeaveRoom', ({ userID }) =>
        change((o) => ({
          users: put(o.users, userID, false),
          videos: put(o.videos, userID, false),
          audios: put(o.audios, userID, false),
          screens: put(o.screens, userID, false),
        })),
      ),
      room.on('onUserVideoAvailable', ({ userID, available }) =>
        change((o) => ({ videos: put(o.videos, userID, available) })),
      ),
      room.on('onUserAudioAvailable', ({ userID, available }) =>
        change((o) => ({ audios: put(o.audios, userID, available) })),
      ),
      room.on('onUserSubStreamAvailable', ({ userID, available }) =>
        change((o) => ({ screens: put(o.screens, userID, available) })),
      ),
      room.on('onUserVoiceVolume', ({ volumes }) => change(() => ({ volumes }))),
      room.on('onLinkChanged', ({ userID, link }) => change((o) => ({ links: { ...o.links, [userID]: link } }))),
      room.on('onPicturesPaused', (paused) => change(() => ({ paused }))),
      room.on('onConnectionLost', () => change(() => ({ lost: true }))),
      room.on('onConnectionRecovery', () => change(() => ({ lost: false }))),
      room.on('onAudioBlocked', ({ blocked }) => change(() => ({ blocked }))),
    ];
    return () => offs.forEach((off) => off());
  }, [room]);
  return r;
}

/** Returns the text about a connection, in the label of a tile. */
function stateText(link: Link, paused: boolean): TextKey | undefined {
  if (link === 'lost') return 'part.lost';
  if (paused) return 'tile.paused';
  return link === 'weak' ? 'tile.weak' : undefined;
}

/** The video of a user, or the avatar without one. */
export function Tile({
  room,
  userID,
  source = 'camera',
  own = false,
  shown,
  muted,
  volume,
  link = 'good',
  paused = false,
  large = false,
}: {
  room: Room;
  userID: string;
  source?: 'camera' | 'screen';
  own?: boolean;
  shown: boolean;
  muted: boolean;
  volume: number;
  link?: Link | undefined;
  paused?: boolean | undefined;
  /** The tile is larger than the others. */
  large?: boolean;
}): ReactNode {
  const t = useText();
  const ref = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    const el = ref.current;
    if (!el || !shown || !room.roomID) return;
    if (own) room.startLocalPreview(el, source);
    else room.startRemoteView(userID, el, source);
    return () => {
      if (own) el.srcObject = null;
      else room.stopRemoteView(userID, el, source);
    };
  }, [room, userID, source, own, shown]);
  const state = stateText(link, paused);
  return (
    <div
      className={`tile ${own ? 'own' : ''} ${source} ${volume > 5 && link !== 'lost' ? 'speaks' : ''} link-${link} ${large ? 'large' : ''}`}
      data-user={userID}
      data-link={link}
    >
      {shown ? (
        <video ref={ref} autoPlay playsInline muted={own} data-source={source} className={own ? 'mirror' : ''} />
      ) : (
        <UserAvatar userID={userID} size={72} />
      )}
      <span className="label">
        {muted && source === 'camera' && <Icon name="mic" off />}
        <Name id={userID} />
        {source === 'screen' && ` · ${t('tile.screen')}`}
        {state && ` · ${t(state)}`}
      </span>
    </div>
  );
}

/** The tile of this user. */
export function OwnTile({
  room,
  local,
  remote,
  link,
}: {
  room: Room;
  local: Local;
  remote: Remote;
  link: Link | undefined;
}): ReactNode {
  const { me } = useSession();
  return (
    <Tile
      room={room}
      userID={me}
      own
      shown={local.camera}
      muted={!local.microphone}
      volume={remote.volumes[me] ?? 0}
      link={link}
      paused={remote.paused.sent}
    />
  );
}
