// Measures the pages: the first paint on a slow network and processor, and a conversation of 100,000 messages: its
// opening, scrolling through its whole history, and an incoming message. "make bench-pages"; BENCH_MESSAGES sets the number.

import { Cluster, User, launch } from './kit.js';

const count = Number(process.env.BENCH_MESSAGES ?? 100_000);
const together = 200; // messages that are sent at once
const opens = 9;
const paints = 5;

/** Returns the median of numbers. */
const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

const [cluster, browser] = await Promise.all([
  Cluster.start({ BECKON_USER_RATE: '1000000', BECKON_USER_BURST: '1000000', BECKON_ADDRESS_RATE: '1000000' }),
  launch(),
]);
try {
  console.log(`writing ${count} messages`);
  for (let n = 0; n < count; n += together)
    await Promise.all(
      Array.from({ length: together }, (_, i) =>
        cluster.call(
          'sendMessage',
          { userID: 'alice', text: `message ${n + i} ${'with some words '.repeat((n + i) % 7)}` },
          'bob',
        ),
      ),
    );
  await cluster.call('sendMessage', { userID: 'alice', text: 'the last one' }, 'bob');
  const alice = await User.signIn(cluster, browser, 'Alice Moreau');
  const { page } = alice;

  const times = [];
  for (let n = 0; n < opens; n++) {
    await alice.open('chat');
    await page.getByText('Select a conversation').waitFor();
    times.push(
      await page.evaluate(async (last) => {
        const begin = performance.now();
        location.hash = '#/chat/c2c_bob';
        while (![...document.querySelectorAll('.bubble .words')].some((e) => e.textContent.startsWith(last)))
          await new Promise((resolve) => requestAnimationFrame(resolve));
        return performance.now() - begin;
      }, 'the last one'),
    );
  }
  console.log(
    `opening: median ${median(times).toFixed(0)} ms, longest ${Math.max(...times).toFixed(0)} ms (${opens} times)`,
  );

  /** Scrolls in steps for each frame, and returns the frames over 50 ms, all frames, and the longest. */
  const scroll = (step, until) =>
    page.evaluate(
      async ([step, until]) => {
        const log = document.querySelector('[role="log"]');
        const frames = [];
        let last = performance.now();
        const begin = last;
        let still = 0;
        for (;;) {
          await new Promise((resolve) => requestAnimationFrame(resolve));
          const now = performance.now();
          frames.push(now - last);
          last = now;
          const before = log.scrollTop;
          log.scrollTop += step;
          still = log.scrollTop === before ? still + 1 : 0;
          if (now - begin > until || still > 120) break;
        }
        const slow = frames.slice(1).filter((f) => f > 50);
        return {
          frames: frames.length,
          slow: slow.length,
          longest: Math.max(...frames.slice(1)),
          height: log.scrollHeight,
        };
      },
      [step, until],
    );
  const say = (what, r) =>
    console.log(
      `${what}: ${r.frames} frames, ${r.slow} over 50 ms, longest ${r.longest.toFixed(0)} ms, height ${r.height} px`,
    );
  const begin = performance.now();
  say('scrolling up through the whole history, as it is read', await scroll(-2500, 600_000));
  console.log(`  in ${((performance.now() - begin) / 1000).toFixed(0)} s`);
  say('scrolling down with all messages loaded', await scroll(400, 15_000));
  say('scrolling up with all messages loaded', await scroll(-400, 15_000));
  console.log(`messages in the document: ${await page.locator('.bubble').count()}`);

  const client = await alice.context.newCDPSession(page);
  await client.send('Network.enable');
  let sent = 0;
  client.on('Network.webSocketFrameSent', () => sent++);
  client.on('Network.requestWillBeSent', () => sent++);
  await page.evaluate(() => document.querySelector('[role="log"]').scrollTo(0, 5000));
  await page.waitForTimeout(1000);
  sent = 0;
  await cluster.call('sendMessage', { userID: 'alice', text: 'one more' }, 'bob');
  await page.getByRole('button', { name: '1 new message' }).waitFor();
  console.log(`requests for an incoming message below the view: ${sent}`);
  await alice.leave();

  // 1.6 Mbit/s with 150 ms, and a processor four times slower: "slow 4G" and a phone of the middle class.
  const firsts = [];
  for (let n = 0; n < paints; n++) {
    const context = await browser.newContext();
    const fresh = await context.newPage();
    const cdp = await context.newCDPSession(fresh);
    await cdp.send('Network.enable');
    await cdp.send('Network.emulateNetworkConditions', {
      ...{ offline: false, latency: 150, downloadThroughput: 1_600_000 / 8, uploadThroughput: 750_000 / 8 },
    });
    await cdp.send('Emulation.setCPUThrottlingRate', { rate: 4 });
    await fresh.goto(cluster.url, { waitUntil: 'load' });
    firsts.push(
      await fresh.evaluate(async () => {
        for (;;) {
          const [paint] = performance.getEntriesByName('first-contentful-paint');
          if (paint) return paint.startTime;
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      }),
    );
    await context.close();
  }
  console.log(
    `first contentful paint at 1.6 Mbit/s, 150 ms, processor 4 times slower: median ${median(firsts).toFixed(0)} ms, ` +
      `longest ${Math.max(...firsts).toFixed(0)} ms (${paints} times)`,
  );
} finally {
  await browser.close();
  await cluster.stop();
}
