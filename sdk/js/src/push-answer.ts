import { BeckonError, Code } from './error.js';
import type { Schemas } from './schema.js';

/** The payload of a push. */
export type Push = Schemas['PushNotice'];

/** Optional parts of an answer. Repeats of an answer with the same requestID take effect once. */
export interface PushAnswer {
  data?: string | undefined;
  reason?: string | undefined;
  requestID?: string | undefined;
}

/** The methods that an answer token permits, besides getInvitation. */
export type AnswerMethod = 'accept' | 'reject' | 'ring';

/**
 * Answers the invitation of a push, or reports that it rings. It needs no connection and no sign-in: the push carries a
 * token for that one invitation. The response to an accept has the entry to the media room, if the invitation has one.
 */
export async function answerPush(
  push: Push,
  method: AnswerMethod,
  more: PushAnswer = {},
  server = '',
): Promise<Schemas['ActionResponse']> {
  const { answerToken = '', signaling } = push;
  return postAnswer(server, answerToken, method, { inviteID: signaling?.inviteID ?? '', ...more });
}

/** Sends an answer with its token. */
export function postAnswer(
  server: string,
  answerToken: string,
  method: AnswerMethod,
  request: PushAnswer & { inviteID: string },
  signal?: AbortSignal,
): Promise<Schemas['ActionResponse']> {
  return post(server, answerToken, method, request, signal);
}

/**
 * Acknowledges a test push: the result of the test then says that this device has it. It needs no connection and no
 * sign-in, as answerPush.
 */
export async function ackPushTest(push: Push, server = ''): Promise<void> {
  await post(server, push.answerToken ?? '', 'ackPushTest', { testID: push.testID ?? '' });
}

/** Calls a method with the token of a push. */
async function post<R>(
  server: string,
  token: string,
  method: string,
  request: object,
  signal?: AbortSignal,
): Promise<R> {
  const res = await fetch(`${server}/v1/${method}`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
    body: JSON.stringify(request),
    ...(signal ? { signal } : {}),
  });
  if (res.ok) return (await res.json()) as R;
  const refusal = (await res.json().catch(() => undefined)) as Schemas['Error'] | undefined;
  throw new BeckonError(refusal ?? { code: Code.Timeout, message: `the server answered ${res.status}` });
}
