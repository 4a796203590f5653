// The calls of a connected client.
import type { Client } from '../client.js';
import type { InvitationFacts } from '../ledger.js';
import { callOfEvent, endedReason, invitesMe, type Describe } from './incoming.js';
import type { Reason } from './reason.js';
import type { ScreenCall, ScreenEvent } from './screen.js';
import { uuidOf } from './uuid.js';

/** Turns the events of a client into events of the screen. The returned function ends it. */
export function follow(
  client: Client,
  describe: Describe,
  calls: () => readonly ScreenCall[],
  dispatch: (event: ScreenEvent) => void,
  failed: (error: unknown) => void,
): () => void {
  const over = ({ inviteID }: { inviteID: string }, reason: Reason): void =>
    dispatch({ type: 'over', inviteID, uuid: uuidOf(inviteID), reason, onScreen: false });
  const mine = (e: InvitationFacts): boolean => e.inviteeList.includes(client.userID);
  const outgoing = (e: InvitationFacts): boolean => calls().some((c) => c.outgoing && c.inviteID === e.inviteID);
  const offs = [
    client.on('onReceiveNewInvitation', async (e) => {
      if (!invitesMe(client, e)) return;
      try {
        const call = await callOfEvent(client, e, describe);
        if (call) dispatch({ type: 'invited', call, onScreen: false });
      } catch (err) {
        failed(err); // as of the app's describe
      }
    }),
    client.on('onInvitationCancelled', (e) => {
      if (mine(e) || (outgoing(e) && e.over)) over(e, e.reason === 'answered' ? 'answeredElsewhere' : 'remoteEnded');
    }),
    client.on('onInvitationTimeout', (e) => {
      if (mine(e) || (outgoing(e) && e.over)) over(e, 'unanswered');
    }),
    client.on('onInvitationHandledByOtherDevice', (e) => {
      if (e.action === 'accept') over(e, 'answeredElsewhere');
      else if (e.action === 'reject') over(e, 'declinedElsewhere');
      else if (e.over) over(e, 'remoteEnded');
    }),
    client.on('onInviteeAccepted', ({ inviteID }) => dispatch({ type: 'peerAnswered', inviteID })),
    client.on('onInviteeRejected', (e) => {
      if (outgoing(e) && e.over) over(e, 'remoteEnded');
    }),
    // A call of a push may have ended before the device was connected.
    client.on('onConnected', async () => {
      for (const call of calls().filter((c) => c.phase === 'ringing')) {
        const reason = await endedReason(client, call.inviteID).catch(() => undefined);
        if (reason) over(call, reason);
      }
    }),
  ];
  return () => offs.forEach((off) => off());
}
