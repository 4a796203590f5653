// Being reached while no page is open: the permission, the service worker, and the session that it opens a page with.
import { disablePush, enablePush } from 'beckon/push';
import type { Saved, Session } from './session.js';

const keptKey = (userID: string): string => `beckon.away.${userID}`;

/** Whether this browser can be reached, and is. */
export type Away = 'unsupported' | 'off' | 'denied' | 'on';

export function awayOf(userID: string): Away {
  if (!('serviceWorker' in navigator) || !('PushManager' in window) || !('Notification' in window))
    return 'unsupported';
  if (Notification.permission === 'denied') return 'denied';
  return localStorage.getItem(keptKey(userID)) && Notification.permission === 'granted' ? 'on' : 'off';
}

function worker(): Promise<ServiceWorkerRegistration> {
  return navigator.serviceWorker.register('/sw.js').then(() => navigator.serviceWorker.ready);
}

/** Asks for the permission, and lets the server reach this browser. */
export async function beReached(s: Session): Promise<Away> {
  const permission = await Notification.requestPermission();
  if (permission !== 'granted') return permission === 'denied' ? 'denied' : 'off';
  await enablePush(s.client, await worker());
  localStorage.setItem(keptKey(s.me), JSON.stringify(s.saved)); // a window keeps its own person; what a call opens has none
  return 'on';
}

/** Registers again with each start, for browsers change their subscriptions. */
export async function stayReached(s: Session): Promise<void> {
  if (awayOf(s.me) === 'on') await beReached(s);
}

/** Lets this browser be reached no longer. */
export async function beLeftAlone(s: Session): Promise<void> {
  if (awayOf(s.me) !== 'on') return;
  localStorage.removeItem(keptKey(s.me));
  await disablePush(s.client, await worker());
}

/** Whose page a notification opens. */
export function openedFor(): Saved | undefined {
  const userID = new URLSearchParams(location.search).get('away');
  const text = userID && localStorage.getItem(keptKey(userID));
  return text ? (JSON.parse(text) as Saved) : undefined;
}
