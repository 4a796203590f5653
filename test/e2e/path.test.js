// The pages below a path, as a program that embeds the server or a proxy may serve them: sign-in, messages, a call with
// media, the service worker, the console.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { after, before, test } from 'node:test';
import { Cluster, User, launch, waitForVideo } from './kit.js';

const path = '/apps/chat';
let cluster, browser, proxy, below, mounted;
const strays = []; // requests outside of the path

/** Forwards requests below the path without it, WebSockets too. */
function mount(server) {
  const to = new URL(server);
  const forward = (req) =>
    http.request({
      host: to.hostname,
      port: to.port,
      method: req.method,
      path: req.url.slice(path.length),
      headers: req.headers,
    });
  const inside = (req) => {
    const found = req.url.startsWith(`${path}/`);
    if (!found && req.url !== '/favicon.ico') strays.push(req.url);
    return found;
  };
  const outer = http.createServer((req, res) => {
    if (!inside(req)) return void res.writeHead(404).end();
    const inner = forward(req);
    inner.on('response', (answer) => {
      res.writeHead(answer.statusCode, answer.headers);
      answer.pipe(res);
    });
    inner.on('error', () => res.destroy());
    req.pipe(inner);
  });
  outer.on('upgrade', (req, socket, head) => {
    if (!inside(req)) return void socket.destroy();
    const inner = forward(req);
    inner.on('upgrade', (answer, link, first) => {
      const headers = Object.entries(answer.headers).map(([name, value]) => `${name}: ${value}\r\n`);
      socket.write(`HTTP/1.1 101 Switching Protocols\r\n${headers.join('')}\r\n`);
      socket.write(first);
      link.write(head);
      link.pipe(socket).pipe(link);
      socket.on('error', () => link.destroy());
      link.on('error', () => socket.destroy());
    });
    inner.on('response', () => socket.destroy());
    inner.on('error', () => socket.destroy());
    inner.end();
  });
  return outer;
}

before(async () => {
  [cluster, browser] = await Promise.all([Cluster.start(), launch()]);
  proxy = mount(cluster.url).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  below = `http://127.0.0.1:${proxy.address().port}${path}`;
  mounted = { url: `${below}/`, faults: [] };
});

after(async () => {
  await browser?.close();
  proxy?.closeAllConnections();
  proxy?.close();
  await cluster?.stop();
  assert.deepEqual(mounted?.faults ?? [], [], 'a page threw something');
});

test('users sign in, write and call below a path, and nothing is requested beside it', async () => {
  const alice = await User.signIn(mounted, browser, 'Alice Moreau');
  const bob = await User.signIn(mounted, browser, 'Bob Tanaka');
  await alice.open('chat', 'c2c_bob');
  await alice.page.getByLabel('Write a message').fill('below a path');
  await alice.page.keyboard.press('Enter');
  await bob.open('chat', 'c2c_alice');
  await bob.page.getByRole('log', { name: 'Messages' }).getByText('below a path').waitFor();

  await alice.page.getByRole('button', { name: 'Video call', exact: true }).click();
  await bob.page.getByRole('button', { name: 'Accept', exact: true }).click();
  await Promise.all([waitForVideo(alice.page, 'bob'), waitForVideo(bob.page, 'alice')]);

  const scope = await alice.page.evaluate(async () => (await navigator.serviceWorker.register('sw.js')).scope);
  assert.equal(scope, `${below}/`);
  assert.deepEqual(strays, []);
});

test('the console works below a path', async () => {
  const page = await browser.newPage();
  await page.goto(`${below}/console`);
  await page.getByLabel('API key').fill(cluster.apiKey);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('navigation', { name: 'Console' }).waitFor();
  assert.deepEqual(strays, []);
});
