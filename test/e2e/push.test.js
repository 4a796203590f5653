// Push notifications for users without an open page: the server pushes through a push service, and the service worker
// rings, answers and declines.
//
// The push service is a fake on this machine, because that of the browser is not reachable from a test. It decrypts the
// messages of the server as a browser does (RFC 8291) and delivers them to the real service worker.

import assert from 'node:assert/strict';
import { createDecipheriv, createECDH, hkdfSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { Cluster, TIME_LIMIT, User, launch, waitForVideo } from './kit.js';

/** A fake push service for one browser. */
class Post {
  static async open() {
    const p = new Post();
    p.ecdh = createECDH('prime256v1');
    p.ecdh.generateKeys();
    p.auth = randomBytes(16);
    p.got = [];
    p.server = createServer((req, res) => {
      const parts = [];
      req.on('data', (b) => parts.push(b));
      req.on('end', () => {
        p.got.push({ ttl: Number(req.headers.ttl), topic: req.headers.topic, text: p.decrypt(Buffer.concat(parts)) });
        res.writeHead(201).end();
        p.wake?.();
      });
    }).listen(0, '127.0.0.1');
    await once(p.server, 'listening');
    p.endpoint = `http://127.0.0.1:${p.server.address().port}/browser`;
    return p;
  }

  decrypt(body) {
    const salt = body.subarray(0, 16);
    const sender = body.subarray(21, 21 + body[20]);
    const sealed = body.subarray(21 + body[20]);
    const hkdf = (key, salted, info, n) => Buffer.from(hkdfSync('sha256', key, salted, info, n));
    const ikm = hkdf(
      this.ecdh.computeSecret(sender),
      this.auth,
      Buffer.concat([Buffer.from('WebPush: info\0'), this.ecdh.getPublicKey(), sender]),
      32,
    );
    const open = createDecipheriv(
      'aes-128-gcm',
      hkdf(ikm, salt, 'Content-Encoding: aes128gcm\0', 16),
      hkdf(ikm, salt, 'Content-Encoding: nonce\0', 12),
    );
    open.setAuthTag(sealed.subarray(-16));
    const text = Buffer.concat([open.update(sealed.subarray(0, -16)), open.final()]);
    return text.subarray(0, text.lastIndexOf(2)).toString();
  }

  async next() {
    const none = new Error('no push came'); // with the stack of the caller
    const late = setTimeout(() => this.fail?.(none), TIME_LIMIT);
    while (this.got.length === 0)
      await new Promise((resolve, reject) => {
        this.wake = resolve;
        this.fail = reject;
      });
    clearTimeout(late);
    return this.got.shift();
  }

  /** Registers the pages of a context here. */
  async register(context) {
    const keys = { p256dh: this.ecdh.getPublicKey().toString('base64url'), auth: this.auth.toString('base64url') };
    await context.addInitScript(
      ([endpoint, k]) => {
        let made = null;
        PushManager.prototype.getSubscription = async () => made;
        PushManager.prototype.subscribe = async (options) => {
          if (!options.userVisibleOnly || options.applicationServerKey.length !== 65)
            throw new Error('subscribe: invalid options');
          made = {
            endpoint,
            options: { applicationServerKey: options.applicationServerKey.buffer },
            toJSON: () => ({ endpoint, keys: k }),
            unsubscribe: async () => {
              made = null;
              return true;
            },
          };
          return made;
        };
      },
      [this.endpoint, keys],
    );
  }
}

let cluster, browser, post;

before(async () => {
  [cluster, browser, post] = await Promise.all([Cluster.start({ BECKON_PUSH_PRIVATE: 'true' }), launch(), Post.open()]);
});

after(async () => {
  await browser?.close();
  post?.server.close();
  await cluster?.stop();
  assert.deepEqual(cluster.faults ?? [], [], 'a page threw something');
});

/** Returns a user that has turned pushes on. A second, empty page gives access to the service worker. */
async function turnOn(name) {
  const context = await browser.newContext({
    permissions: ['camera', 'microphone', 'notifications'],
    viewport: { width: 1180, height: 760 },
  });
  context.setDefaultTimeout(TIME_LIMIT);
  await post.register(context);
  const user = new User(cluster, context, name);
  user.page = await user.tab();
  await user.page.getByRole('button', { name: 'Ring me when this page is closed' }).click();
  await user.page.getByRole('button', { name: 'Do not ring me when this page is closed' }).waitFor();
  const empty = await context.newPage();
  await empty.goto(`${cluster.url}/icon.svg`);
  const worker = context.serviceWorkers()[0] ?? (await context.waitForEvent('serviceworker'));
  const cdp = await context.newCDPSession(empty);
  const registered = new Promise((resolve) =>
    cdp.on(
      'ServiceWorker.workerRegistrationUpdated',
      ({ registrations }) => registrations[0] && resolve(registrations[0].registrationId),
    ),
  );
  await cdp.send('ServiceWorker.enable');
  user.deliver = async (text) =>
    cdp.send('ServiceWorker.deliverPushMessage', { origin: cluster.url, registrationId: await registered, data: text });
  await worker.evaluate(() => {
    self.clients.openWindow = async (url) => {
      self.opened = url;
    };
  }); // browsers open windows only for real clicks
  user.shown = () =>
    worker.evaluate(async () =>
      (await self.registration.getNotifications()).map((n) => ({
        title: n.title,
        body: n.body,
        actions: n.actions.map((a) => a.title),
      })),
    );
  user.click = (action) =>
    worker.evaluate(async (a) => {
      const [notification] = await self.registration.getNotifications();
      self.dispatchEvent(new NotificationEvent('notificationclick', { notification, action: a }));
    }, action);
  user.opened = async () => {
    for (const until = Date.now() + TIME_LIMIT; Date.now() < until; await new Promise((r) => setTimeout(r, 50))) {
      const url = await worker.evaluate(() => self.opened);
      if (url) return url;
    }
    throw new Error('no page was opened');
  };
  return user;
}

/** Returns a user that has turned pushes on and closed the page. */
async function closePage(name) {
  const user = await turnOn(name);
  await user.page.close();
  return user;
}

async function until(name, check) {
  for (const end = Date.now() + TIME_LIMIT; ; await new Promise((r) => setTimeout(r, 50))) {
    const v = await check();
    if (v) return v;
    if (Date.now() > end) throw new Error(`never: ${name}`);
  }
}

/** Calls a user without an open page, once the server reports the user as offline. */
async function call(from, to, name) {
  await until(
    `${to} is offline`,
    async () => (await cluster.call('getUserStatus', { userIDList: [to] })).statuses[0].status === 'offline',
  );
  await from.open('chat', `c2c_${to}`);
  await from.page.getByRole('button', { name: 'Video call' }).click();
  await from.page.getByRole('region', { name: 'Call' }).getByText(name).first().waitFor();
}

test('a call to a closed page rings, is answered from the notification, and has video', async () => {
  const bob = await closePage('Bob Tanaka');
  const alice = await User.signIn(cluster, browser, 'Alice Moreau');
  await call(alice, 'bob', 'Bob Tanaka');
  const push = await post.next();
  assert.ok(push.ttl > 10 && push.ttl <= 30, `the push service keeps it for ${push.ttl} s`);
  await bob.deliver(push.text);
  const [rings] = await until('a notification', async () => ((await bob.shown()).length ? bob.shown() : undefined));
  assert.deepEqual(rings, { title: 'Alice Moreau', body: 'is calling you', actions: ['Answer', 'Decline'] });
  await alice.page.getByRole('timer').getByText('Ringing…').waitFor(); // reported by the worker

  await bob.click('answer');
  bob.page = await bob.context.newPage();
  await bob.page.goto(await bob.opened());
  await bob.page.getByRole('region', { name: 'Call' }).waitFor();
  await Promise.all([waitForVideo(bob.page, 'alice'), waitForVideo(alice.page, 'bob')]);
  await bob.page.getByRole('button', { name: 'Hang up' }).click();
  await alice.page.getByRole('region', { name: 'Call' }).waitFor({ state: 'detached' });
  await Promise.all([alice.leave(), bob.leave()]);
  post.got.length = 0;
});

test('a call is declined from the notification, and a cancelled one stays as missed', async () => {
  const carol = await closePage('Carol Okafor');
  const dan = await User.signIn(cluster, browser, 'Dan Lindqvist');
  await call(dan, 'carol', 'Carol Okafor');
  await carol.deliver((await post.next()).text);
  await until('a notification', async () => (await carol.shown()).length);
  await carol.click('decline');
  await dan.page.getByText('The call was declined').waitFor();
  assert.deepEqual(await carol.shown(), []); // closed by the declining device, without another push

  await call(dan, 'carol', 'Carol Okafor');
  const ring = await post.next();
  await carol.deliver(ring.text);
  await dan.page.getByRole('button', { name: 'Hang up' }).click();
  const missed = await post.next();
  assert.equal(missed.topic, ring.topic, 'the push service would keep both');
  await carol.deliver(missed.text);
  await until('the call is missed', async () =>
    (await carol.shown()).some((n) => n.body === 'You missed a call' && n.actions.length === 0),
  );

  // A message is read elsewhere: its notification is taken away, and that of the call stays.
  const message = async () => (await carol.shown()).some((n) => n.body === 'lunch?');
  await cluster.call('sendMessage', { userID: 'carol', text: 'lunch?' }, 'dan');
  await carol.deliver((await post.next()).text);
  await until('the message is shown', message);
  await cluster.call('markConversationRead', { conversationID: 'c2c_dan' }, 'carol');
  await carol.deliver((await post.next()).text);
  await until('the message is taken away', async () => !(await message()));
  assert.deepEqual(
    (await carol.shown()).map((n) => n.body),
    ['You missed a call'],
  );

  const { reach } = await cluster.call('invite', { invitee: 'carol', timeout: 20, onlineUserOnly: true }, 'dan');
  assert.equal(reach[0].status, 'unreachable');
  await Promise.all([carol.leave(), dan.leave()]);
});

test('a test notification is shown and acknowledged, and the page and the console tell the result', async () => {
  const frank = await turnOn('Frank Weiss');
  await frank.page.getByRole('button', { name: 'Send a test notification' }).click();
  await frank.deliver((await post.next()).text);
  const shown = await until('a notification', async () => ((await frank.shown()).length ? frank.shown() : undefined));
  assert.deepEqual(
    shown.map((n) => [n.title, n.body]),
    [['Test notification', 'Calls and messages reach this device']],
  );
  await frank.page.getByText(/^The test notification arrived after \d+\.\d s$/).waitFor();

  // other nodes learn of it from the database, within a second
  await until('all nodes know the outcome', async () => {
    for (let n = 0; n < 12; n++) {
      const { devices } = await cluster.call('getPushHealth', {}, 'frank');
      if (!devices.every((d) => d.lastAcceptedAt && d.lastAcknowledgedAt)) return false;
    }
    return true;
  });
  const operator = await browser.newPage();
  operator.setDefaultTimeout(TIME_LIMIT);
  await operator.goto(`${cluster.url}/console`);
  await operator.getByLabel('API key').fill(cluster.apiKey);
  await operator.getByRole('button', { name: 'Sign in' }).click();
  await operator.getByRole('button', { name: 'Users', exact: true }).click();
  await operator.getByRole('row', { name: /frank/ }).getByRole('button', { name: 'Pushes' }).click();
  const row = operator.getByRole('row', { name: /webPush/ });
  assert.equal(await row.getByText('never').count(), 0, 'the push was not accepted or not acknowledged');
  const test = row.getByRole('button', { name: 'Send a test' });
  await until('the second test is permitted', async () => {
    await test.click();
    return post.got.length > 0;
  });
  await frank.deliver((await post.next()).text);
  await row.getByText(/acknowledged after \d+ ms/).waitFor();
  await operator.close();
  await frank.leave();
});

test('a user that signed out is not rung', async () => {
  const context = await browser.newContext({ permissions: ['camera', 'microphone', 'notifications'] });
  context.setDefaultTimeout(TIME_LIMIT);
  await post.register(context);
  const erin = new User(cluster, context, 'Erin Costa');
  erin.page = await erin.tab();
  await erin.page.getByRole('button', { name: 'Ring me when this page is closed' }).click();
  await erin.page.getByRole('button', { name: 'Do not ring me when this page is closed' }).waitFor();
  await erin.page.reload();
  await erin.page.getByRole('button', { name: 'Do not ring me when this page is closed' }).waitFor();
  await erin.page.getByRole('button', { name: 'Sign out' }).click();
  await erin.page.getByRole('button', { name: 'Erin Costa' }).waitFor();
  await until(
    'erin cannot be reached',
    async () =>
      (await cluster.call('invite', { invitee: 'erin', timeout: 5 }, 'alice')).reach[0].status === 'unreachable',
  );
  await erin.leave();
});
