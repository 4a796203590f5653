import type { Schemas } from './schema.js';

/**
 * Reads a message of any origin: an event, an entry of the history, the JSON of a push. Undefined when it is not signaling. As in the
 * original, the data and the invitee of an answer are data and inviteeList.
 */
export function getSignalingInfo(message: unknown): Schemas['Signaling'] | undefined {
  let m = message as Schemas['Signaling'] | undefined;
  if (typeof message === 'string') {
    try {
      m = JSON.parse(message) as Schemas['Signaling'];
    } catch {
      return undefined;
    }
  }
  if (m && typeof m === 'object' && 'event' in m) m = m.event as Schemas['Signaling'] | undefined;
  if (!m || typeof m !== 'object' || m.businessID !== 1 || !m.inviteID || !(m.actionType >= 1 && m.actionType <= 8))
    return undefined;
  const { answers } = m;
  if (!answers?.length) return m;
  return {
    ...m,
    inviteeList: answers.map((a) => a.invitee),
    data: answers[0]!.data ?? '',
    reason: answers[0]!.reason ?? '',
  };
}
