// Web Push, for calls while no page is open: the page registers the browser, the service worker shows notifications.
import type { Client } from './client.js';
import { BeckonError, Code } from './error.js';

export { BeckonError, Code };
export { ackPushTest, answerPush, type Push, type PushAnswer } from './push-answer.js';

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
