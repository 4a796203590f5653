// The client and beckon/native with the globals of React Native only, against the real server.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createContext, Script } from 'node:vm';
import { build } from 'esbuild';
import { WebSocket } from 'ws';
import type * as core from '../src/index.js';
import type * as native from '../src/native/index.js';
import { serveTests } from './cluster.js';
import { FakeStorage } from './phone.js';

const server = serveTests();

/** The SDK as one script. */
const script = build({
  stdin: {
    contents: "export * from './index.js'; export * from './native/index.js';",
    resolveDir: fileURLToPath(new URL('../src', import.meta.url)),
    loader: 'ts',
  },
  bundle: true,
  format: 'iife',
  globalName: 'beckon',
  target: 'es2022',
  write: false,
}).then(({ outputFiles }) => new Script(outputFiles[0]!.text));

/** Runs the SDK like a new process: no document, location, crypto, Web Storage, streams, Response or EventSource. */
async function newProcess(): Promise<typeof core & typeof native> {
  const { setTimeout, clearTimeout, setInterval, clearInterval, queueMicrotask, performance } = globalThis;
  const timers = { setTimeout, clearTimeout, setInterval, clearInterval, queueMicrotask, performance };
  const { fetch, AbortController, TextEncoder, atob, console } = globalThis;
  const globals: Record<string, unknown> = { ...timers, fetch, AbortController, TextEncoder, atob, console, WebSocket };
  globals['navigator'] = { product: 'ReactNative' };
  globals['window'] = globals['self'] = globals;
  const context = createContext(globals);
  (await script).runInContext(context);
  return new Script('beckon').runInContext(context) as typeof core & typeof native;
}

test('a client connects, keeps its device and its positions, and receives missed messages after a restart', async () => {
  const storage = new FakeStorage();
  const alice = server.cluster.device('alice');
  server.clients.push(alice);
  await alice.connect();
  const run = async (): Promise<{ client: core.Client; loaded: native.LoadedStorage }> => {
    const { Client, LoadedStorage } = await newProcess();
    const loaded = await LoadedStorage.load(storage);
    const token = await server.cluster.token('bob');
    const client = new Client({ server: server.cluster.url, token, deviceID: loaded.deviceID, storage: loaded });
    server.clients.push(client);
    return { client, loaded };
  };
  const first = await run();
  await first.client.connect();
  const got = first.client.once('onReceiveMessage');
  await alice.sendMessage({ userID: 'bob', text: 'one' });
  assert.equal((await got).message.text, 'one');
  first.client.close();
  await first.loaded.written();
  await alice.sendMessage({ userID: 'bob', text: 'two' });
  const second = await run();
  const missed: (string | undefined)[] = [];
  second.client.on('onReceiveMessage', (e) => missed.push(e.message.text));
  const last = second.client.once('onReceiveMessage', (e) => e.message.text === 'three');
  await second.client.connect();
  assert.equal(second.client.deviceID, first.client.deviceID);
  await alice.sendMessage({ userID: 'bob', text: 'three' });
  await last;
  assert.deepEqual(missed, ['two', 'three']);
  await second.client.sendMessage({ userID: 'alice', text: 'four' });
});

test('IDs without crypto differ, and have the form of UUIDv7', async () => {
  const { newID } = await newProcess();
  const ids = new Set(Array.from({ length: 1000 }, () => newID()));
  assert.equal(ids.size, 1000);
  for (const id of ids) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test('a loaded storage reads at once, and writes in order', async () => {
  const { LoadedStorage } = await newProcess();
  const storage = new FakeStorage();
  await storage.setItem('beckon.a', '1');
  await storage.setItem('other', '2');
  const loaded = await LoadedStorage.load(storage);
  assert.deepEqual([loaded.getItem('beckon.a'), loaded.getItem('other')], ['1', null]);
  loaded.setItem('beckon.a', '3');
  loaded.removeItem('beckon.a');
  loaded.setItem('beckon.b', '4');
  assert.equal(loaded.getItem('beckon.a'), null);
  await loaded.written();
  assert.deepEqual(
    [...storage.values],
    [
      ['other', '2'],
      ['beckon.b', '4'],
    ],
  );
});
