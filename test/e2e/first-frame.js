// Measures the time from the click on Accept to the first video frame of the peer on each side, and the accept call
// within it. Run it with: make bench-call. Usage: node first-frame.js [delay [calls]]: a delay in each direction between
// either browser and the server, in milliseconds. BECKON_E2E_ROOT measures the build of another checkout.

import { Cluster, User, freePort, launch } from './kit.js';
import { Network } from './network.js';

const [delay = 0, rounds = 10] = process.argv.slice(2).map(Number);
const udpPort = await freePort();
const cluster = await Cluster.start({ BECKON_ORIGINS: '*', BECKON_MEDIA_UDP_PORT: String(udpPort) });
const browser = await launch();
const networks = delay
  ? await Promise.all(['alice', 'bob'].map(() => Network.open(cluster, udpPort, { delay })))
  : [undefined, undefined];
const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

/** Runs in a page: records the times of the click on Accept, of request and response, and of the peer's first frame. */
function watch(peer) {
  window.beckonTimes = {};
  const now = () => Date.now();
  addEventListener(
    'click',
    (e) => {
      if (e.target.closest('button')?.textContent === 'Accept') window.beckonTimes = { click: now() };
    },
    true,
  );
  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (data) {
    if (typeof data === 'string' && data.includes('"method":"accept"')) {
      const { id } = JSON.parse(data.split('\n')[0]);
      window.beckonTimes.sent = now();
      const onMessage = (e) => {
        if (typeof e.data !== 'string' || !e.data.split('\n').some((line) => line && JSON.parse(line).id === id))
          return;
        window.beckonTimes.answered = now();
        this.removeEventListener('message', onMessage);
      };
      this.addEventListener('message', onMessage);
    }
    return send.call(this, data);
  };
  new MutationObserver(() => {
    const v = document.querySelector(`[data-user="${peer}"] video[data-source="camera"]`);
    if (!v || v.watched) return;
    v.watched = true;
    v.requestVideoFrameCallback(() => {
      window.beckonTimes.frame = now();
    });
  }).observe(document, { childList: true, subtree: true });
}

try {
  const [alice, bob] = await Promise.all(
    ['Alice Moreau', 'Bob Tanaka'].map((name, i) => User.signIn(cluster, browser, name, { network: networks[i] })),
  );
  for (const [p, peer] of [
    [alice, 'bob'],
    [bob, 'alice'],
  ]) {
    await p.context.addInitScript(watch, peer);
    await p.page.reload();
  }
  await alice.open('chat', 'c2c_bob');
  const frames = [],
    callerFrames = [],
    accepts = [];
  for (let i = 0; i <= rounds; i++) {
    await alice.page.getByRole('button', { name: 'Video call', exact: true }).click();
    await alice.page.locator('.tile.own video').waitFor(); // the caller's camera is on
    await bob.page.getByRole('button', { name: 'Accept' }).waitFor();
    await new Promise((resolve) => setTimeout(resolve, 1000 + 10 * delay)); // the caller has entered the room
    await alice.page.evaluate(() => (window.beckonTimes = {}));
    await bob.page.getByRole('button', { name: 'Accept' }).click();
    await Promise.all([alice, bob].map((p) => p.page.waitForFunction(() => window.beckonTimes.frame)));
    const t = await bob.page.evaluate(() => window.beckonTimes);
    const caller = await alice.page.evaluate(() => window.beckonTimes);
    if (i > 0) {
      // not the first call: it starts the codecs
      frames.push(t.frame - t.click);
      callerFrames.push(caller.frame - t.click);
      accepts.push(t.answered - t.sent);
    }
    await bob.page.getByRole('button', { name: 'Hang up' }).click();
    await alice.page.getByRole('region', { name: 'Call', exact: true }).waitFor({ state: 'detached' });
    await bob.page.getByRole('region', { name: 'Call', exact: true }).waitFor({ state: 'detached' });
  }
  const f = (list) =>
    `median ${median(list).toFixed(0)} ms, least ${Math.min(...list).toFixed(0)}, most ${Math.max(...list).toFixed(0)}`;
  console.log(`${delay} ms in each direction, ${rounds} calls, from the click on Accept`);
  console.log(`to the first frame of the caller, at the callee: ${f(frames)}`);
  console.log(`to the first frame of the callee, at the caller: ${f(callerFrames)}`);
  console.log(`the accept call within it, with its fsync:       ${f(accepts)}`);
} finally {
  await browser.close();
  for (const n of networks) n?.close();
  await cluster.stop();
}
