// Calls from networks that block UDP, in mid-call, or pass only TLS.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { after, before, test } from 'node:test';
import { createServer } from 'node:tls';
import { certificateFor } from './certificate.js';
import { Cluster, User, freePort, launch, waitForVideo } from './kit.js';
import { Network, watchCall } from './network.js';

let cluster, browser, udpPort, host;

/** Returns an address of this machine that is not its loopback: the media server has no TCP port there. */
function ownAddress() {
  const all = Object.values(networkInterfaces()).flat();
  const found = all.find((a) => a.family === 'IPv4' && !a.internal);
  if (!found) throw new Error('this test needs an IPv4 address besides 127.0.0.1, for calls over TCP');
  return found.address;
}

before(async () => {
  host = ownAddress();
  udpPort = await freePort();
  [cluster, browser] = await Promise.all([
    Cluster.start({ BECKON_ORIGINS: '*', BECKON_MEDIA_UDP_PORT: String(udpPort), BECKON_MEDIA_IP: host }),
    launch(),
  ]);
});

after(async () => {
  await browser?.close();
  await cluster?.stop();
  assert.deepEqual(cluster?.faults ?? [], [], 'a page threw something');
});

const ownLink = (p, link) => p.page.locator(`section[aria-label="Call"] .tile.own[data-link="${link}"]`).waitFor();

test('UDP is blocked in mid-call: the call continues over TCP, without a leave', async () => {
  const network = await Network.open(cluster, udpPort, { host });
  const [alice, bob] = await Promise.all([
    User.signIn(cluster, browser, 'Alice Moreau', { network, prepare: watchCall }),
    User.signIn(cluster, browser, 'Bob Tanaka', { prepare: watchCall }),
  ]);
  await alice.open('chat', 'c2c_bob');
  await alice.page.getByRole('button', { name: 'Video call', exact: true }).click();
  await bob.page.getByRole('button', { name: 'Accept' }).click();
  await Promise.all([waitForVideo(alice.page, 'bob'), waitForVideo(bob.page, 'alice')]);
  const began = Date.now();
  network.set({ media: false });
  await ownLink(alice, 'lost');
  await ownLink(alice, 'good');
  const back = Date.now() - began;
  await Promise.all([waitForVideo(alice.page, 'bob'), waitForVideo(bob.page, 'alice')]);
  console.log(`UDP blocked in mid-call: media is back after ${back} ms`);
  for (const p of [alice, bob]) {
    const phases = (await p.page.evaluate(() => window.beckonShown)).filter((s) => s.what === 'phase' && s.at > began);
    assert.deepEqual(phases, [], `${p.name} saw another phase`);
  }
  await bob.page.getByRole('button', { name: 'Hang up' }).click();
  await alice.page.getByRole('region', { name: 'Call', exact: true }).waitFor({ state: 'detached' });
  await Promise.all([alice.leave(), bob.leave()]);
  network.close();
  const { calls } = await cluster.call('listCalls', { userID: 'alice' });
  assert.deepEqual(
    calls.map((c) => c.reason),
    ['hangup'],
  );
});

/** Restricts the pages of a context to relays, as in a network that passes only TLS. */
async function relayOnly(context) {
  await context.addInitScript(() => {
    const Real = RTCPeerConnection;
    window.RTCPeerConnection = class extends Real {
      constructor(config) {
        super({ ...config, iceTransportPolicy: 'relay' });
      }
      setConfiguration(config) {
        super.setConfiguration({ ...config, iceTransportPolicy: 'relay' });
      }
    };
  });
}

test('a browser that may use TLS only calls by TURN', async (t) => {
  const { cert, key, hash } = certificateFor('localhost');
  const behind = await freePort();
  const front = createServer({ cert, key }, (client) => {
    const server = connect(behind, '127.0.0.1');
    for (const [from, to] of [
      [client, server],
      [server, client],
    ]) {
      from.pipe(to);
      from.on('error', () => to.destroy());
      from.on('close', () => to.destroy());
    }
  }).listen(0, '127.0.0.1');
  await once(front, 'listening');
  let connections = 0;
  front.on('secureConnection', () => connections++);
  t.after(() => front.close());
  const turning = await Cluster.start({
    BECKON_MEDIA_TURN_DOMAIN: 'localhost',
    BECKON_MEDIA_TURN_LISTEN: `127.0.0.1:${behind}`,
    BECKON_MEDIA_TURN_PORT: String(front.address().port),
  });
  const walled = await launch({ args: [`--ignore-certificate-errors-spki-list=${hash}`] });
  t.after(async () => {
    await walled.close();
    await turning.stop();
  });
  const [alice, bob] = await Promise.all([
    User.signIn(turning, walled, 'Alice Moreau', { prepare: relayOnly }),
    User.signIn(turning, browser, 'Bob Tanaka'),
  ]);
  await alice.open('chat', 'c2c_bob');
  const began = Date.now();
  await alice.page.getByRole('button', { name: 'Video call', exact: true }).click();
  await bob.page.getByRole('button', { name: 'Accept' }).click();
  await Promise.all([waitForVideo(alice.page, 'bob'), waitForVideo(bob.page, 'alice')]);
  console.log(`by TURN over TLS: pictures ${Date.now() - began} ms after the dial`);
  assert.ok(connections > 0);
  await bob.page.getByRole('button', { name: 'Hang up' }).click();
  await alice.page.getByRole('region', { name: 'Call', exact: true }).waitFor({ state: 'detached' });
  await Promise.all([alice.leave(), bob.leave()]);
});
