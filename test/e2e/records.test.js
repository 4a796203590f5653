// Accuracy of call records: audio and video calls of random length end by hanging up, by a closed tab and by a killed
// browser. Each has exactly one record, with the duration that the pages measured. BECKON_E2E_SEED repeats the lengths
// of a run, and BECKON_E2E_CALLS sets their number.
//
// In the pages a call begins twice: the peer enters the room, and its first video or audio arrives. On a quiet machine
// the two are 0.1 to 0.4 s apart, on a busy one more than a second. The record must not be longer than the time since
// the first, or shorter than the time since the second.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Cluster, TIME_LIMIT, User, connect, launch, launchServer } from './kit.js';

// Each kind twice; fewer with three nodes on one machine. One after the other: pages without processor time measure late.
const calls = Number(process.env.BECKON_E2E_CALLS ?? (process.env.BECKON_E2E_NODES ? 4 : 12));
const exact = 0.5; // tolerance in seconds between the record and the pages
const notice = 6000; // limit in milliseconds until a page shows that the peer has left
const seed = Number(process.env.BECKON_E2E_SEED ?? Date.now() % 1_000_000);
const quiet = { args: ['--use-fake-device-for-media-stream=fps=10'] };

let cluster, browser;

before(async () => {
  [cluster, browser] = await Promise.all([Cluster.start(), launch(quiet)]);
});

after(async () => {
  await browser?.close();
  await cluster?.stop();
  assert.deepEqual(cluster?.faults ?? [], [], 'a page threw something');
});

