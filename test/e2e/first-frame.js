// Measures the time from the click on Accept to the first picture of the other, and the accept verb within it. Median of ten calls.
// Run it with: make bench-call

import { House, Person, launch } from './kit.js';

const rounds = 10;
const house = await House.start();
const browser = await launch();
const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

/** Runs in the page: notes when Accept is clicked, when the verb is sent and answered, and when the first picture is shown. */
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
      const heard = (e) => {
        if (typeof e.data !== 'string' || !e.data.split('\n').some((line) => line && JSON.parse(line).id === id))
          return;
        window.beckonTimes.answered = now();
        this.removeEventListener('message', heard);
      };
      this.addEventListener('message', heard);
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
  const alice = await Person.come(house, browser, 'Alice Moreau');
  const bob = await Person.come(house, browser, 'Bob Tanaka');
  await bob.context.addInitScript(watch);
  await bob.page.reload();
  await alice.open('chat', 'c2c_bob');
  const frames = [],
    verbs = [];
  for (let i = 0; i <= rounds; i++) {
    await alice.page.getByRole('button', { name: 'Video call', exact: true }).click();
    await alice.page.locator('.tile.own video').waitFor(); // the caller's camera is on
    await bob.page.getByRole('button', { name: 'Accept' }).click();
    await bob.page.waitForFunction(() => window.beckonTimes.frame);
    const t = await bob.page.evaluate(() => window.beckonTimes);
    if (i > 0) {
      // the first call starts codecs
      frames.push(t.frame - t.click);
      verbs.push(t.answered - t.sent);
    }
    await bob.page.getByRole('button', { name: 'Hang up' }).click();
    await alice.page.getByRole('region', { name: 'Call', exact: true }).waitFor({ state: 'detached' });
    await bob.page.getByRole('region', { name: 'Call', exact: true }).waitFor({ state: 'detached' });
  }
  const f = (list) =>
    `median ${median(list).toFixed(0)} ms, least ${Math.min(...list).toFixed(0)}, most ${Math.max(...list).toFixed(0)}`;
  console.log(`click on Accept to the first picture of the other, ${rounds} calls: ${f(frames)}`);
  console.log(`the accept verb within it, with its fsync:                  ${f(verbs)}`);
} finally {
  await browser.close();
  await house.stop();
}
