// Pages behind a proxy that lets no WebSocket pass: they fall back to HTTP streaming, and to SSE if that fails too.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import { pipeline } from 'node:stream';
import { after, before, test } from 'node:test';
import { Cluster, User, launch } from './kit.js';

/** A proxy that refuses upgrades and some paths, and notes all paths. */
async function open(target, refused = []) {
  const { hostname, port } = new URL(target);
  const paths = new Set();
  const server = createServer((req, res) => {
    const path = req.url.split('?')[0];
    paths.add(path);
    if (refused.includes(path)) return void res.writeHead(403).end();
    const up = request({ hostname, port, path: req.url, method: req.method, headers: req.headers }, (answer) => {
      res.writeHead(answer.statusCode, answer.headers);
      pipeline(answer, res, () => undefined);
    });
    up.on('error', () => res.destroy());
    res.on('close', () => up.destroy());
    req.pipe(up);
  });
  server.on('upgrade', (req, socket) => {
    paths.add(req.url);
    socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${server.address().port}`, paths, close: () => server.close() };
}

let cluster, browser;

before(async () => {
  [cluster, browser] = await Promise.all([Cluster.start(), launch()]);
});

after(async () => {
  await browser?.close();
  await cluster?.stop();
  assert.deepEqual(cluster.faults ?? [], [], 'a page threw something');
});

for (const [transport, refused] of [
  ['http_stream', []],
  ['sse', ['/connection/http_stream']],
]) {
  test(`where WebSockets are refused, a page sends and receives over ${transport}`, async () => {
    const proxy = await open(cluster.url, refused);
    const user = await User.signIn(
      Object.create(cluster, { url: { value: proxy.url } }),
      browser,
      transport === 'sse' ? 'Alice Moreau' : 'Bob Tanaka',
    );
    const me = transport === 'sse' ? 'alice' : 'bob';
    await user.open('chat', 'c2c_carol');
    await cluster.call('sendMessage', { userID: me, text: `over ${transport}` }, 'carol');
    await user.page.getByText(`over ${transport}`).first().waitFor();
    await user.page.getByRole('textbox', { name: 'Message' }).fill('and back');
    await user.page.keyboard.press('Enter');
    const back = async () =>
      (await cluster.call('getHistoryMessageList', { conversationID: `c2c_${me}`, limit: 10 }, 'carol')).messages.some(
        (m) => m.event.text === 'and back',
      );
    while (!(await back())) await new Promise((resolve) => setTimeout(resolve, 50));
    assert.ok(proxy.paths.has('/connection/websocket'), 'the WebSocket was not tried');
    assert.ok(proxy.paths.has(`/connection/${transport}`) && proxy.paths.has('/emulation'), [...proxy.paths].join(' '));
    await user.leave();
    proxy.close();
  });
}
