// The edges of a client, as in docs/client-edges.md. test/scenario/clientedges_test.go has the same for Go.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { Client, type BeckonError, type Options } from '../src/index.js';
import { serveTests } from './cluster.js';

const server = serveTests();

function device(userID: string, deviceID: string | undefined = userID, options: Partial<Options> = {}): Client {
  const client = server.cluster.device(userID, deviceID, 3600, options);
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

/** Waits until no device of a user is online. */
async function offline(userID: string): Promise<void> {
  for (const end = Date.now() + 10_000; (await online(userID)).length; await sleep(20))
    assert.ok(Date.now() < end, `${userID} stays online`);
}

/** Returns the outcome of a promise: connected, or the code or the name of its error. */
function outcomeOf(work: Promise<unknown>): Promise<string | number> {
  return work.then(
    () => 'done',
    (err: BeckonError) => err.code || err.name,
  );
}

/** Runs while globalThis has what a browser tab has. */
async function inTab(run: () => Promise<void>): Promise<void> {
  const held = new Set<string>();
  const store = new Map<string, string>();
  const storage = {
    getItem: (key: string) => store.get(key) ?? null,
    setItem: (key: string, value: string) => void store.set(key, value),
    removeItem: (key: string) => void store.delete(key),
  };
  const request = async (name: string, _: object, use: (lock: object | null) => unknown): Promise<unknown> => {
    if (held.has(name)) return use(null);
    held.add(name);
    return use({ name });
  };
  const parts = { document: {}, sessionStorage: storage, localStorage: storage, navigator: { locks: { request } } };
  const before = Object.keys(parts).map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)] as const);
  for (const [name, value] of Object.entries(parts))
    Object.defineProperty(globalThis, name, { configurable: true, value });
  try {
    await run();
  } finally {
    for (const [name, original] of before)
      if (original) Object.defineProperty(globalThis, name, original);
      else Reflect.deleteProperty(globalThis, name);
    Reflect.deleteProperty(globalThis, Symbol.for('beckon.device'));
  }
}

