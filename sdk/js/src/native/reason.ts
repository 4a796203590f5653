// The reasons for which a call leaves the screen.
import { BeckonError, Code } from '../error.js';
import type { Schemas } from '../schema.js';

/** The reason of the end of a call on the screen. */
export type Reason =
  | 'declined' // by the user, on this device
  | 'hungUp' // by the user or the app, on this device
  | 'answeredElsewhere' // on another device of the user, or by another invitee who came first
  | 'declinedElsewhere'
  | 'unanswered' // the deadline has passed
  | 'remoteEnded' // cancelled, or declined by the other side
  | 'notShown' // the system did not show the call, as with do-not-disturb
  | 'failed'; // the answer did not reach the server, or was refused: see error

/** Returns the reason for the final state of an invitee. */
export function reasonOfState(state: Schemas['Invitee']['state'] | undefined): Reason {
  switch (state) {
    case 'accepted':
      return 'answeredElsewhere';
    case 'rejected':
      return 'declinedElsewhere';
    case 'timedOut':
      return 'unanswered';
    default:
      return 'remoteEnded';
  }
}

/** Returns the reason for a refused answer: 8010 has the action that took effect instead. */
export function reasonOfError(err: unknown): Reason {
  if (!(err instanceof BeckonError) || err.code !== Code.Over) return 'failed';
  switch (err.won?.action) {
    case 'accept':
      return 'answeredElsewhere';
    case 'reject':
      return 'declinedElsewhere';
    case 'timeout':
      return 'unanswered';
    default:
      return err.won?.reason === 'answered' ? 'answeredElsewhere' : 'remoteEnded';
  }
}

/** Returns the number that CallKeep uses for a reason. Unanswered is missed in Android's terms: 3 would mean busy. */
export function endCode(reason: Reason, platform: string): number {
  switch (reason) {
    case 'answeredElsewhere':
      return 4;
    case 'declinedElsewhere':
      return 5;
    case 'unanswered':
      return platform === 'ios' ? 3 : 6;
    case 'notShown':
    case 'failed':
      return 1;
    default:
      return 2;
  }
}
