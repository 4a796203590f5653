// Web Push, for calls while no page is open: the page registers the browser, the service worker shows notifications.
import type { Client } from './client.js';
import { BeckonError, Code } from './error.js';
import type { Schemas } from './schema.js';

export { BeckonError, Code };

/** The payload of a push. */
export type Push = Schemas['PushNotice'];

function bytes(text: string): Uint8Array<ArrayBuffer> {
  const raw = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(raw, (c) => c.charCodeAt(0));
}

/**
 * Registers this browser for pushes while no page of it is connected. Request the permission for notifications first.
 * Call it on each page load, because browsers change their subscriptions.
 */
export async function enablePush(
  client: Client,
  registration: ServiceWorkerRegistration,
  language = navigator.language,
): Promise<void> {
  const { webPushKey } = await client.getPushConfig({});
  if (!webPushKey)
    throw new BeckonError({ code: Code.NotAdmitted, message: 'this server sends no pushes to browsers' });
  const key = bytes(webPushKey);
  let subscription = await registration.pushManager.getSubscription();
  const made = new Uint8Array(subscription?.options.applicationServerKey ?? new ArrayBuffer(0));
  if (subscription && (made.length !== key.length || made.some((b, i) => b !== key[i]))) {
    // subscribed with the key of another server
    await subscription.unsubscribe();
    subscription = null;
  }
  subscription ??= await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
  const { endpoint, keys } = subscription.toJSON();
  await client.setPushToken({
    provider: 'webPush',
    subscription: { endpoint: endpoint ?? '', keys: { p256dh: keys?.p256dh ?? '', auth: keys?.auth ?? '' } },
    language,
  });
}

/** Removes the registration of this browser. Call it before signing out. */
export async function disablePush(client: Client, registration: ServiceWorkerRegistration): Promise<void> {
  await client.deletePushToken({ provider: 'webPush' });
  await (await registration.pushManager.getSubscription())?.unsubscribe();
}

/**
 * Answers the invitation of a push, or reports that it rings. It needs no connection and no sign-in: the push carries a
 * token for that one invitation.
 */
export async function answerPush(
  push: Push,
  action: 'accept' | 'reject' | 'ring',
  more: { data?: string; reason?: string } = {},
  server = '',
): Promise<void> {
  await post(push, action, { inviteID: push.signaling?.inviteID ?? '', ...more }, server);
}

/**
 * Acknowledges a test push: the result of the test then says that this device has it. It needs no connection and no
 * sign-in, as answerPush.
 */
export async function ackPushTest(push: Push, server = ''): Promise<void> {
  await post(push, 'ackPushTest', { testID: push.testID ?? '' }, server);
}

/** Calls a method with the token of a push. */
async function post(push: Push, method: string, request: object, server: string): Promise<void> {
  const res = await fetch(`${server}/v1/${method}`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${push.answerToken ?? ''}`, 'Content-Type': 'application/json' },
    body: JSON.stringify(request),
  });
  if (res.ok) return;
  const refusal = (await res.json().catch(() => undefined)) as Schemas['Error'] | undefined;
  throw new BeckonError(refusal ?? { code: Code.Timeout, message: `the server answered ${res.status}` });
}
