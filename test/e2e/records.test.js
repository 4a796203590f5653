// Call records are true: calls of random length, voice and video, that end by hanging up, by a closed tab and by a killed browser. Each has
// exactly one record, whose duration is the one that the pages measured. BECKON_E2E_SEED repeats the lengths of a run.
//
// The pages see two moments at which a call begins: the peer enters the room, and its first picture or sound arrives. On
// a quiet machine they are 0.1 to 0.4 s apart, on a busy one more than a second. The record must not be longer than the
// time since the first, or shorter than the time since the second.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { House, PATIENCE, Person, connect, launch, launchServer } from './kit.js';

const calls = process.env.BECKON_E2E_NODES ? 9 : 24; // fewer on three nodes, which share this machine
const together = 2; // calls at the same time: three have exceeded the bound when other programs ran
const exact = 0.5; // seconds between the record and what the pages saw
const notice = 6000; // milliseconds until a page shows that the other is gone
const seed = Number(process.env.BECKON_E2E_SEED ?? Date.now() % 1_000_000);
const quiet = { args: ['--use-fake-device-for-media-stream=fps=10'] };

let house, browser;

before(async () => {
  [house, browser] = await Promise.all([House.start(), launch(quiet)]);
});

after(async () => {
  await browser?.close();
  await house?.stop();
  assert.deepEqual(house?.faults ?? [], [], 'a page threw something');
});

/** mulberry32: the same numbers for the same seed. */
function random(start) {
  let a = start;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Runs in the page: notes when the peer enters the room, is first seen and heard, leaves, and when a user hangs up here. */
function watch(peer) {
  const seen = (window.beckonSeen = {});
  addEventListener(
    'click',
    (e) => {
      if (e.target.closest('button')?.getAttribute('aria-label') === 'Hang up') seen.hungUp ??= Date.now();
    },
    true,
  );
  addEventListener('pagehide', () => localStorage.setItem('gone', Date.now())); // another page of the profile reads it
  new MutationObserver(() => {
    const tile = document.querySelector(`[data-user="${peer}"]`);
    const region = document.querySelector('section[aria-label="Call"]');
    if (tile) seen.present ??= Date.now();
    if (tile && !tile.querySelector('.label svg')) seen.sound ??= Date.now(); // their microphone is not shown as muted
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
  const p = await Person.as(house, from, name);
  await p.context.addInitScript(watch, peer);
  await p.page.goto(`${house.url}/#/chat/c2c_${peer}`);
  await p.page.reload();
  await p.page.getByRole('button', { name: 'Voice call', exact: true }).waitFor();
  return p;
}

const region = (p) => p.page.getByRole('region', { name: 'Call', exact: true });
const saw = (p) => p.page.evaluate(() => window.beckonSeen);

/** One call; answers what the pages saw of it. */
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
      p.page.waitForFunction((f) => window.beckonSeen.present && window.beckonSeen[f], first, { timeout: PATIENCE }),
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
    await next.goto(`${house.url}/icon.svg`);
    ended = Number(await next.evaluate(() => localStorage.getItem('gone')));
    assert.ok(ended > began, 'the tab was closed without a word');
  } else {
    ended = Date.now();
    await server.kill();
  }
  await caller.page.waitForFunction(() => window.beckonSeen.gone ?? window.beckonSeen.over, undefined, {
    timeout: PATIENCE,
  });
  const after = await saw(caller);
  const learned = Math.min(after.gone ?? Infinity, after.over ?? Infinity) - ended;
  if (n % 8 > 1)
    await caller.page
      .getByRole('button', { name: 'Hang up' })
      .click({ timeout: 1000 })
      .catch(() => undefined); // the others wait for the server
  await region(caller).waitFor({ state: 'detached', timeout: 2 * PATIENCE });
  await caller.leave();
  if (!server) await callee.context.close();
  return { callerID, seconds: (ended - began) / 1000, frames: (ended - frame) / 1000, learned };
}

/** The only record of a caller, once it has ended. */
async function recordOf(userID) {
  for (const until = Date.now() + 30_000; ; await new Promise((resolve) => setTimeout(resolve, 200))) {
    const { calls: list } = await house.call('listCalls', { userID });
    if (list.length === 1 && list[0].ended) return list;
    if (Date.now() > until) return list;
  }
}

test(
  `${calls} calls of random length: one record each, as long as the pages saw it`,
  { timeout: 420_000 },
  async (t) => {
    t.diagnostic(`BECKON_E2E_SEED=${seed}`);
    const next = random(seed);
    const plan = Array.from({ length: calls }, (_, n) => ({
      n,
      media: n % 2 ? 'audio' : 'video',
      end: ['hangup', 'closed', 'killed'][Math.floor(n / 2) % 3],
      length: 1000 + Math.round(next() * 19_000),
    })).sort(() => next() - 0.5);
    const queue = [...plan];
    const faults = [];
    const line = async () => {
      for (let call = queue.shift(); call; call = queue.shift()) {
        const what = `call ${call.n} (${call.media}, ${call.end})`;
        const seen = await talk(call).catch((err) => {
          faults.push(`${what}: ${err.message}`);
        });
        if (!seen) continue;
        const records = await recordOf(seen.callerID);
        const [r] = records;
        const seconds = (r?.duration ?? NaN) / 1000;
        t.diagnostic(
          `${what}: in the room for ${seen.seconds.toFixed(2)} s, seen or heard for ${seen.frames.toFixed(2)} s; ` +
            `the record has ${seconds.toFixed(2)} s; the other page knew after ${(seen.learned / 1000).toFixed(1)} s`,
        );
        if (records.length !== 1) faults.push(`${what}: ${records.length} records`);
        else if (!(seconds <= seen.seconds + exact && seconds >= seen.frames - exact))
          faults.push(`${what}: the record has ${seconds} s, the pages saw ${seen.frames} to ${seen.seconds} s`);
        else if (r.media !== call.media) faults.push(`${what}: the record says ${r.media}`);
        if (seen.learned > notice) faults.push(`${what}: the other page knew only after ${seen.learned} ms`);
      }
    };
    await Promise.all(Array.from({ length: together }, line));
    assert.deepEqual(faults, []);
  },
);
