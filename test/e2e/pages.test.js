// Error cases of the pages: a refused token, an invalid address, a very long word, rooms with and without admission.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Cluster, TIME_LIMIT, User, launch } from './kit.js';

let cluster, browser;

before(async () => {
  [cluster, browser] = await Promise.all([Cluster.start(), launch()]);
});

after(async () => {
  await browser?.close();
  await cluster?.stop();
  assert.deepEqual(cluster.faults ?? [], [], 'a page threw something');
});

test('a refused token shows an error and a new sign-in', async () => {
  const page = await browser.newPage();
  page.setDefaultTimeout(TIME_LIMIT);
  await page.goto(cluster.url);
  const forged = ['{"alg":"HS256"}', '{"sub":"alice"}', 'forged']
    .map((s) => Buffer.from(s).toString('base64url'))
    .join('.');
  await page.getByLabel('Or sign in with a token').fill(forged);
  await page.keyboard.press('Enter');
  await page.getByText('The server does not let you in').waitFor();
  await page.getByRole('button', { name: 'Sign in again' }).click();
  await page.getByRole('button', { name: 'Bob Tanaka' }).waitFor();
  await page.close();
});

test('invalid addresses, a very long word, and a conversation with oneself', async () => {
  const bob = await User.signIn(cluster, browser, 'Bob Tanaka', { context: { viewport: { width: 390, height: 844 } } });
  for (const hash of ['#/chat/%E0%A4', '#/foo/bar', '#/chat/nobody']) {
    await bob.page.evaluate((h) => {
      location.hash = h;
    }, hash);
    await bob.page.getByRole('tab', { name: 'Chats' }).waitFor();
  }
  await bob.open('chat', 'c2c_alice');
  await bob.page.getByLabel('Write a message').fill(`https://example.com/${'x'.repeat(400)}`);
  const send = await bob.page.getByRole('button', { name: 'Send', exact: true }).boundingBox();
  assert.ok(send.x + send.width <= 390, `the button is off the screen: ${JSON.stringify(send)}`);
  await bob.page.getByRole('button', { name: 'Back to the list' }).click();
  await bob.page.getByRole('button', { name: 'New conversation' }).click();
  await bob.page.getByLabel('A user’s ID').fill('bob');
  await bob.page.getByRole('button', { name: 'Write to them' }).click();
  await bob.page.getByText('That is you.').waitFor();
  await bob.leave();
});

test('a new chat room is open to all users, a class is not', async () => {
  const carol = await User.signIn(cluster, browser, 'Carol Okafor');
  const frank = await User.signIn(cluster, browser, 'Frank Weiss');
  const make = async (name, kind) => {
    await carol.page.getByRole('button', { name: 'New conversation' }).click();
    await carol.page.getByLabel('Name of a new group').fill(name);
    await carol.page.getByLabel('Kind').selectOption(kind);
    await carol.page.getByRole('button', { name: 'Create the group' }).click();
    await carol.page.locator('[data-entry="in"]', { has: carol.page.getByRole('heading', { name }) }).waitFor();
    return carol.page.evaluate(() => location.hash);
  };
  const lounge = await make('Late night', 'AVChatRoom');
  await frank.page.evaluate((h) => {
    location.hash = h;
  }, lounge);
  await frank.page.locator('[data-entry="in"]').waitFor();
  await frank.page.getByRole('button', { name: 'Ask for the microphone' }).waitFor();
  const course = await make('Chemistry', 'Public');
  await frank.page.evaluate((h) => {
    location.hash = h;
  }, course);
  await frank.page.getByText('You are not in this room').waitFor();
  await Promise.all([carol.leave(), frank.leave()]);
});
