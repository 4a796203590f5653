// Every scene of make test-net, in the network namespace of the server. Alice calls, and has the bad network; the pages of
// the others are of another origin than the server's.

import { parseArgs } from 'node:util';
import { Cluster } from '../e2e/kit.js';
import { Scene, hosts, names, wait } from './call.js';
import { judge } from './judge.js';
import { Network } from './network.js';
import { header, lines, row } from './report.js';

const ports = { udp: 7882, tcp: 7881 };
const hour = 3_600_000;

/** Changes the network of alice for some seconds, or for good. */
const network =
  (conditions, seconds) =>
  async ({ network: n }) => {
    await n.set('alice', conditions);
    if (!seconds) return;
    await wait(seconds);
    await n.set('alice');
  };

const away = (seconds) => network({ drop: ['all'] }, seconds);
const mediaOnly = [`udp:${ports.udp}`, `tcp:${ports.tcp}`];

/** Stops the browser of alice, as a laptop does that sleeps. */
const stopped =
  (seconds) =>
  async ({ servers }) => {
    process.kill(-servers.alice.process().pid, 'SIGSTOP');
    await wait(seconds);
    process.kill(-servers.alice.process().pid, 'SIGCONT');
  };

const killed =
  (seconds) =>
  async ({ cluster }) => {
    await cluster.kill();
    await wait(seconds);
    await cluster.run();
  };

/** Calls from a second tab of alice, and from carol, during the call. */
async function secondTab(scene) {
  const { alice, carol } = scene.people;
  const tab = await alice.tab();
  await tab.evaluate(() => {
    location.hash = '#/chat/c2c_carol';
  });
  await tab.getByRole('button', { name: 'Video call', exact: true }).click();
  await wait(4);
  const shown = await tab.evaluate(() => window.beckonEvents.filter((e) => e.what === 'phase' || e.what === 'toast'));
  const rang = await carol.page.evaluate(() => window.beckonEvents.some((e) => e.what === 'dialog' && e.value));
  const text = shown.map((e) => e.value).filter((v) => v && v !== 'idle');
  scene.notes.push(`second tab: ${text.join(', ') || 'nothing'}; Carol ${rang ? 'was rung' : 'was not rung'}`);
  await tab.close();
  await carol.open('chat', 'c2c_alice');
  await carol.page.getByRole('button', { name: 'Video call', exact: true }).click();
  await wait(3);
  const toasts = await carol.page.evaluate(() => window.beckonEvents.filter((e) => e.what === 'toast' && e.value));
  scene.notes.push(`Carol calls Alice: "${toasts.at(-1)?.value ?? ''}"`);
}

const three = { callees: ['bob', 'carol'] };

/**
 * The scenes. conditions are those of alice's network from the start of the call; act is the later change; away is the
 * time in seconds for which alice is away; ring is the time before the answer, 1 by default; paused: alice's page shows
 * that pictures are paused; tail is the time in seconds before the hang-up, 12 by default.
 */
const scenes = [
  { name: 'nothing', tail: 5 },
  { name: 'loss 3 %', conditions: { loss: 3 } },
  { name: 'loss 10 %', conditions: { loss: 10 } },
  { name: 'loss 30 %', conditions: { loss: 30 } },
  { name: 'delay 300 ms one way', conditions: { delay: 300 } },
  { name: 'delay 300 ms one way, answered after 4 s', conditions: { delay: 300 }, ring: 4, tail: 5 },
  { name: '200 kbit/s', conditions: { rate: 200 }, paused: true, tail: 20 },
  { name: 'UDP blocked from the start', conditions: { drop: ['udp'] } },
  { name: 'UDP blocked in the call', act: network({ drop: ['udp'] }), tail: 35 },
  { name: 'media ports closed', conditions: { drop: mediaOnly }, records: 0, tail: 3 },
  { name: 'network away 3 s', act: away(3), away: 3 },
  { name: 'network away 8 s', act: away(8), away: 8 },
  { name: 'network away 20 s', act: away(20), away: 20, over: true },
  { name: 'network away 60 s', act: away(60), away: 60, over: true },
  { name: 'address change', act: ({ network: n }) => n.move('alice'), tail: 20 },
  { name: 'NAT rebind in the call', act: ({ network: n }) => n.forget('alice'), tail: 35 },
  { name: 'NAT rebind of a callee, then a call', beforeDial: ({ network: n }) => n.forget('bob'), tail: 3 },
  { name: 'WebSocket away 8 s, media alive', act: network({ drop: ['tcp'] }, 8) },
  { name: 'WebSocket away 20 s, media alive', act: network({ drop: ['tcp'] }, 20) },
  { name: 'media away 8 s, WebSocket alive', act: network({ drop: mediaOnly }, 8) },
  { name: 'media away 20 s, WebSocket alive', act: network({ drop: mediaOnly }, 20) },
  { name: 'server killed for 2 s', act: killed(2) },
  { name: 'server killed for 12 s', act: killed(12) },
  { name: 'server killed for 40 s', act: killed(40) },
  { name: 'browser stopped for 10 s', act: stopped(10), away: 10 },
  { name: 'browser stopped for 40 s', act: stopped(40), away: 40, over: true },
  { name: 'clock of the caller an hour ahead', clocks: { alice: hour }, tail: 4 },
  { name: 'clock of the callee a day behind', clocks: { bob: -24 * hour }, tail: 4 },
  { name: 'two tabs', others: ['carol'], act: secondTab, tail: 1 },
  { name: 'three: loss 10 %', ...three, conditions: { loss: 10 } },
  { name: 'three: network away 8 s', ...three, act: away(8), away: 8 },
  { name: 'three: network away 40 s', ...three, act: away(40), away: 40 },
  { name: 'three: server killed for 12 s', ...three, act: killed(12) },
];

/** Runs a scene within a limit of time. */
async function limited(scene) {
  const s = new Scene(scene, cluster, net);
  const limit = 150 + (scene.away ?? 0);
  let timer;
  const late = new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`not over after ${limit} s`)), 1000 * limit);
  });
  const done = s.run();
  done.catch(() => undefined);
  try {
    return await Promise.race([done, late]);
  } catch (err) {
    await s.close();
    throw err;
  } finally {
    clearTimeout(timer);
  }
}

const { values: options } = parseArgs({
  options: { only: { type: 'string', multiple: true, default: [] }, list: { type: 'boolean' } },
});
const chosen = scenes.filter((s) => !options.only.length || options.only.some((text) => s.name.includes(text)));
if (options.list || !chosen.length) {
  console.log(scenes.map((s) => s.name).join('\n'));
  process.exit(options.list ? 0 : 1);
}

const net = await Network.open(process.env.BECKON_NET, Object.keys(names));
const cluster = await Cluster.start(
  { BECKON_ORIGINS: '*', BECKON_MEDIA_UDP_PORT: String(ports.udp), BECKON_MEDIA_TCP_PORT: String(ports.tcp) },
  hosts,
);
const details = [];
let failed = 0;
console.log(header);
for (const scene of chosen) {
  try {
    const seen = await limited(scene);
    const problems = judge(seen);
    if (problems.length) failed++;
    console.log(row(seen, problems));
    details.push(...lines(seen, problems));
  } catch (err) {
    failed++;
    console.log(`| ${scene.name} | failed: ${err.message.split('\n')[0]} | | | | | | | |`);
  }
}
console.log(`\n${details.join('\n')}\n\n${chosen.length - failed} passed, ${failed} failed`);
await Promise.race([cluster.stop(), wait(10)]);
net.close();
process.exit(failed ? 1 : 0);
