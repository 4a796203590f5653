// Measures the time from the click on Accept to the first video frame of the peer, and the accept call within it.
// Median of ten calls. Run it with: make bench-call

import { Cluster, User, launch } from './kit.js';

const rounds = 10;
const cluster = await Cluster.start();
const browser = await launch();
const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

/** Runs in the page: records the times of the click on Accept, of request and response, and of the first frame. */
function watch() {
  window.beckonTimes = {};
  const now = () => performance.now();
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
    const v = document.querySelector('[data-user="alice"] video[data-source="camera"]');
    if (!v || v.watched) return;
    v.watched = true;
    v.requestVideoFrameCallback(() => {
      window.beckonTimes.frame = now();
    });
  }).observe(document, { childList: true, subtree: true });
}

try {
  const alice = await User.signIn(cluster, browser, 'Alice Moreau');
  const bob = await User.signIn(cluster, browser, 'Bob Tanaka');
  await bob.context.addInitScript(watch);
  await bob.page.reload();
  await alice.open('chat', 'c2c_bob');
  const frames = [],
    accepts = [];
  for (let i = 0; i <= rounds; i++) {
    await alice.page.getByRole('button', { name: 'Video call', exact: true }).click();
    await alice.page.locator('.tile.own video').waitFor(); // the caller's camera is on
    await bob.page.getByRole('button', { name: 'Accept' }).click();
    await bob.page.waitForFunction(() => window.beckonTimes.frame);
    const t = await bob.page.evaluate(() => window.beckonTimes);
    if (i > 0) {
      // not the first call: it starts the codecs
      frames.push(t.frame - t.click);
      accepts.push(t.answered - t.sent);
    }
    await bob.page.getByRole('button', { name: 'Hang up' }).click();
    await alice.page.getByRole('region', { name: 'Call', exact: true }).waitFor({ state: 'detached' });
    await bob.page.getByRole('region', { name: 'Call', exact: true }).waitFor({ state: 'detached' });
  }
  const f = (list) =>
    `median ${median(list).toFixed(0)} ms, least ${Math.min(...list).toFixed(0)}, most ${Math.max(...list).toFixed(0)}`;
  console.log(`click on Accept to the first frame of the peer, ${rounds} calls: ${f(frames)}`);
  console.log(`the accept call within it, with its fsync:                ${f(accepts)}`);
} finally {
  await browser.close();
  await cluster.stop();
}