/** mulberry32, a seeded random number generator. */
function random(start) {
  let a = start;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Runs in the page: records when the peer enters, has video and audio, and leaves, and when this user hangs up. */
function watch(peer) {
  const seen = (window.beckonSeen = {});
  addEventListener(
    'click',
    (e) => {
      if (e.target.closest('button')?.getAttribute('aria-label') === 'Hang up') seen.hungUp ??= Date.now();
    },
    true,
  );
  addEventListener('pagehide', () => localStorage.setItem('gone', Date.now())); // read by another page of the context
  new MutationObserver(() => {
    const tile = document.querySelector(`[data-user="${peer}"]`);
    const region = document.querySelector('section[aria-label="Call"]');
    if (tile) seen.present ??= Date.now();
    if (tile && !tile.querySelector('.label svg')) seen.sound ??= Date.now(); // the microphone is shown as open
    if (seen.present && !tile) seen.gone ??= Date.now();
    if (seen.present && !region) seen.over ??= Date.now();
    const video = tile?.querySelector('video');
    if (!video || video.watched) return;
    video.watched = true;
    video.requestVideoFrameCallback(() => {
      seen.frame ??= Date.now();
    });
  }).observe(document, { childList: true, subtree: true, attributes: true });
}

async function user(name, peer, from) {
  const p = await User.withToken(cluster, from, name);
  await p.context.addInitScript(watch, peer);
  await p.page.goto(`${cluster.url}/#/chat/c2c_${peer}`);
  await p.page.reload();
  await p.page.getByRole('button', { name: 'Voice call', exact: true }).waitFor();
  return p;
}

const region = (p) => p.page.getByRole('region', { name: 'Call', exact: true });
const saw = (p) => p.page.evaluate(() => window.beckonSeen);

/** Makes one call and returns the times that the pages measured. */
async function talk({ n, media, end, length }) {
  const [callerID, calleeID] = [`caller${n}`, `callee${n}`];
  const server = end === 'killed' ? await launchServer(quiet) : undefined;
  const [caller, callee] = await Promise.all([
    user(callerID, calleeID, browser),
    user(calleeID, callerID, server ? await connect(server) : browser),
  ]);
  await caller.page.getByRole('button', { name: media === 'audio' ? 'Voice call' : 'Video call', exact: true }).click();
  await callee.page.getByRole('button', { name: 'Accept' }).click();
  const first = media === 'video' ? 'frame' : 'sound';
  await Promise.all(
    [caller, callee].map((p) =>
      p.page.waitForFunction((f) => window.beckonSeen.present && window.beckonSeen[f], first, { timeout: TIME_LIMIT }),
    ),
  );
  const [a, b] = await Promise.all([saw(caller), saw(callee)]);
  const began = Math.min(a.present, b.present);
  const frame = Math.min(a[first], b[first]);
  await new Promise((resolve) => setTimeout(resolve, began + length - Date.now()));
  let ended;
  if (end === 'hangup') {
    await callee.page.getByRole('button', { name: 'Hang up' }).click();
    ended = (await saw(callee)).hungUp;
  } else if (end === 'closed') {
    const gone = callee.page.waitForEvent('close');
    await callee.page.close({ runBeforeUnload: true });
    await gone;
    const next = await callee.context.newPage();
    await next.goto(`${cluster.url}/icon.svg`);
    // another process wrote it
    const noted = await next.waitForFunction(() => localStorage.getItem('gone'), undefined, { timeout: TIME_LIMIT });
    ended = Number(await noted.jsonValue());
    assert.ok(ended > began, 'the closed tab recorded an end before the call');
  } else {
    ended = Date.now();
    await server.kill();
  }
  await caller.page.waitForFunction(() => window.beckonSeen.gone ?? window.beckonSeen.over, undefined, {
    timeout: TIME_LIMIT,
  });
  const after = await saw(caller);
  const learned = Math.min(after.gone ?? Infinity, after.over ?? Infinity) - ended;
  if (n % 8 > 1)
    await caller.page
      .getByRole('button', { name: 'Hang up' })
      .click({ timeout: 1000 })
      .catch(() => undefined); // the other calls are ended by the server
  await region(caller).waitFor({ state: 'detached', timeout: 2 * TIME_LIMIT });
  await caller.leave();
  if (!server) await callee.context.close();
  return { callerID, seconds: (ended - began) / 1000, frames: (ended - frame) / 1000, learned };
}

/** Waits for the one ended record of a caller. */
async function recordOf(userID) {
  for (const until = Date.now() + 30_000; ; await new Promise((resolve) => setTimeout(resolve, 200))) {
    const { calls: list } = await cluster.call('listCalls', { userID });
    if (list.length === 1 && list[0].ended) return list;
    if (Date.now() > until) return list;
  }
}

test(
  `${calls} calls of random length: one record each, with the measured duration`,
  { timeout: 420_000 },
  async (t) => {
    t.diagnostic(`BECKON_E2E_SEED=${seed}`);
    const next = random(seed);
    const plan = Array.from({ length: calls }, (_, n) => ({
      n,
      media: n % 2 ? 'audio' : 'video',
      end: ['hangup', 'closed', 'killed'][Math.floor(n / 2) % 3],
      length: 1000 + Math.round(next() ** 2 * 19_000), // mostly short
    })).sort(() => next() - 0.5);
    const faults = [];
    for (const call of plan) {
      const name = `call ${call.n} (${call.media}, ${call.end})`;
      const seen = await talk(call).catch((err) => {
        faults.push(`${name}: ${err.message}`);
      });
      if (!seen) continue;
      const records = await recordOf(seen.callerID);
      const [r] = records;
      const seconds = (r?.duration ?? NaN) / 1000;
      t.diagnostic(
        `${name}: in the room for ${seen.seconds.toFixed(2)} s, seen or heard for ${seen.frames.toFixed(2)} s; ` +
          `the record has ${seconds.toFixed(2)} s; the other page knew after ${(seen.learned / 1000).toFixed(1)} s`,
      );
      if (records.length !== 1) faults.push(`${name}: ${records.length} records`);
      else if (!(seconds <= seen.seconds + exact && seconds >= seen.frames - exact))
        faults.push(`${name}: the record has ${seconds} s, the pages saw ${seen.frames} to ${seen.seconds} s`);
      else if (r.media !== call.media) faults.push(`${name}: the record says ${r.media}`);
      if (seen.learned > notice) faults.push(`${name}: the other page knew only after ${seen.learned} ms`);
    }
    assert.deepEqual(faults, []);
  },
);
