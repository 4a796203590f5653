// The expiry and the renewal of tokens, against the real server.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import { deflateSync } from 'node:zlib';
import { WebSocket } from 'ws';
import { Client, type BeckonError, type Options } from '../src/index.js';
import { serveTests } from './cluster.js';
import { Proxy } from './proxy.js';

const app = 1_400_000_000;
const key = 'a key of the original';

const server = serveTests({ BECKON_USERSIG_APP_ID: String(app), BECKON_USERSIG_KEY: key });

/** Returns a UserSig of a user, valid for some seconds. */
function userSig(userID: string, seconds: number): string {
  const now = Math.floor(Date.now() / 1000);
  const text = `TLS.identifier:${userID}\nTLS.sdkappid:${app}\nTLS.time:${now}\nTLS.expire:${seconds}\n`;
  const sig = {
    'TLS.ver': '2.0',
    'TLS.identifier': userID,
    'TLS.sdkappid': app,
    'TLS.expire': seconds,
    'TLS.time': now,
    'TLS.sig': createHmac('sha256', key).update(text).digest('base64'),
  };
  const packed = deflateSync(JSON.stringify(sig)).toString('base64');
  return packed.replace(/[+/=]/g, (c) => (c === '+' ? '*' : c === '/' ? '-' : '_'));
}

/** A device with a token, and the events about it. */
async function come(
  userID: string,
  token: string,
  options: Partial<Options> = {},
): Promise<{ client: Client; log: string[] }> {
  const client = new Client({ server: server.cluster.url, token, deviceID: userID, websocket: WebSocket, ...options });
  server.clients.push(client);
  const log: string[] = [];
  client.on('onConnected', () => log.push('connected'));
  client.on('onTokenWillExpire', ({ remaining }) => log.push(remaining > 0 && remaining < 1000 ? 'expires' : 'early'));
  client.on('onTokenExpired', ({ code }) => log.push(`expired ${code}`));
  client.on('onUserSigExpired', ({ code }) => log.push(`onUserSigExpired ${code}`));
  client.on('onDisconnected', () => log.push('disconnected'));
  await client.connect();
  return { client, log };
}

/** Waits for an entry of a log, which may be there already. */
async function logged(log: string[], entry: string): Promise<void> {
  for (const end = Date.now() + 30_000; !log.includes(entry); await sleep(10))
    if (Date.now() > end) throw new Error(`never: ${entry} in ${String(log)}`);
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test('a session outlives its token by renewals, and refused ones change nothing', async () => {
  const { client, log } = await come('ann', await server.cluster.token('ann', 4));
  await logged(log, 'expires');
  for (const [token, code] of [
    [await server.cluster.token('bob'), 70013],
    [userSig('bob', 60), 70013],
    ['no token', 70003],
    [`${await server.cluster.token('ann')}x`, 70009],
    ['', 70003],
  ] as const)
    await assert.rejects(client.renew(token), (err: BeckonError) => err.code === code);
  await client.renew(userSig('ann', 4));
  await client.once('onTokenWillExpire');
  await client.renew(await server.cluster.token('ann'));
  await sleep(6000); // the first tokens have expired
  await client.getConversationList();
  assert.deepEqual(log, ['connected', 'expires', 'expires']);
});

test('after the expiry a session lasts until a new token comes; an ended one connects again', async () => {
  const [late, gone] = await Promise.all(
    ['cid', 'dan'].map(async (user) => come(user, await server.cluster.token(user, 6))),
  );
  await Promise.all([late, gone].map((d) => logged(d!.log, 'expired 70001')));
  await late!.client.renew(await server.cluster.token('cid'));
  await logged(gone!.log, 'disconnected'); // after half of its life
  await assert.rejects(gone!.client.getConversationList(), { code: 9508 });
  await assert.rejects(gone!.client.renew(await server.cluster.token('cid')), { code: 70013 });
  await gone!.client.renew(await server.cluster.token('dan'));
  await Promise.all([late, gone].map((d) => d!.client.getConversationList()));
  const expired = ['connected', 'expires', 'expired 70001', 'onUserSigExpired 70001'];
  assert.deepEqual(late!.log, expired);
  assert.deepEqual(gone!.log, [...expired, 'disconnected', 'connected']);
});

test('a token that expired while the server was away: renew connects', async () => {
  const { client, log } = await come('eve', await server.cluster.token('eve', 3));
  await server.cluster.kill();
  await sleep(4000);
  const renewed = client.renew(await offline('eve'));
  await server.cluster.run();
  await renewed;
  await client.getConversationList();
  assert.ok(!log.includes('disconnected'), String(log));
});

/** Returns a token that needs no server. */
async function offline(userID: string): Promise<string> {
  return Promise.resolve(userSig(userID, 600));
}

test('a new token that could not be sent is used by the reconnect', async () => {
  const proxy = await Proxy.start(server.cluster.url);
  proxy.mode = 'pass';
  const { client, log } = await come('gil', await server.cluster.token('gil', 3), { server: proxy.url });
  const expired = logged(log, 'expired 70001');
  proxy.silence();
  await expired;
  const renewed = client.renew(await server.cluster.token('gil'));
  await sleep(1000); // the old token has expired for the server, too
  proxy.cut();
  await renewed;
  assert.deepEqual(log, ['connected', 'expires', 'expired 70001', 'onUserSigExpired 70001', 'connected']);
  client.close();
  await proxy.stop();
});

test('an expired token rejects connect with 70001; another one connects', async () => {
  const token = await server.cluster.token('fay', 1);
  await sleep(2100);
  const client = new Client({ server: server.cluster.url, token, deviceID: 'fay', websocket: WebSocket });
  server.clients.push(client);
  await assert.rejects(client.connect(), { code: 70001 });
  await client.renew(await server.cluster.token('fay'));
  await client.getConversationList();
});

test('with a function neither event is raised, unless it fails', async () => {
  let fails = false;
  const token = async (): Promise<string> => {
    if (fails) throw new Error('the sign-in service is down');
    return server.cluster.token('gus', 2);
  };
  const { client, log } = await come('gus', '', { token });
  await sleep(3000);
  await client.getConversationList();
  assert.deepEqual(log, ['connected']);
  fails = true;
  await client.once('onTokenExpired');
  fails = false;
  await client.getConversationList();
});
