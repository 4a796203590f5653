// The edges of a client: a close while it connects, requests over the limit, and tokens that cannot be had.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WebSocket } from 'ws';
import { Client, type BeckonError } from '../src/index.js';
import { serveTests } from './cluster.js';

const server = serveTests();

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function device(userID: string, deviceID = userID): Client {
  const client = server.cluster.device(userID, deviceID);
  server.clients.push(client);
  return client;
}

/** Returns the devices of a user that are online. */
async function online(userID: string): Promise<string[]> {
  const watcher = device(userID, 'watcher');
  await watcher.connect();
  const { devices } = await watcher.getDeviceList({});
  watcher.close();
  return (devices ?? []).map((d) => d.deviceID).filter((id) => id !== 'watcher');
}

test('a close while a client connects wins, at each moment', async () => {
  for (const wait of [undefined, 0, 1, 2, 5, 10, 20]) {
    const client = device('ann', `close after ${wait}`);
    const connected = client.connect().then(
      () => 'connected',
      (err: BeckonError) => err.code,
    );
    if (wait !== undefined) await sleep(wait);
    client.close();
    const outcome = await connected;
    assert.ok(outcome === 9508 || (outcome === 'connected' && wait), `after ${wait} ms: ${outcome}`);
    assert.equal(client.connected, false);
  }
  await sleep(300);
  assert.deepEqual(await online('ann'), []);
});

test('a client that is closed and connected again at once is online once', async () => {
  const client = device('ben');
  const first = client.connect();
  client.close();
  const second = client.connect();
  await assert.rejects(first, { code: 9508 });
  await second;
  assert.ok(client.connected);
  assert.deepEqual(await online('ben'), ['ben']);
});

test('an aborted connect leaves nothing online', async () => {
  const abort = new AbortController();
  const nowhere = new Client({ server: 'http://127.0.0.1:9', token: 't', deviceID: 'd', websocket: WebSocket });
  const connecting = nowhere.connect({ signal: abort.signal });
  setTimeout(() => abort.abort(), 50);
  await assert.rejects(connecting, { code: 9508 });
  await assert.rejects(device('cid').connect({ signal: abort.signal }), { code: 9508 });
  assert.deepEqual(await online('cid'), []);
});

test('a request over the limit is refused by the client, and the connection stays', async () => {
  const client = device('dan');
  let lost = 0;
  client.on('onConnecting', () => lost++);
  await client.connect();
  lost = 0;
  const names = (bytes: number): string[] => Array.from({ length: bytes / 16 }, (_, i) => `user-${i}`.padEnd(13, 'x'));
  await assert.rejects(client.getUsersInfo({ userIDList: names(1.5 * 2 ** 20) }), (err: BeckonError) => {
    assert.deepEqual([err.code, err.field], [8001, 'request']);
    assert.match(err.message, /^getUsersInfo: the request has \d+ bytes; the limit is 1048576$/);
    return true;
  });
  await assert.rejects(client.getUsersInfo({ userIDList: names(0.9 * 2 ** 20) }), { code: 6017 }); // by the server
  assert.equal(lost, 0);
});

test('a token function that fails is reported, and called again', async () => {
  let calls = 0;
  const token = async (): Promise<string> => {
    if (++calls < 3) throw new Error('the app server is away');
    return server.cluster.token('eva');
  };
  const client = new Client({ server: server.cluster.url, token, deviceID: 'eva', websocket: WebSocket });
  server.clients.push(client);
  const errors: string[] = [];
  client.on('onTokenError', ({ error }) => errors.push(error.message));
  await client.connect();
  assert.deepEqual(errors, ['the app server is away', 'the app server is away']);
});
