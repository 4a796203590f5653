// Incoming calls, from pushes and from the events of a client.
import { readData } from '../call-state.js';
import type { Client } from '../client.js';
import type { Push } from '../push-answer.js';
import type { Schemas } from '../schema.js';
import type { InvitationFacts } from '../ledger.js';
import { reasonOfState, type Reason } from './reason.js';
import type { ScreenCall } from './screen.js';
import { uuidOf } from './uuid.js';

/** IncomingInvitation is an invitation to this user, for describe. */
export interface IncomingInvitation {
  inviteID: string;
  inviter: string;
  groupID: string;
  roomID: string;
  /** The data of the invitation; empty if cut. */
  data: string;
  cut: boolean;
  /** The title of the push; empty without one. */
  title: string;
}

/** Describe returns the shown name of a call, and whether it has video; undefined for an invitation that is no call. */
export type Describe = (invitation: IncomingInvitation) => { name: string; video: boolean } | undefined;

/** Shows each invitation as a call: the title of the push or the inviter's ID, and the media of beckon/call. */
export const describeAny: Describe = ({ title, inviter, data }) => ({
  name: title || inviter,
  video: readData(data)?.media === 'video',
});

/** Returns a ringing call, without the fields that only its source knows. */
function callOf(v: IncomingInvitation, describe: Describe): ScreenCall | undefined {
  const shown = describe(v);
  if (!shown) return undefined;
  const { inviteID, inviter, groupID, roomID, data, cut } = v;
  const conversationID = groupID ? `group_${groupID}` : `c2c_${inviter}`;
  const facts = { inviteID, uuid: uuidOf(inviteID), inviter, groupID, conversationID, roomID, data, cut };
  return { ...facts, ...shown, outgoing: false, phase: 'ringing', deadline: 0, answerToken: '' };
}

/** Returns the call of a push; now is the monotonic clock. */
export function callOfPush(push: Push, describe: Describe, now: number): ScreenCall | undefined {
  const s = push.signaling;
  if (!s?.inviteID || s.notice) return undefined;
  const { inviteID, inviter, groupID = '', roomID = '', data = '' } = s;
  const v = { inviteID, inviter, groupID, roomID, data, cut: push.cut ?? false, title: push.title ?? '' };
  const call = callOf(v, describe);
  const deadline = s.deadline ? now + (s.remaining ?? 0) : 0;
  return call && { ...call, deadline, answerToken: push.answerToken ?? '' };
}

/** Reports whether an event of a client is an invitation to its user. */
export function invitesMe(client: Client, e: InvitationFacts & { notice: boolean }): boolean {
  const me = client.userID;
  return !e.notice && e.inviter !== me && (e.everyone || e.inviteeList.includes(me));
}

/**
 * Returns the call of an event of a client. It asks the server for the room and the deadline; undefined if the
 * invitation is no longer open.
 */
export async function callOfEvent(
  client: Client,
  e: InvitationFacts,
  describe: Describe,
): Promise<ScreenCall | undefined> {
  let answer: Schemas['GetInvitationResponse'] | undefined;
  try {
    answer = await client.getInvitation({ inviteID: e.inviteID, limit: 1 });
  } catch {
    // shown without them: the response to ring has the deadline
  }
  if (answer && answer.mine?.state !== 'open') return undefined;
  const { inviteID, inviter, groupID, invitationData: data } = e;
  const v = { inviteID, inviter, groupID, roomID: answer?.invitation.roomID ?? '', data, cut: false, title: '' };
  const remaining = answer?.mine?.remaining ?? answer?.invitation.remaining ?? 0;
  const call = callOf(v, describe);
  return call && { ...call, deadline: remaining ? performance.now() + remaining : 0 };
}

/** Returns the reason if an invitation is over for the user of a client, as while the device was not connected. */
export async function endedReason(client: Client, inviteID: string): Promise<Reason | undefined> {
  const { mine } = await client.getInvitation({ inviteID, limit: 1 });
  return mine && mine.state !== 'open' ? reasonOfState(mine.state) : undefined;
}
