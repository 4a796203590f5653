// Push notifications while no page is open: the permission, the service worker, and the subscription of this browser.
import type { Client } from 'beckon';
import { disablePush, enablePush } from 'beckon/push';
import { forgetForPush, isKeptForPush, keepForPush, type Saved } from './saved.js';
import { pageText } from './texts.js';

/** The part of a session that pushes need. */
interface Subscriber {
  readonly client: Client;
  readonly saved: Saved;
}

/** Push notifications of this browser: not supported, off, forbidden by the user, or on. */
export type PushState = 'unsupported' | 'off' | 'denied' | 'on';

export function pushState(userID: string): PushState {
  if (!('serviceWorker' in navigator) || !('PushManager' in window) || !('Notification' in window))
    return 'unsupported';
  if (Notification.permission === 'denied') return 'denied';
  return isKeptForPush(userID) && Notification.permission === 'granted' ? 'on' : 'off';
}

function worker(): Promise<ServiceWorkerRegistration> {
  return navigator.serviceWorker.register('sw.js').then(() => navigator.serviceWorker.ready);
}

/** Requests the permission for notifications and registers this browser with the server. */
export async function turnOnPush(s: Subscriber): Promise<PushState> {
  const permission = await Notification.requestPermission();
  if (permission !== 'granted') return permission === 'denied' ? 'denied' : 'off';
  await enablePush(s.client, await worker());
  keepForPush(s.saved);
  await renewPush(s);
  return 'on';
}

/** The users whose registration this tab has asked for: true if it holds it. */
const registrations = new Map<string, boolean>();

/**
 * Registers again if pushes are on, because browsers change their subscriptions. The browser is registered with the
 * device of one open tab; when that tab closes, the next one registers. A push goes to registered devices that are not
 * connected, and an open tab rings by itself.
 */
export async function renewPush(s: Subscriber): Promise<void> {
  const { userID } = s.saved;
  if (pushState(userID) !== 'on') return;
  if (registrations.has(userID)) {
    if (registrations.get(userID)) await enablePush(s.client, await worker());
    return;
  }
  registrations.set(userID, false);
  void navigator.locks.request(`beckon.push.${userID}`, () => {
    registrations.set(userID, true);
    renewPush(s).catch(() => undefined); // retried at the next connect
    return new Promise(() => {}); // until the tab closes
  });
}

/** Removes the registration of this browser. */
export async function turnOffPush(s: Subscriber): Promise<void> {
  const on = pushState(s.saved.userID) === 'on'; // not, if the permission was withdrawn meanwhile
  forgetForPush(s.saved.userID);
  if (!on) return;
  await disablePush(s.client, await worker());
}

/** Pause between two questions for the results of a test, in milliseconds. */
const askEvery = 1000;

/** Sends a test notification to all registered devices of the user. Returns the result in words. */
export async function testPush({ client }: Subscriber): Promise<{ text: string; ok: boolean }> {
  let test = await client.testPush({});
  while (!test.over) {
    await new Promise((resolve) => setTimeout(resolve, askEvery));
    test = await client.getPushTest({ testID: test.testID });
  }
  const { devices } = test;
  const arrived = devices.filter((d) => d.state === 'acknowledged');
  const seconds = Math.max(0, ...arrived.map((d) => d.acknowledgedMs ?? 0)) / 1000;
  const reasons = devices.flatMap((d) => (d.error ? [`${d.deviceID || d.provider}: ${d.error}`] : [])).join('; ');
  const count = devices.length;
  if (arrived.length < count)
    return { text: pageText('push.testMissed', { arrived: arrived.length, count, reasons }), ok: false };
  return { text: pageText('push.testArrived', { count, seconds: seconds.toFixed(1) }), ok: true };
}
