import type { Schemas } from './schema.js';

/** A signaling message. An answer has the data and the reason of the first invitee who answered. */
export interface SignalingInfo extends Omit<Schemas['Signaling'], 'reason'> {
  reason?: string;
}

/**
 * Reads a signaling message from an event, a history entry, or the JSON of a push; undefined for other messages. As in
 * the original, data and invitee of an answer are returned as data and inviteeList.
 */
export function getSignalingInfo(message: unknown): SignalingInfo | undefined {
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
