// The console for operators: every place of it over a real house, what became of an invitation, and the buttons that do something.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { story, tour } from './console-tour.js';
import { House, PATIENCE, Person, launch } from './kit.js';

let house, browser, page;
const faults = [];

before(async () => {
  [house, browser] = await Promise.all([House.start(), launch()]);
  page = await browser.newPage({ viewport: { width: 1280, height: 860 } });
  page.setDefaultTimeout(PATIENCE);
  page.on('pageerror', (err) => faults.push(String(err.stack ?? err)));
  page.on('console', (m) => {
    if (m.type() === 'error' && !m.text().includes('401')) faults.push(m.text());
  }); // a key that is refused is one
});

after(async () => {
  await browser?.close();
  await house?.stop();
  assert.deepEqual(faults, [], 'the console threw something');
});

test('only who has the key gets in', async () => {
  await page.goto(`${house.url}/console`);
  await page.getByLabel('API key').fill('guessed-guessed-guessed');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('alert').getByText('token').waitFor();
  assert.equal(await page.getByRole('heading', { name: 'Overview', exact: true }).count(), 0);
});

test('a tour of every place, and the story of an invitation', async () => {
  const bob = await Person.come(house, browser, 'Bob Tanaka');
  await house.call('invite', { inviteID: 'answered', invitee: 'carol', timeout: 60 }, 'alice');
  await house.call('ring', { inviteID: 'answered' }, 'carol');
  await house.call('accept', { inviteID: 'answered' }, 'carol');
  await house.call('invite', { inviteID: 'refused', invitee: 'dan', timeout: 60 }, 'alice');
  await house.call('reject', { inviteID: 'refused', reason: 'busy' }, 'dan');
  await house.call('invite', { inviteID: 'rings', invitee: 'erin', timeout: 600 }, 'frank');
  const seen = [];
  await tour(page, house.url, house.apiKey, async (where) => {
    seen.push(where);
    if (where === 'invitations') await page.getByRole('cell', { name: 'frank' }).waitFor();
    if (where === 'connections') await page.getByRole('row', { name: /bob/ }).waitFor();
    if (where === 'groups')
      await page
        .getByRole('row', { name: /AVChatRoom/ })
        .first()
        .waitFor();
    if (where === 'people') await page.getByRole('row', { name: /Alice Moreau/ }).waitFor();
  });
  assert.equal(seen.length, 7);

  const told = await story(page, 'answered');
  assert.deepEqual(await told.getByRole('listitem').evaluateAll((list) => list.map((li) => li.dataset.event)), [
    'invited',
    'ringing',
    'accepted',
  ]);
  await (await story(page, 'refused')).getByText('dan rejected: busy').waitFor();
  const open = await story(page, 'rings');
  await open.getByRole('button', { name: 'Cancel it' }).click();
  await open.getByRole('button', { name: 'Cancel for 1' }).click();
  await open.getByText('erin was cancelled').waitFor();

  await page.getByRole('button', { name: 'Overview', exact: true }).click();
  await page.getByText('33 %').waitFor(); // of three, one accepted: the figures come within five seconds

  await page.getByRole('button', { name: 'Connections', exact: true }).click();
  const row = page.getByRole('row', { name: /bob/ });
  await row.getByRole('button', { name: 'Send away' }).click();
  await row.getByRole('button', { name: /^Send web-/ }).click();
  await bob.page.getByText('You were signed out').waitFor();
  await bob.leave();
});

test('what nobody takes stands in the queue with its error', async () => {
  const { events, waiting } = await house.call('listHookEvents', { state: 'waiting' });
  assert.deepEqual([events, waiting], [[], 0]);
  await page.getByRole('button', { name: 'Queues', exact: true }).click();
  await page.getByRole('button', { name: 'Pushes', exact: true }).click();
  await page.getByText('Nothing waits.').waitFor();
  await page.getByRole('button', { name: 'given up', exact: true }).click();
  await page.getByText('There is none.').waitFor();
});