const cases: Record<string, () => Promise<void>> = {
  'one device ID, two clients': async () => {
    const [first, second] = [device('amy'), device('amy')];
    await first.connect();
    const kicked = first.once('onKickedOffline');
    const closed = first.once('onDisconnected');
    await second.connect();
    await kicked;
    assert.equal((await closed).code, 4502);
    assert.deepEqual([first.connected, second.connected], [false, true]);
    assert.deepEqual(await online('amy'), ['amy']);
  },

  'one identity': () =>
    inTab(async () => {
      const ids = new Set<string>();
      for (let n = 0; n < 50; n++) {
        const client = device('kim', '');
        await client.connect();
        ids.add(client.deviceID);
        if (n % 2) client.close(); // the next one replaces the others
      }
      assert.equal(ids.size, 1);
      const last = device('kim', '');
      await last.connect();
      assert.deepEqual(await online('kim'), [...ids]);
    }),

  'a close while connecting': async () => {
    for (const wait of [undefined, 0, 1, 2, 5, 10, 20]) {
      const client = device('ann', `close after ${wait}`);
      const connected = outcomeOf(client.connect());
      if (wait !== undefined) await sleep(wait);
      client.close();
      const outcome = await connected;
      assert.ok(outcome === 9508 || (outcome === 'done' && wait), `after ${wait} ms: ${outcome}`);
      assert.equal(client.connected, false);
    }
    await offline('ann');
    const client = device('ben');
    const first = client.connect();
    client.close();
    const second = client.connect(); // a client may connect again
    await assert.rejects(first, { code: 9508 });
    await second;
    assert.deepEqual(await online('ben'), ['ben']);
  },

  'a cancelled connect': async () => {
    for (const wait of [undefined, 0, 1, 2, 5, 10, 20]) {
      const client = device('cid', `cancelled after ${wait}`);
      const abort = new AbortController();
      const connected = outcomeOf(client.connect({ signal: abort.signal }));
      if (wait !== undefined) await sleep(wait);
      abort.abort();
      const outcome = await connected;
      assert.ok(outcome === 9508 || (outcome === 'done' && wait), `after ${wait} ms: ${outcome}`);
      if (outcome === 'done') client.close(); // the signal came too late
    }
    await offline('cid');
    const abort = new AbortController();
    const nowhere = new Client({ server: 'http://127.0.0.1:9', token: 't', deviceID: 'd', websocket: WebSocket });
    const connecting = nowhere.connect({ signal: abort.signal });
    setTimeout(() => abort.abort(), 50);
    await assert.rejects(connecting, { code: 9508 });
    const client = device('cid');
    await assert.rejects(client.connect({ signal: abort.signal }), { code: 9508 });
    await client.connect();
    assert.deepEqual(await online('cid'), ['cid']);
  },

  'a cancelled call': async () => {
    const client = device('dot');
    const call = (): [AbortController, Promise<unknown>] => {
      const abort = new AbortController();
      return [abort, client.sendMessage({ userID: 'amy', text: 'cancelled' }, { signal: abort.signal })];
    };
    const connected = client.connect();
    const [waits, first] = call(); // for the connection
    const other = client.getDeviceList();
    waits.abort();
    await assert.rejects(first, { name: 'AbortError' });
    await Promise.all([connected, other]);
    const { messages } = await client.getHistoryMessageList({ conversationID: 'c2c_amy' });
    assert.deepEqual(messages ?? [], []);
    let lost = 0;
    client.on('onConnecting', () => lost++);
    const [sent, second] = call();
    const another = client.getDeviceList();
    sent.abort(new Error('no longer needed'));
    await assert.rejects(second, { message: 'no longer needed' });
    await another;
    assert.deepEqual([client.connected, lost], [true, 0]);
  },

  'a request over the limit': async () => {
    const client = device('dan');
    await client.connect();
    let lost = 0;
    client.on('onConnecting', () => lost++);
    const names = (bytes: number): string[] =>
      Array.from({ length: bytes / 16 }, (_, i) => `user-${i}`.padEnd(13, 'x'));
    await assert.rejects(client.getUsersInfo({ userIDList: names(1.5 * 2 ** 20) }), (err: BeckonError) => {
      assert.deepEqual([err.code, err.field], [8001, 'request']);
      assert.match(err.message, /^getUsersInfo: the request has \d+ bytes; the limit is 1048576$/);
      return true;
    });
    await assert.rejects(client.getUsersInfo({ userIDList: names(0.9 * 2 ** 20) }), { code: 6017 }); // by the server
    assert.equal(lost, 0);
  },

  'a token source that fails': async () => {
    let calls = 0;
    const token = async (): Promise<string> => {
      if (++calls < 3) throw new Error('the app server is away');
      return server.cluster.token('eva');
    };
    const client = device('eva', 'eva', { token });
    const errors: string[] = [];
    client.on('onTokenError', ({ error }) => errors.push(error.message));
    await client.connect();
    assert.deepEqual(errors, ['the app server is away', 'the app server is away']);
  },

  'a token that is refused': async () => {
    await assert.rejects(device('eva', 'eva', { token: 'no token' }).connect(), { code: 70009 });
    await assert.rejects(device('eva', 'eva', { token: () => 'no token' }).connect(), { code: 70009 });
  },

  'a call before connect': async () => {
    const client = device('fay', 'before');
    const begin = performance.now();
    await assert.rejects(client.getDeviceList(), { code: 9508 });
    assert.ok(performance.now() - begin < 1000);
    await client.connect();
    await client.getDeviceList();
  },

  'a call after a close': async () => {
    const never = device('fay', 'never connected');
    never.close();
    const connecting = device('fay', 'connecting');
    const connected = outcomeOf(connecting.connect());
    connecting.close();
    const online = device('fay', 'online');
    await online.connect();
    online.close();
    for (const client of [never, connecting, online]) {
      const begin = performance.now();
      await assert.rejects(client.getDeviceList(), { code: 9508 });
      await assert.rejects(client.sendMessage({ userID: 'amy', text: 'hello' }), { code: 9508 });
      await assert.rejects(client.addInvitedSignaling({ inviteID: 'i' }), { code: 9508 });
      assert.deepEqual([await client.ping(), await client.checkConnection()], [false, false]);
      assert.ok(performance.now() - begin < 1000);
      client.close(); // again
    }
    assert.equal(await connected, 9508);
  },

  'a call during a close': async () => {
    const online = device('gus', 'online');
    await online.connect();
    const connecting = device('gus', 'connecting');
    const connected = outcomeOf(connecting.connect());
    for (const client of [online, connecting]) {
      const begin = performance.now();
      const calls = [client.getDeviceList(), client.sendMessage({ userID: 'amy', text: 'hello' })].map(outcomeOf);
      client.close();
      assert.deepEqual(await Promise.all(calls), [9508, 9508]);
      assert.ok(performance.now() - begin < 1000);
    }
    assert.equal(await connected, 9508);
  },
};

test('docs/client-edges.md has the cases below', () => {
  const table = readFileSync(new URL('../../../docs/client-edges.md', import.meta.url), 'utf8');
  const names = [...table.matchAll(/^\| (.+?) \|/gm)].map((m) => m[1]!);
  assert.deepEqual(names.slice(1), Object.keys(cases));
});

for (const [name, run] of Object.entries(cases)) test(name, run);
