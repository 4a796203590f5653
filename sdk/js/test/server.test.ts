// The client of an app server against a real server: tokens, calls for users, webhooks with verified signatures,
// before-hooks, repeats.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import {
  appServer,
  beforeHookHandler,
  readWebhook,
  toNode,
  webhookHandler,
  type AppServer,
  type WebhookEvent,
} from '../src/server.js';
import { Cluster } from './cluster.js';

const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw7V9PMzFQ2h8=';
const old = `whsec_${btoa('an older secret of 24 by')}`;
const events: WebhookEvent[] = [];
let arrived = (): void => undefined;
let failures = 1;
let cluster: Cluster;
let hooks: Server;
let server: AppServer;

before(async () => {
  const webhook = toNode(
    webhookHandler([old, secret], (e) => {
      if (failures-- > 0) throw new Error('not now'); // the server delivers it again
      events.push(e);
      arrived();
    }),
  );
  const hook = toNode(
    beforeHookHandler(secret, ({ verb, request }) => {
      if (verb !== 'sendMessage') return;
      if (request?.text === 'rude') return { code: 120001, message: 'be polite' };
      return { request: { ...request, text: 'changed' } };
    }),
  );
  hooks = createServer((req, res) => void (req.url === '/before' ? hook : webhook)(req, res)).listen(0, '127.0.0.1');
  await once(hooks, 'listening');
  const address = `http://127.0.0.1:${(hooks.address() as AddressInfo).port}`;
  cluster = await Cluster.start({
    BECKON_WEBHOOK: `${address}/hook`,
    BECKON_WEBHOOK_SECRET: secret,
    BECKON_WEBHOOK_EVENTS: 'invitation',
    BECKON_BEFORE_HOOK: `${address}/before`,
  });
  server = appServer({ url: `${cluster.url}/`, apiKey: cluster.key });
});

after(async () => {
  await cluster.stop();
  hooks.close();
});

test('an app server creates a token, invites for a user, and receives verified webhooks', async () => {
  const { token, expireAt } = await server.createToken({ userID: 'ann', ttl: 60 });
  assert.ok(token && expireAt > Date.now() / 1000);
  const two = new Promise<void>((resolve) => (arrived = () => events.length === 2 && resolve()));
  const { inviteID } = await server.as('änn').invite({ invitee: 'bob', data: 'a parcel', timeout: 30 });
  await server.as('bob').accept({ inviteID, data: 'coming' });
  await two;
  assert.deepEqual(
    events.map((e) => [e.type, e.type.startsWith('invitation.') && 'inviteID' in e.data && e.data.inviteID]),
    [
      ['invitation.created', inviteID],
      ['invitation.answered', inviteID],
    ],
  );
  assert.notEqual(events[0]!.id, events[1]!.id);
  await assert.rejects(server.as('bob').accept({ inviteID: 'none' }), { code: 8010 });
  await assert.rejects(server.createToken({ userID: 'a b' }), { code: 6017, field: 'userID' });
});

test('a before-hook refuses and changes the calls of devices', async () => {
  const device = cluster.device('ann');
  await device.connect();
  await assert.rejects(device.sendMessage({ userID: 'bob', text: 'rude' }), { code: 120001, message: 'be polite' });
  const { messageID } = await device.sendMessage({ userID: 'bob', text: 'hello' });
  const { message } = await server.as('bob').getMessage({ conversationID: 'c2c_ann', messageID });
  assert.equal(message.text, 'changed');
  device.close();
});

test('forged webhooks are refused', async () => {
  const body = '{"type":"invitation.created","data":{"type":"signaling"}}';
  const headers = (at: number, signature: string): Headers =>
    new Headers({ 'webhook-id': 'msg_1', 'webhook-timestamp': String(at), 'webhook-signature': signature });
  const key = await crypto.subtle.importKey(
    'raw',
    Uint8Array.from(atob(secret.slice(6)), (c) => c.charCodeAt(0)),
    { name: 'HMAC', hash: 'SHA-256' },
    false,
    ['sign'],
  );
  const sign = async (at: number): Promise<string> =>
    'v1,' +
    btoa(
      String.fromCharCode(
        ...new Uint8Array(await crypto.subtle.sign('HMAC', key, new TextEncoder().encode(`msg_1.${at}.${body}`))),
      ),
    );
  const now = Math.floor(Date.now() / 1000);
  const event = await readWebhook([old, secret], headers(now, await sign(now)), body);
  assert.equal(event.id, 'msg_1');
  for (const [at, signature] of [
    [now, ''],
    [now, 'v1,AAAA'],
    [now, 'v1,%'],
    [now + 1, await sign(now)],
    [now - 400, await sign(now - 400)],
    [NaN, await sign(NaN)],
  ] as [number, string][])
    await assert.rejects(readWebhook(secret, headers(at, signature), body), { code: 70009 });
  assert.throws(() => webhookHandler('whsec_%', () => undefined), { code: 6017 });
  assert.throws(() => webhookHandler([], () => undefined), { code: 6017 });
});

test('a call with an ID is repeated after a refusal and after a failed connection, another call is not', async () => {
  const ids: unknown[] = [];
  const flaky: typeof fetch = (url, init) => {
    ids.push((JSON.parse(String(init!.body)) as { requestID?: string }).requestID);
    if (ids.length === 1)
      return Promise.resolve(Response.json({ code: 9506, message: 'later', retryAfter: 1 }, { status: 429 }));
    if (ids.length === 2) return Promise.reject(new TypeError('fetch failed'));
    return fetch(url, init);
  };
  const repeating = appServer({ url: cluster.url, apiKey: cluster.key, fetch: flaky });
  await repeating.as('ann').invite({ invitee: 'bob', timeout: 1 });
  assert.equal(ids.length, 3);
  assert.equal(new Set(ids).size, 1);
  ids.length = 1;
  await assert.rejects(repeating.as('ann').setSelfStatus({ customStatus: 'x' }), { message: 'fetch failed' });
  const gone = AbortSignal.abort(new Error('gone'));
  await assert.rejects(server.as('ann').getConversationList({}, { signal: gone }), { message: 'gone' });
});
