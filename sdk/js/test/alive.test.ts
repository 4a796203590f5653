// Checks of the connection against the real server, through a network that goes silent without closing anything.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { Restart } from '../src/restart.js';
import { serveTests } from './cluster.js';
import { behindProxy } from './proxy.js';

/** The events of a page, which Node does not have. */
const page = new EventTarget();
const connection = new EventTarget();
const doc = Object.assign(new EventTarget(), { visibilityState: 'visible' });
const shim = {
  addEventListener: page.addEventListener.bind(page),
  removeEventListener: page.removeEventListener.bind(page),
};

beforeEach(() => {
  Object.assign(globalThis, shim, { document: doc });
  Object.defineProperty(globalThis, 'navigator', { value: { connection }, configurable: true });
});
const server = serveTests();
const at = behindProxy(server, 'pass', { storage: false });
afterEach(() => {
  for (const name of [...Object.keys(shim), 'document']) delete (globalThis as Record<string, unknown>)[name];
});

const sockets = (): number => at.proxy.paths.filter((p) => p === '/connection/websocket').length;

for (const [name, happens] of [
  ['the page becomes online', (): boolean => page.dispatchEvent(new Event('online'))],
  ['the network changes', (): boolean => connection.dispatchEvent(new Event('change'))],
  ['the page becomes visible', (): boolean => doc.dispatchEvent(new Event('visibilitychange'))],
] as const) {
  test(`a dead connection is replaced when ${name}`, async () => {
    await at.client.connect();
    at.proxy.silence();
    const caller = server.cluster.device(`caller-of-${at.user}`);
    await caller.connect();
    const { inviteID } = await caller.invite({ invitee: at.user, timeout: 60 });
    const rings = at.client.once('onReceiveNewInvitation');
    const began = performance.now();
    happens();
    assert.equal((await rings).inviteID, inviteID);
    console.log(`${name}: rings after ${Math.round(performance.now() - began)} ms`);
    assert.equal(sockets(), 2);
    caller.close();
  });
}

test('an attempt to connect that has no answer is replaced when the page becomes online', async () => {
  await at.client.connect();
  at.proxy.mode = 'swallow';
  at.proxy.cut();
  while (sockets() < 2) await new Promise((resolve) => setTimeout(resolve, 10));
  at.proxy.mode = 'pass';
  const again = at.client.once('onConnected');
  page.dispatchEvent(new Event('online'));
  page.dispatchEvent(new Event('online')); // soon after an attempt has begun it is left alone
  await again;
  // After the time limit of the attempt, 5 s, the client would have tried HTTP streaming.
  assert.deepEqual([sockets(), at.proxy.paths.includes('/connection/http_stream')], [3, false]);
});

test('a living connection stays, and a hidden page asks nothing', async () => {
  await at.client.connect();
  assert.deepEqual(await Promise.all([at.client.ping(), at.client.checkConnection(), at.client.checkConnection()]), [
    true,
    true,
    true,
  ]);
  doc.visibilityState = 'hidden';
  doc.dispatchEvent(new Event('visibilitychange'));
  doc.visibilityState = 'visible';
  page.dispatchEvent(new Event('online'));
  assert.equal(await at.client.checkConnection(), true);
  assert.equal(sockets(), 1);
  at.client.close();
  page.dispatchEvent(new Event('online'));
  assert.deepEqual([await at.client.ping(), await at.client.checkConnection()], [false, false]);
});

test('ICE is restarted when packets stop while the server answers, at most three times', async () => {
  let alive = false;
  const began: number[] = [];
  const engine = {
    pendingReconnect: false,
    attemptingReconnect: false,
    handleDisconnect: (_: string, reason: number) => void began.push(reason),
  };
  let changed = (): void => {};
  const room = {
    ...{ engine, state: 'connected', remoteParticipants: new Map<string, object>() },
    on: (_: string, handler: () => void) => void (changed = handler),
  };
  const restart = new Restart(room as never, async () => alive);
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const note = async (silent: boolean, later = 5000): Promise<void> => {
    restart.note(silent, performance.now() + later);
    await settle();
  };
  await note(false);
  await note(true); // the whole network is away
  assert.deepEqual(began, []);
  alive = true;
  await note(true); // alone
  room.remoteParticipants.set('bob', {});
  room.state = 'reconnecting';
  await note(true); // LiveKit has begun by itself
  room.state = 'connected';
  changed();
  await note(true, 1000); // LiveKit has just connected
  engine.attemptingReconnect = true; // LiveKit is at it
  await note(true);
  engine.attemptingReconnect = false;
  assert.deepEqual(began, []);
  await note(true);
  await note(true); // the first restart has its time
  assert.deepEqual(began, [0]);
  for (let i = 0; i < 5; i++) await note(true, 7000);
  assert.deepEqual(began, [0, 2, 2]);
  await note(false);
  await note(true);
  assert.deepEqual(began, [0, 2, 2, 0]);
  restart.stop();
  await note(true, 1e9);
  assert.equal(began.length, 4);
});
