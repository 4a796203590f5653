// Takes the screenshots of docs/console, on a server with the records of a month (test/records). Run it with: make
// scenes

import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { story, tour } from './console-tour.js';
import { freePort, launch, root } from './kit.js';

const address = `127.0.0.1:${await freePort()}`;
const server = spawn('go', ['run', './test/records', '-calls', '150000', '-days', '30', '-serve', address], {
  cwd: root,
  stdio: ['ignore', 'pipe', 'inherit'],
  detached: true,
});
let output = '';
server.stdout.on('data', (b) => {
  output += b;
});
while (!output.includes('its key is')) {
  if (server.exitCode !== null) throw new Error(`the server did not start: ${output}`);
  await new Promise((r) => setTimeout(r, 100));
}
const url = `http://${address}`;
const key = /its key is (\S+)/.exec(output)[1];
const call = async (method, body, user) => {
  const res = await fetch(`${url}/v1/${method}`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${key}`, ...(user ? { 'Beckon-User': user } : {}) },
    body: JSON.stringify(body),
  });
  if (!res.ok) throw new Error(`${method}: ${await res.text()}`);
  return res.json();
};
const browser = await launch();
try {
  mkdirSync(join(root, 'docs', 'console'), { recursive: true });
  for (const userID of ['user-00007', 'user-00011', 'user-00042']) {
    // online users
    const { token } = await call('createToken', { userID });
    const page = await browser.newPage();
    await page.goto(url);
    await page.getByLabel('Sign in with a token').fill(token);
    await page.keyboard.press('Enter');
    await page.getByRole('navigation', { name: 'Conversations and rooms' }).waitFor();
  }
  for (const [from, to, id] of [
    ['user-00100', 'user-00101', 'call-a'],
    ['user-00102', 'user-00103', 'call-b'],
    ['user-00104', 'user-00007', 'call-c'],
  ])
    await call('invite', { inviteID: id, invitee: to, timeout: 600 }, from);
  await call(
    'invite',
    { inviteID: 'board-meeting', inviteeList: ['user-00201', 'user-00202', 'user-00203', 'user-00204'], timeout: 600 },
    'user-00200',
  );
  await call('ring', { inviteID: 'board-meeting' }, 'user-00201');
  await new Promise((r) => setTimeout(r, 2100));
  await call('accept', { inviteID: 'board-meeting' }, 'user-00201');
  await new Promise((r) => setTimeout(r, 1300));
  await call('reject', { inviteID: 'board-meeting', reason: 'busy' }, 'user-00203');
  const page = await browser.newPage({ viewport: { width: 1280, height: 860 } });
  const shot = async (name, fullPage = false) => {
    await page.waitForTimeout(700); // wait for animations
    await page.screenshot({ path: join(root, 'docs', 'console', `${name}.png`), fullPage });
    console.log(`docs/console/${name}.png`);
  };
  await tour(page, url, key, async (where) => {
    if (where === 'overview') await page.getByRole('button', { name: '7 days', exact: true }).click();
    if (where === 'overview') await page.waitForTimeout(1500);
    await shot(where, where === 'overview');
  });
  await story(page, 'board-meeting');
  await shot('story');
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.getByRole('button', { name: 'Overview', exact: true }).click();
  await page.getByRole('button', { name: '30 days', exact: true }).click();
  await page.waitForTimeout(1500);
  await shot('overview-dark', true);
} finally {
  await browser.close();
  process.kill(-server.pid, 'SIGTERM');
}
