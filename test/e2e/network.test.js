// Calls with failing networks and sleeping computers: the view of each side, and one true record.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Cluster, User, connect, freePort, launch, launchServer, waitForVideo } from './kit.js';
import { Network, watchCall } from './network.js';

const notice = 10_000; // limit in milliseconds until a page shows an outage; LiveKit alone takes up to 26 s

let cluster, browser, udpPort;

before(async () => {
  udpPort = await freePort();
  [cluster, browser] = await Promise.all([
    Cluster.start({ BECKON_ORIGINS: '*', BECKON_MEDIA_UDP_PORT: String(udpPort) }),
    launch(),
  ]);
});

after(async () => {
  await browser?.close();
  await cluster?.stop();
  assert.deepEqual(cluster?.faults ?? [], [], 'a page threw something');
});

const ongoing = (p) => p.page.getByRole('region', { name: 'Call', exact: true });
const ringing = (p) => p.page.getByRole('dialog', { name: 'Video call' });
const inPhase = (p, phase) => p.page.locator(`section[aria-label="Call"][data-phase="${phase}"]`).waitFor();
const toast = (p, text) => p.page.locator('.toast', { hasText: text });

async function dial(from, to) {
  await from.open('chat', `c2c_${to}`);
  await from.page.getByRole('button', { name: 'Video call', exact: true }).click();
}

/** Begins a call of two, and returns its open record. */
async function talk(from, to, [caller, callee]) {
  await dial(from, callee);
  await ringing(to).getByRole('button', { name: 'Accept' }).click();
  await Promise.all([waitForVideo(from.page, callee), waitForVideo(to.page, caller)]);
  return record(caller, (c) => !c.ended && c.began);
}

