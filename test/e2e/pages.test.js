// The pages when something is amiss: a refused token, an address of nowhere, a word without end, a room that one may or may not enter.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { House, PATIENCE, Person, launch } from './kit.js';

let house, browser;

before(async () => {
  [house, browser] = await Promise.all([House.start(), launch()]);
});

after(async () => {
  await browser?.close();
  await house?.stop();
  assert.deepEqual(house.faults ?? [], [], 'a page threw something');
});

test('a token that the server refuses says so, and lets one sign in again', async () => {
  const page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE);
  await page.goto(house.url);
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

test('addresses of nowhere, a word without end, and oneself', async () => {
  const bob = await Person.come(house, browser, 'Bob Tanaka', { context: { viewport: { width: 390, height: 844 } } });
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
  await bob.page.getByLabel('Somebody’s user ID').fill('bob');
  await bob.page.getByRole('button', { name: 'Write to them' }).click();
  await bob.page.getByText('That is you.').waitFor();
  await bob.leave();
});

test('a chat room that somebody made is entered by whoever comes, and a class is not', async () => {
  const carol = await Person.come(house, browser, 'Carol Okafor');
  const frank = await Person.come(house, browser, 'Frank Weiss');
  const make = async (name, kind) => {
    await carol.page.getByRole('button', { name: 'New conversation' }).click();
    await carol.page.getByLabel('Name of a new group').fill(name);
    await carol.page.getByLabel('Kind').selectOption(kind);
    await carol.page.getByRole('button', { name: 'Make the group' }).click();
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
