// What a call is, without a word about how it comes about.
import { BeckonError, Code } from './error.js';
import type { Schemas } from './schema.js';

export type Media = 'video' | 'audio';

/** Where a call stands on this device. */
export type Phase =
  | 'idle' // no call
  | 'calling' // this device calls, nobody has answered
  | 'ringing' // somebody calls this user
  | 'connecting' // answered; on the way into the room
  | 'connected' // somebody else is in the room
  | 'reconnecting'; // the other went without a word, or the room was lost: they may come back

/** What became of somebody in a call. */
export type Part = 'invited' | 'ringing' | 'accepted' | 'in' | 'left' | 'declined' | 'busy' | 'noAnswer' | 'cancelled';

/** A call as it stands. It is a new object at each change. */
export interface CallState {
  readonly phase: Phase;
  readonly inviteID: string;
  readonly roomID: string;
  readonly inviter: string;
  readonly groupID: string;
  readonly media: Media;
  /** Everybody else in it, and what became of them. */
  readonly people: Readonly<Record<string, Part>>;
  /** Server time until which it rings; 0 = without end. */
  readonly deadline: number;
  /** Server time since when somebody else is in the room; 0 = nobody yet. Shown only: the record's duration is the server's. */
  readonly since: number;
  /** Whether this tab is the one of its browser that plays the ring tone. */
  readonly leader: boolean;
}

/** Why a call ended on this device. */
export type EndReason =
  | 'hangup' // this device hung up
  | 'remoteHangup' // the other did, or a host closed the room
  | 'declined'
  | 'busy'
  | 'noAnswer' // by all who were asked
  | 'cancelled' // by the caller
  | 'elsewhere' // another device or tab of this user took or refused it
  | 'lost' // nobody came back, or the media server is gone
  | 'failed'; // see error

export interface CallEvents {
  /** Every change. */
  onCallState: CallState;
  /** Somebody calls. */
  onIncomingCall: CallState;
  onCallEnded: { state: CallState; reason: EndReason; error?: Error };
  /** No camera, no microphone, or no permission to use it: the call goes on without. */
  onDeviceError: { device: 'camera' | 'microphone'; error: Error };
}

/** What the data of a call's invitation says. */
export interface CallData {
  call: 1;
  media: Media;
  join?: string; // asks the host to be let into the running call of this invitation
  line_busy?: string; // in a reject: busy, in the original's words
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
} as const;

export function readData(data: string): CallData | undefined {
  try {
    const d = JSON.parse(data) as CallData;
    return d && d.call === 1 && (d.media === 'video' || d.media === 'audio') ? d : undefined;
  } catch {
    return undefined;
  }
}

/** The data of a reject that says busy, in the original's words and ours. */
export function busyData(media: Media): string {
  return JSON.stringify({ call: 1, media, line_busy: 'line_busy' } satisfies CallData);
}

/** Whether a reject says busy: by its reason, or by its data as the original's clients do. */
export function saysBusy(reason = '', data = ''): boolean {
  if (reason === 'busy') return true;
  try {
    const d = JSON.parse(data) as { line_busy?: unknown; data?: { message?: unknown } } | null;
    return Boolean(d?.line_busy) || d?.data?.message === 'lineBusy';
  } catch {
    return data === 'line_busy';
  }
}

/** Why an answer came too late. */
export function lostTo(err: unknown): EndReason {
  const won = (err as BeckonError).won;
  if (!won) return (err as BeckonError).code === Code.Over ? 'cancelled' : 'failed';
  return won.action === 'cancel' ? 'cancelled' : won.action === 'timeout' ? 'noAnswer' : 'elsewhere';
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

/** The parts of the invitees of an invitation. */
export function partsOf(v: Schemas['Invitation']): Record<string, Part> {
  return Object.fromEntries((v.invitees ?? []).map((p) => [p.userID, partOf(p)]));
}

/** A refusal because somebody else was first changes nothing here: the events tell. */
export function over(err: unknown): undefined {
  if (err instanceof BeckonError) return undefined;
  throw err;
}

const every: Record<keyof CallEvents, 1> = { onCallState: 1, onIncomingCall: 1, onCallEnded: 1, onDeviceError: 1 };

export const callEvents: ReadonlySet<string> = new Set(Object.keys(every));

/** The others whom a cancel or timeout ends, while it goes on for this user: no callback is raised for it where it rings. */
export function endedOthers(m: Schemas['Signaling'], me: string): string[] {
  return m.over || (m.actionType !== 2 && m.actionType !== 5) ? [] : (m.inviteeList ?? []).filter((u) => u !== me);
}
