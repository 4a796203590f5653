// Prints the view of both sides of a call in outages of different kinds and lengths, as a table in Markdown. Seconds count
// from the begin of the outage. Usage: node outages.js [scenario…]

import { Cluster, User, connect, freePort, launch, launchServer, waitForVideo } from './kit.js';
import { Network, watchCall } from './network.js';

const udpPort = await freePort();
const cluster = await Cluster.start({ BECKON_ORIGINS: '*', BECKON_MEDIA_UDP_PORT: String(udpPort) });
const browser = await launch();
const wait = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
const ongoing = (p) => p.page.getByRole('region', { name: 'Call', exact: true });

/** Cuts the network of alice for some seconds. */
const away =
  (seconds, cut = { media: false, signaling: false }) =>
  async ({ network }) => {
    network.set(cut);
    await wait(seconds);
    network.set({});
  };

const stopped =
  (seconds) =>
  async ({ server }) => {
    process.kill(-server.process().pid, 'SIGSTOP');
    await wait(seconds);
    process.kill(-server.process().pid, 'SIGCONT');
  };

const killed = (seconds) => async () => {
  await cluster.kill();
  await wait(seconds);
  await cluster.run();
};

const scenarios = {
  'network away 3 s': away(3),
  'network away 8 s': away(8),
  'network away 20 s': away(20),
  'network away 60 s': away(60),
  'media away 8 s, signaling alive': away(8, { media: false }),
  'signaling away 8 s, media alive': away(8, { signaling: false }),
  'browser stopped for 10 s': stopped(10),
  'browser stopped for 40 s': stopped(40),
  'server killed for 2 s': killed(2),
  'server killed for 12 s': killed(12),
};

/** Returns the state of a page after a time, with the seconds since then. */
async function seen(p, since) {
  const shown = await p.page.evaluate(() => window.beckonShown);
  const text = { phase: '', peer: 'peer ', own: 'link ', banner: '', toast: '' };
  return shown
    .filter((s) => s.at >= since && s.value)
    .map((s) => `${((s.at - since) / 1000).toFixed(1)} ${text[s.what]}${s.what === 'banner' ? 'banner' : s.value}`)
    .join('; ');
}

/** Runs one scenario and returns a row of the table. */
async function run(name, act) {
  const network = await Network.open(cluster, udpPort);
  const server = await launchServer();
  const [alice, bob] = await Promise.all([
    User.signIn(cluster, await connect(server), 'Alice Moreau', { network, prepare: watchCall }),
    User.signIn(cluster, browser, 'Bob Tanaka', { otherOrigin: true, prepare: watchCall }),
  ]);
  const earlier = new Set((await cluster.call('listCalls', {})).calls.map((c) => c.callID));
  await alice.open('chat', 'c2c_bob');
  await alice.page.getByRole('button', { name: 'Video call', exact: true }).click();
  await bob.page.getByRole('button', { name: 'Accept' }).click();
  await Promise.all([waitForVideo(alice.page, 'bob'), waitForVideo(bob.page, 'alice')]);
  await wait(3);
  const began = Date.now();
  await act({ network, server });
  const acted = (Date.now() - began) / 1000;
  await wait(12);
  const alive = await Promise.all([alice, bob].map((p) => ongoing(p).count()));
  const rows = await Promise.all([alice, bob].map((p) => seen(p, began)));
  if (alive[1]) await bob.page.getByRole('button', { name: 'Hang up' }).click();
  await wait(2);
  const records = (await cluster.call('listCalls', {})).calls.filter((c) => !earlier.has(c.callID));
  const text = records.map((c) => {
    const span = ((c.ended ?? Date.now()) - c.began) / 1000;
    return `${c.reason ?? 'open'}, span ${span.toFixed(1)}, talked ${(c.duration / 1000).toFixed(1)}`;
  });
  const on = await alice.page.evaluate(() => window.beckonDevicesOn());
  await Promise.all([alice.leave(), bob.leave()]);
  await server.close();
  network.close();
  return `| ${name} (${acted.toFixed(1)}) | ${rows[0]} | ${rows[1]} | ${text.join(' and ') || 'none'} | ${on} |`;
}

console.log(
  '| outage (seconds) | the side with the outage | the other side | record | devices on |\n|---|---|---|---|---|',
);
const chosen = process.argv.slice(2);
for (const [name, act] of Object.entries(scenarios)) {
  if (chosen.length && !chosen.includes(name)) continue;
  console.log(await run(name, act).catch((err) => `| ${name} | failed: ${err.message.split('\n')[0]} | | | |`));
}
await browser.close();
await cluster.stop();
