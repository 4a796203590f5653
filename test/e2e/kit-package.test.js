// The examples of @beckon/react in a fresh project, with the packages as they are published: they compile strictly,
// build with Vite, and call each other. React is that of development, whose StrictMode mounts each component twice.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Cluster, TIME_LIMIT, launch, waitForVideo } from './kit.js';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const project = mkdtempSync(join(tmpdir(), 'beckon-react-'));
const types = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css' };
const faults = [];
let cluster, browser, web;

function run(command, args, cwd = project) {
  try {
    const env = { ...process.env, NODE_ENV: 'development' };
    return execFileSync(command, args, { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (err) {
    throw new Error(`${command} ${args.join(' ')} failed:\n${err.stdout}${err.stderr}`, { cause: err });
  }
}

/** Packs a package into the project, and returns its dependency. */
function pack(path) {
  const output = run('npm', ['pack', '--silent', '--pack-destination', project], join(repository, path));
  return `file:${output.trim().split('\n').pop()}`;
}

before(async () => {
  cpSync(join(repository, 'examples/react'), project, { recursive: true });
  const manifest = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8'));
  Object.assign(manifest.dependencies, { beckon: pack('sdk/js'), '@beckon/react': pack('sdk/react') });
  writeFileSync(join(project, 'package.json'), JSON.stringify(manifest));
  writeFileSync(join(project, '.npmrc'), 'fund=false\naudit=false\n');
  run('npm', ['install', '--silent', '--prefer-offline']);
  run('npm', ['run', 'build']);

  web = createServer(async (req, res) => {
    const { pathname } = new URL(req.url, 'http://page');
    if (pathname === '/session') {
      const userID = new URL(req.headers.referer).searchParams.get('user');
      const { token } = await cluster.call('createToken', { userID });
      return res.end(JSON.stringify({ userID, token, server: cluster.url }));
    }
    const name = pathname === '/' ? '/index.html' : pathname;
    res.setHeader('Content-Type', types[extname(name)] ?? 'application/octet-stream');
    try {
      res.end(readFileSync(join(project, 'dist', name)));
    } catch {
      res.writeHead(404).end();
    }
  }).listen(0, '127.0.0.1');
  await once(web, 'listening');
  const origin = `http://127.0.0.1:${web.address().port}`;
  [cluster, browser] = await Promise.all([Cluster.start({ BECKON_ORIGINS: origin }), launch()]);
  web.origin = origin;
});

after(async () => {
  await browser?.close();
  await cluster?.stop();
  web?.close();
  web?.closeAllConnections();
  rmSync(project, { recursive: true, force: true });
  assert.deepEqual(faults, [], 'a page threw something');
});

async function open(user, example) {
  const context = await browser.newContext({ permissions: ['camera', 'microphone'] });
  context.setDefaultTimeout(TIME_LIMIT);
  const page = await context.newPage();
  page.on('pageerror', (err) => faults.push(`${user}: ${err.stack ?? err}`));
  await page.goto(`${web.origin}/?user=${user}#${example}`);
  return page;
}

test('the calling app calls the application with its own components', async () => {
  const alice = await open('alice', 'calling');
  await alice.getByText('Signed in as alice').waitFor();
  const bob = await open('bob', 'own');
  await bob.getByRole('button', { name: 'Call bob' }).waitFor();
  await alice.getByRole('button', { name: 'Video call' }).click();
  await bob.getByText('calls').waitFor();
  await bob.getByRole('button', { name: 'Answer' }).click();
  await bob.getByText('The call is connected').waitFor();
  await waitForVideo(alice, 'bob');
  await alice.getByRole('button', { name: 'Hang up' }).click();
  await bob.getByRole('button', { name: 'Call bob' }).waitFor();
  await alice.context().close();
  await bob.context().close();
});

test('the chat has the theme, the language and the direction of the application', async () => {
  await cluster.call('sendMessage', { userID: 'alice', text: 'مرحبا' }, 'carol');
  const alice = await open('alice', 'chat');
  await alice.locator('.list .item', { hasText: 'مرحبا' }).click();
  await alice.getByPlaceholder('اكتب رسالة').waitFor();
  await alice.getByRole('log').getByText('مرحبا').waitFor();
  const beckon = alice.locator('.beckon');
  assert.equal(await beckon.getAttribute('dir'), 'rtl');
  assert.equal(await beckon.evaluate((e) => getComputedStyle(e).getPropertyValue('--brand')), '#5b3df5');
  const [own, list] = await Promise.all([alice.getByRole('log').boundingBox(), alice.locator('.list').boundingBox()]);
  assert.ok(list.x > own.x, 'the list is not on the right');
  await alice.context().close();
});
