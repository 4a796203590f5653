import type { Schemas } from './schema.js';

/** Common error codes. README.md has those that the SDK itself raises, PROTOCOL.md section 4 those of the server. */
export const Code = {
  /** A parameter is wrong: see field. */
  BadParameter: 6017,
  /** There is no media server, or it is unreachable. */
  NoMedia: 7013,
  /** The call had no response within callTimeout, including retries. It may have taken effect. */
  Timeout: 9520,
  /** The client was closed, or disconnected by the server. */
  Disconnected: 9508,
  /** A text, a body, a file or the request is too long. */
  TooLong: 8001,
  /** The invitation is unknown, or decided already: see invitation and won. */
  Over: 8010,
  NotYours: 8011,
  Exists: 8012,
  /** No permission to enter the room, or to decide there. */
  NotAdmitted: 8013,
  /** The room is in use by others: use another roomID. */
  RoomTaken: 8014,
  /** An ID names nothing, or nothing of yours: see field. */
  NotFound: 8015,
  /** Too often, or the server is overloaded. The call had no effect. */
  TooOften: 9506,
  /** The server failed, as while its database restarts. The call may have taken effect. */
  Unavailable: 10002,
  Blocked: 20007,
  TokenExpired: 70001,
  TokenRefused: 70009,
  /** renew: the token is for another user. */
  TokenUser: 70013,
} as const;

/** BeckonError is an error response of the server, or a failed call. */
export class BeckonError extends Error {
  override readonly name = 'BeckonError';
  /** The error code, for programs. */
  readonly code: number;
  /** The request field at fault. */
  readonly field: string | undefined;
  /** The users at fault, if several. */
  readonly userIDList: string[] | undefined;
  /** Time to wait before a retry, in milliseconds. */
  readonly retryAfter: number | undefined;
  /** 8010, 8012: the current invitation. */
  readonly invitation: Schemas['Invitation'] | undefined;
  /** 8010: the action that took effect instead. */
  readonly won: Schemas['Won'] | undefined;

  /** A program may load this class twice, as an ES module and as CommonJS: an instance of either is an instance of both. */
  static override [Symbol.hasInstance](value: unknown): value is BeckonError {
    if (this !== BeckonError) return Function.prototype[Symbol.hasInstance].call(this, value);
    return value instanceof Error && value.name === 'BeckonError';
  }

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
