// The content of pushes, in the forms in which native libraries hand them over.
import type { Push } from '../push-answer.js';
import type { Notification } from './boundary.js';

type Fields = Record<string, unknown>;

const text = (v: unknown): string => (typeof v === 'string' ? v : '');
const fields = (v: unknown): Fields => (v !== null && typeof v === 'object' ? (v as Fields) : {});

/**
 * Reads the payload of a push: the data of FCM, where beckon is text and title and body stand beside it, or the
 * dictionary of APNs and PushKit. It returns undefined for pushes of others.
 */
export function readPush(payload: unknown): Push | undefined {
  const { beckon, title, body, aps } = fields(payload);
  let push: Partial<Push>;
  try {
    push = fields(typeof beckon === 'string' ? JSON.parse(beckon) : beckon);
  } catch {
    return undefined;
  }
  if (typeof push.kind !== 'string' || typeof push.userID !== 'string') return undefined;
  const alert = fields(fields(aps)['alert']);
  return {
    ...(push as Push),
    title: push.title || text(title) || text(alert['title']),
    body: push.body || text(body) || text(alert['body']),
  };
}

/** Returns the conversation of a push. */
export function conversationOfPush({ groupID, from, signaling }: Push): string {
  return groupID ? `group_${groupID}` : `c2c_${from ?? signaling?.inviter ?? ''}`;
}

/** Returns the notification of a message, a missed call or a test. Its data is what readPush reads. */
export function notificationOf(push: Push): Notification {
  const { title = '', body = '', ...rest } = push;
  return {
    id: push.messageID ?? push.signaling?.inviteID ?? push.testID ?? '',
    conversationID: conversationOfPush(push),
    title,
    body,
    data: { beckon: JSON.stringify(rest), title, body },
  };
}
