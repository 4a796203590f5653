// The state of a call, and its data in invitations.
import { BeckonError, Code } from './error.js';
import type { Link } from './link.js';
import type { Schemas } from './schema.js';

export type Media = 'video' | 'audio';

/** The phase of the call on this device. */
export type Phase =
  | 'idle' // no call
  | 'calling' // outgoing, no answer yet
  | 'ringing' // incoming
  | 'connecting' // answered, entering the room
  | 'connected' // media of this device and another user is connected
  | 'reconnecting'; // all others left without hanging up, or the room was lost: waiting for their return

/** The state of another user in a call. "in": the media of both is connected. */
export type Part = 'invited' | 'ringing' | 'accepted' | 'in' | 'left' | 'declined' | 'busy' | 'noAnswer' | 'cancelled';

/** A snapshot of a call. Each change makes a new object. */
export interface CallState {
  readonly phase: Phase;
  readonly inviteID: string;
  readonly roomID: string;
  readonly inviter: string;
  readonly groupID: string;
  readonly media: Media;
  /** The other users of the call and their states. */
  readonly people: Readonly<Record<string, Part>>;
  /** Server time at which ringing ends, in milliseconds; 0 = no limit. */
  readonly deadline: number;
  /**
   * Server time at which media was first connected to another user, in milliseconds; 0 = not yet. For display: records
   * have their own.
   */
  readonly since: number;
  /** Milliseconds since then in which no other user could be heard; the interruption that continues is not counted. */
  readonly paused: number;
  /** Server time at which the interruption that continues began, in milliseconds; 0 = none. */
  readonly pausedAt: number;
  /** The connections to the room of this user and the others in it, and of those who were lost. */
  readonly links: Readonly<Record<string, Link>>;
  /** True in the one tab of the browser that plays the ring tone. */
  readonly leader: boolean;
}

/** The users to call: one, or several, as members of a group. */
export type CallTarget = { groupID?: string | undefined } & (
  { userID: string; userIDs?: undefined } | { userID?: undefined; userIDs: string[] }
);

/** A call that continues: by its room, or its record. */
export type RunningCall = { media?: Media | undefined } & (
  { roomID: string; callID?: string | undefined } | { roomID?: undefined; callID: string }
);

/** The reason of the end of a call on this device. */
export type EndReason =
  | 'hangup' // this device hung up
  | 'remoteHangup' // the other side did, or a host closed the room
  | 'declined'
  | 'busy'
  | 'noAnswer' // from none of the invitees
  | 'cancelled' // by the caller
  | 'elsewhere' // answered or declined on another device or tab of this user
  | 'mediaLost' // audio and video of either side did not connect, or were lost for good; error: of this side
  | 'lost' // the server disconnected this device
  | 'failed'; // see error

export interface CallEvents {
  /** Any change of the call. */
  onCallState: CallState;
  /** An incoming call. */
  onIncomingCall: CallState;
  onCallEnded: { state: CallState; reason: EndReason; error?: Error };
  /** A camera or microphone is missing or not permitted. The call continues without it. */
  onDeviceError: { device: 'camera' | 'microphone'; error: Error };
}

/** The data field of a call's invitation. */
export interface CallData {
  call: 1;
  media: Media;
  join?: string; // a request to join the running call of this invitation
  line_busy?: string; // in a reject: busy, as in the original
}

export const idle = {
  phase: 'idle',
  inviteID: '',
  roomID: '',
  inviter: '',
  groupID: '',
  media: 'video',
  people: {},
  deadline: 0,
  since: 0,
  paused: 0,
  pausedAt: 0,
  links: {},
} as const;

/** Reports whether this user and another hear each other. */
export function talking({ phase, people, links }: CallState, me: string): boolean {
  const together = Object.entries(people).some(([u, part]) => part === 'in' && links[u] !== 'lost');
  return phase === 'connected' && links[me] !== 'lost' && together;
}

/** Returns the time for which users of a call heard each other, in milliseconds: now is the server's time. */
export function talkTime({ since, paused, pausedAt }: CallState, now: number): number {
  return since ? Math.max(0, (pausedAt || now) - since - paused) : 0;
}

export function readData(data: string): CallData | undefined {
  try {
    const d = JSON.parse(data) as CallData;
    return d && d.call === 1 && (d.media === 'video' || d.media === 'audio') ? d : undefined;
  } catch {
    return undefined;
  }
}

/** Returns the data of a reject with reason busy, in the original's form and ours. */
export function busyData(media: Media): string {
  return JSON.stringify({ call: 1, media, line_busy: 'line_busy' } satisfies CallData);
}

/** Reports whether a reject means busy, by its reason, or by its data as clients of the original send it. */
export function saysBusy(reason = '', data = ''): boolean {
  if (reason === 'busy') return true;
  try {
    const d = JSON.parse(data) as { line_busy?: unknown; data?: { message?: unknown } } | null;
    return Boolean(d?.line_busy) || d?.data?.message === 'lineBusy';
  } catch {
    return data === 'line_busy';
  }
}

/** Returns the end reason for a refused answer. */
export function endReasonOf(err: unknown): EndReason {
  const won = (err as BeckonError).won;
  if (!won) return (err as BeckonError).code === Code.Over ? 'cancelled' : 'failed';
  return won.action === 'cancel' ? 'cancelled' : won.action === 'timeout' ? 'noAnswer' : 'elsewhere';
}

/** Returns the end reason for the reason of a call's record. */
export function endReasonOfRecord(reason: Schemas['Call']['reason']): EndReason {
  return reason === 'left' || reason === 'mediaLost' ? 'mediaLost' : 'remoteHangup';
}

export function partOf(p: Schemas['Invitee']): Part {
  switch (p.state) {
    case 'accepted':
      return 'accepted';
    case 'rejected':
      return saysBusy(p.reason, p.data) ? 'busy' : 'declined';
    case 'timedOut':
      return 'noAnswer';
    case 'cancelled':
      return 'cancelled';
    default:
      return p.ringingAt ? 'ringing' : 'invited';
  }
}

/** Returns the states of the invitees of an invitation. */
export function partsOf(v: Schemas['Invitation']): Record<string, Part> {
  return Object.fromEntries((v.invitees ?? []).map((p) => [p.userID, partOf(p)]));
}

/** Ignores refusals by the server: the outcome arrives as events. Other errors are thrown. */
export function ignoreRefusal(err: unknown): undefined {
  if (err instanceof BeckonError) return undefined;
  throw err;
}

const every: Record<keyof CallEvents, 1> = { onCallState: 1, onIncomingCall: 1, onCallEnded: 1, onDeviceError: 1 };

export const callEvents: ReadonlySet<string> = new Set(Object.keys(every));

/**
 * Returns the other users for which a cancel or timeout ends an invitation that stays open for this user. No callback
 * is raised for it while this device rings.
 */
export function endedOthers(m: Schemas['Signaling'], me: string): string[] {
  return m.over || (m.actionType !== 2 && m.actionType !== 5) ? [] : (m.inviteeList ?? []).filter((u) => u !== me);
}

/** Returns the link of a user in a room. A room that the app brings may have none. */
export function linkOf(room: { link?: (userID: string) => Link }, userID: string): Link {
  return room.link?.(userID) ?? 'good';
}
