import type { Schemas } from './schema.js';

/** Error numbers that programs branch on. PROTOCOL.md section 4 has all of them. */
export const Code = {
  /** This server has no media server, or cannot reach it. */
  NoMedia: 7013,
  /** The call was sent again until its time was over; it may have taken effect. */
  Timeout: 9520,
  /** The client was closed, or sent away by the server. */
  Disconnected: 9508,
  /** Unknown invitation, or its outcome is decided already: see invitation and won. */
  Over: 8010,
  NotYours: 8011,
  Exists: 8012,
  /** You may not enter the room, or not decide there. */
  NotAdmitted: 8013,
  /** The room is in use, and you may not invite into it: take another roomID. */
  RoomTaken: 8014,
  TooOften: 9506,
  Blocked: 20007,
  TokenExpired: 70001,
  TokenRefused: 70009,
} as const;

/** BeckonError is a refusal by the server, or a call that could not be made. */
export class BeckonError extends Error {
  override readonly name = 'BeckonError';
  /** What programs branch on. */
  readonly code: number;
  /** The request field at fault. */
  readonly field: string | undefined;
  /** The users that the refusal is about, when it is about several. */
  readonly userIDList: string[] | undefined;
  /** Milliseconds to wait before trying again. */
  readonly retryAfter: number | undefined;
  /** 8010, 8012: the invitation as it now stands. */
  readonly invitation: Schemas['Invitation'] | undefined;
  /** 8010: the action that took effect instead. */
  readonly won: Schemas['Won'] | undefined;

  constructor(e: Partial<Schemas['Error']> & { code: number; message: string }, cause?: unknown) {
    super(e.message, cause === undefined ? undefined : { cause });
    this.code = e.code;
    this.userIDList = e.userIDList;
    this.field = e.field;
    this.retryAfter = e.retryAfter;
    this.invitation = e.invitation;
    this.won = e.won;
  }
}
