// The service worker: it shows the calls and messages that come while no page is open, and answers for the person.
import { answerPush, BeckonError, Code, type Push } from 'beckon/push';

declare const self: ServiceWorkerGlobalScope;

const words = navigator.language.startsWith('zh')
  ? { answer: '接听', decline: '拒绝', over: '通话已结束' }
  : { answer: 'Answer', decline: 'Decline', over: 'The call is over' };

/** The notification of an invitation, which whatever is heard of it replaces. */
const tagOf = (p: Push): string => `call/${p.signaling?.inviteID ?? ''}`;

/** What notifications of this worker carry. */
interface Shown extends NotificationOptions {
  renotify?: boolean;
  vibrate?: number[];
  actions?: { action: string; title: string }[];
}

function show(p: Push, title: string, options: Shown): Promise<void> {
  return self.registration.showNotification(title, {
    icon: '/icon.svg',
    badge: '/icon.svg',
    data: p,
    ...options,
  } as NotificationOptions);
}

async function received(p: Push): Promise<void> {
  const title = p.title || 'Beckon';
  switch (p.kind) {
    case 'invitation':
      await show(p, title, {
        body: p.body ?? '',
        tag: tagOf(p),
        renotify: true,
        requireInteraction: true,
        vibrate: [400, 200, 400, 200, 400],
        actions: [
          { action: 'answer', title: words.answer },
          { action: 'decline', title: words.decline },
        ],
      });
      await answerPush(p, 'ring').catch(() => undefined); // it may be over: then the push that says so is on its way
      return;
    case 'ended': {
      const missed = p.state === 'cancelled' || p.state === 'timedOut';
      await show(p, title, { body: p.body ?? '', tag: tagOf(p), silent: true }); // browsers want every push to be seen
      if (missed) return;
      for (const n of await self.registration.getNotifications({ tag: tagOf(p) })) n.close();
      return;
    }
    default:
      await show(p, title, { body: p.body ?? '', tag: `message/${p.groupID || p.from || ''}`, renotify: true });
  }
}

/** The address of the page for a person who may have signed in, and closed it. */
function page(p: Push, ...parts: string[]): string {
  return `/?away=${encodeURIComponent(p.userID)}#/${parts.map(encodeURIComponent).join('/')}`;
}

async function clicked(p: Push, action: string): Promise<void> {
  const inviteID = p.signaling?.inviteID ?? '';
  if (p.kind === 'invitation' && action === 'decline') {
    await answerPush(p, 'reject', { reason: 'declined' }).catch(() => undefined); // whatever it is now, it does not ring here
    return;
  }
  if (p.kind === 'invitation' && action === 'answer') {
    try {
      await answerPush(p, 'accept'); // at once: the page takes its time
    } catch (err) {
      if (err instanceof BeckonError && err.code === Code.Over)
        return show(p, p.title || 'Beckon', { body: words.over, tag: tagOf(p), silent: true });
    } // else the page finds out: it rings there, or the answer did arrive
    await self.clients.openWindow(page(p, 'answered', inviteID));
    return;
  }
  await self.clients.openWindow(page(p, 'chat', p.groupID ? `group_${p.groupID}` : `c2c_${p.from ?? ''}`));
}

self.addEventListener('install', () => void self.skipWaiting());
self.addEventListener('activate', (e) => e.waitUntil(self.clients.claim()));
self.addEventListener('push', (e) => {
  if (e.data) e.waitUntil(received(e.data.json() as Push));
});
self.addEventListener('notificationclick', (e) => {
  e.notification.close();
  e.waitUntil(clicked(e.notification.data as Push, e.action));
});
