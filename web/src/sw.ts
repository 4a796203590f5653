// The service worker: it shows notifications of calls and messages while no page is open, and answers calls from them.
import { ackPushTest, answerPush, BeckonError, Code, type Push } from 'beckon/push';

declare const self: ServiceWorkerGlobalScope;

/** The address of the server: that of the pages, which may be below a path. */
const server = self.registration.scope.replace(/\/$/, '');

const words = navigator.language.startsWith('zh')
  ? { answer: '接听', decline: '拒绝', over: '通话已结束' }
  : { answer: 'Answer', decline: 'Decline', over: 'The call is over' };

/** Returns the tag of the notifications of an invitation; later ones replace earlier ones. */
const tagOf = (p: Push): string => `call/${p.signaling?.inviteID ?? ''}`;

/** Notification options, with those missing in the types of TypeScript. */
interface Options extends NotificationOptions {
  renotify?: boolean;
  vibrate?: number[];
  actions?: { action: string; title: string }[];
}

function show(p: Push, title: string, options: Options): Promise<void> {
  return self.registration.showNotification(title, {
    icon: 'icon.svg',
    badge: 'icon.svg',
    data: p,
    ...options,
  } as NotificationOptions);
}

/** Closes the notifications of messages. A push must show a notification, and this one is gone at once. */
async function withdraw(p: Push, title: string): Promise<void> {
  const tag = 'withdrawn';
  await show(p, title, { tag, silent: true });
  for (const n of await self.registration.getNotifications()) {
    const { kind, messageID } = (n.data ?? {}) as Partial<Push>;
    if (n.tag === tag || (kind === 'message' && messageID && p.messageIDList?.includes(messageID))) n.close();
  }
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
      await answerPush(p, 'ring', {}, server).catch(() => undefined); // over already: the push of its end follows
      return;
    case 'ended': {
      const missed = p.state === 'cancelled' || p.state === 'timedOut';
      await show(p, title, { body: p.body ?? '', tag: tagOf(p), silent: true }); // required for each push
      if (missed) return;
      for (const n of await self.registration.getNotifications({ tag: tagOf(p) })) n.close();
      return;
    }
    case 'read':
    case 'revoked':
      return withdraw(p, title);
    case 'test':
      await show(p, title, { body: p.body ?? '', tag: 'test', renotify: true });
      await ackPushTest(p, server).catch(() => undefined); // the result of the test says that nothing came back
      return;
    default:
      await show(p, title, { body: p.body ?? '', tag: `message/${p.groupID || p.from || ''}`, renotify: true });
  }
}

/** Returns the address of a page for the user of a push, with the sign-in stored for pushes. */
function page(p: Push, ...parts: string[]): string {
  return `${server}/?away=${encodeURIComponent(p.userID)}#/${parts.map(encodeURIComponent).join('/')}`;
}

async function clicked(p: Push, action: string): Promise<void> {
  if (p.kind === 'test') {
    await self.clients.openWindow(page(p));
    return;
  }
  const inviteID = p.signaling?.inviteID ?? '';
  if (p.kind === 'invitation' && action === 'decline') {
    await answerPush(p, 'reject', { reason: 'declined' }, server).catch(() => undefined); // closed even if it fails
    return;
  }
  if (p.kind === 'invitation' && action === 'answer') {
    try {
      await answerPush(p, 'accept', {}, server); // before the page loads, which takes longer
    } catch (err) {
      if (err instanceof BeckonError && err.code === Code.Over)
        return show(p, p.title || 'Beckon', { body: words.over, tag: tagOf(p), silent: true });
    } // other errors: the page loads the current state
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