async function record(userID, test) {
  const until = Date.now() + 60_000;
  for (;;) {
    const { calls } = await cluster.call('listCalls', { userID });
    const found = calls.find(test);
    if (found) return found;
    assert.ok(Date.now() < until, `no such record: ${JSON.stringify(calls)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Checks that a call has ended for good: devices off, room closed, one record. */
async function checkEnded(p, userID, call) {
  await ongoing(p).waitFor({ state: 'detached' });
  await p.page.waitForFunction(() => window.beckonDevicesOn() === 0);
  await assert.rejects(cluster.call('getRoom', { roomID: call.roomID }, userID), /8013/);
  const { calls } = await cluster.call('listCalls', { roomID: call.roomID });
  assert.deepEqual(
    calls.map((c) => c.callID),
    [call.callID],
  );
}

test('the computer of the caller sleeps for longer than the call lasts: it wakes into no call', async () => {
  const server = await launchServer();
  const [alice, bob] = await Promise.all([
    User.signIn(cluster, await connect(server), 'Alice Moreau', { prepare: watchCall }),
    User.signIn(cluster, browser, 'Bob Tanaka'),
  ]);
  const call = await talk(alice, bob, ['alice', 'bob']);
  process.kill(-server.process().pid, 'SIGSTOP');
  const { reason, duration, ended, began } = await record('alice', (c) => c.ended && c.callID === call.callID);
  await ongoing(bob).waitFor({ state: 'detached' });
  await toast(bob, 'The connection to Alice Moreau was lost – call again').waitFor();
  process.kill(-server.process().pid, 'SIGCONT');
  await checkEnded(alice, 'alice', call);
  assert.deepEqual([reason, duration], ['left', ended - began]);
  await Promise.all([alice.leave(), bob.leave()]);
  await server.close();
});

test('the network of the caller is away for longer than the call lasts: no new call on its return', async () => {
  const network = await Network.open(cluster, udpPort);
  const [alice, bob] = await Promise.all([
    User.signIn(cluster, browser, 'Alice Moreau', { network, prepare: watchCall }),
    User.signIn(cluster, browser, 'Bob Tanaka'),
  ]);
  const call = await talk(alice, bob, ['alice', 'bob']);
  network.set({ media: false, signaling: false });
  await alice.page.getByText('The connection to the room is lost').waitFor();
  const { reason } = await record('alice', (c) => c.ended && c.callID === call.callID);
  await ongoing(bob).waitFor({ state: 'detached' });
  await toast(bob, 'The connection to Alice Moreau was lost – call again').waitFor();
  network.set({});
  await checkEnded(alice, 'alice', call);
  assert.equal(reason, 'left');
  await Promise.all([alice.leave(), bob.leave()]);
  network.close();
});

test('a network that passes no media: one sentence names the port, and nobody was in a call', async () => {
  const network = await Network.open(cluster, udpPort);
  const [alice, bob] = await Promise.all([
    User.signIn(cluster, browser, 'Alice Moreau', { prepare: watchCall }),
    User.signIn(cluster, browser, 'Bob Tanaka', { network, prepare: watchCall }),
  ]);
  const before = (await cluster.call('listCalls', { userID: 'bob' })).calls.length;
  network.set({ media: false });
  await dial(alice, 'bob');
  await ringing(bob).getByRole('button', { name: 'Accept' }).click();
  await toast(bob, new RegExp(`^Your network blocks calls: UDP ${udpPort}$`)).waitFor();
  await toast(alice, 'The connection to Bob Tanaka was lost – call again').waitFor();
  for (const p of [alice, bob]) {
    await ongoing(p).waitFor({ state: 'detached' });
    await p.page.waitForFunction(() => window.beckonDevicesOn() === 0);
    const shown = await p.page.evaluate(() => window.beckonShown);
    assert.ok(!shown.some((s) => s.value === 'connected'), `${p.name} saw ${JSON.stringify(shown)}`);
  }
  assert.equal((await cluster.call('listCalls', { userID: 'bob' })).calls.length, before, 'a record was written');

  network.set({});
  await alice.page.getByRole('button', { name: 'call again' }).click();
  await ringing(bob).getByRole('button', { name: 'Accept' }).click();
  await Promise.all([waitForVideo(alice.page, 'bob'), waitForVideo(bob.page, 'alice')]);
  await bob.page.getByRole('button', { name: 'Hang up' }).click();
  await ongoing(alice).waitFor({ state: 'detached' });
  assert.equal(await toast(alice, 'The call has ended').count(), 1);
  await Promise.all([alice.leave(), bob.leave()]);
  network.close();
});

test('an outage of a few seconds: both sides see it, the timer stops, and the call goes on', async (t) => {
  const network = await Network.open(cluster, udpPort);
  const [alice, bob] = await Promise.all([
    User.signIn(cluster, browser, 'Alice Moreau', { network, prepare: watchCall }),
    User.signIn(cluster, browser, 'Bob Tanaka', { prepare: watchCall }),
  ]);
  const call = await talk(alice, bob, ['alice', 'bob']);
  const lost = alice.page.getByText('The connection to the room is lost');
  assert.equal(await lost.count(), 0);
  const began = Date.now();
  const since = () => Date.now() - began;
  network.set({ media: false, signaling: false });
  const [own, peer] = await Promise.all([
    lost.waitFor({ timeout: notice }).then(since),
    bob.page.locator('[data-user="alice"][data-link="lost"]').waitFor({ timeout: notice }).then(since),
  ]);
  network.set({});
  await Promise.all([alice, bob].map((p) => inPhase(p, 'connected')));
  await lost.waitFor({ state: 'detached' });
  const back = since();
  for (const [p, user] of [
    [alice, 'bob'],
    [bob, 'alice'],
  ]) {
    await p.page.locator(`[data-user="${user}"][data-link="good"]`).waitFor();
    await waitForVideo(p.page, user);
  }
  t.diagnostic(`own side knew after ${own} ms, the peer after ${peer} ms; back after ${back} ms`);
  await bob.page.getByRole('button', { name: 'Hang up' }).click();
  await ongoing(alice).waitFor({ state: 'detached' });
  const r = await record('alice', (c) => c.ended && c.callID === call.callID);
  assert.deepEqual([r.reason, r.endedBy, r.began], ['hangup', 'bob', call.began]);
  await Promise.all([alice.leave(), bob.leave()]);
  network.close();
});

test('hanging up while a reconnect opens camera and microphone again: they go off', async () => {
  const network = await Network.open(cluster, udpPort);
  const [alice, bob] = await Promise.all([
    User.signIn(cluster, browser, 'Alice Moreau', { network, prepare: watchCall }),
    User.signIn(cluster, browser, 'Bob Tanaka'),
  ]);
  await talk(alice, bob, ['alice', 'bob']);
  const opened = await alice.page.evaluate(() => {
    window.beckonAsked = 0;
    window.beckonHold = new Promise((resolve) => {
      window.beckonRelease = resolve;
    });
    return window.beckonOpened();
  });
  network.set({ media: false, signaling: false });
  await bob.page.locator('.tile.waiting', { hasText: 'connection lost' }).waitFor(); // the server has let go
  network.set({});
  await alice.page.waitForFunction(() => window.beckonAsked === 2);
  await alice.page.getByRole('button', { name: 'Hang up' }).click();
  await ongoing(alice).waitFor({ state: 'detached' });
  await alice.page.evaluate(() => window.beckonRelease());
  await alice.page.waitForFunction((n) => window.beckonOpened() === n + 2 && window.beckonDevicesOn() === 0, opened);
  await ongoing(bob).waitFor({ state: 'detached' });
  await Promise.all([alice.leave(), bob.leave()]);
  network.close();
});
