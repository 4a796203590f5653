// The console: each page over a real server, the events of an invitation, and the buttons for actions.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { story, tour } from './console-tour.js';
import { Cluster, TIME_LIMIT, User, launch } from './kit.js';

let cluster, browser, page;
const faults = [];

before(async () => {
  [cluster, browser] = await Promise.all([Cluster.start(), launch()]);
  page = await browser.newPage({ viewport: { width: 1280, height: 860 } });
  page.setDefaultTimeout(TIME_LIMIT);
  page.on('pageerror', (err) => faults.push(String(err.stack ?? err)));
  page.on('console', (m) => {
    if (m.type() === 'error' && !m.text().includes('401')) faults.push(m.text());
  }); // 401: the refused key of the first test
});

after(async () => {
  await browser?.close();
  await cluster?.stop();
  assert.deepEqual(faults, [], 'the console threw something');
});

test('sign-in requires the key', async () => {
  await page.goto(`${cluster.url}/console`);
  await page.getByLabel('API key').fill('guessed-guessed-guessed');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('alert').getByText('token').waitFor();
  assert.equal(await page.getByRole('heading', { name: 'Overview', exact: true }).count(), 0);
});

test('a tour of all pages, and the events of an invitation', async () => {
  const bob = await User.signIn(cluster, browser, 'Bob Tanaka');
  await cluster.call('invite', { inviteID: 'answered', invitee: 'carol', timeout: 60 }, 'alice');
  await cluster.call('ring', { inviteID: 'answered' }, 'carol');
  await cluster.call('accept', { inviteID: 'answered' }, 'carol');
  await cluster.call('invite', { inviteID: 'refused', invitee: 'dan', timeout: 60 }, 'alice');
  await cluster.call('reject', { inviteID: 'refused', reason: 'busy' }, 'dan');
  await cluster.call('invite', { inviteID: 'rings', invitee: 'erin', timeout: 600 }, 'frank');
  const seen = [];
  await tour(page, cluster.url, cluster.apiKey, async (where) => {
    seen.push(where);
    if (where === 'invitations') await page.getByRole('cell', { name: 'frank' }).waitFor();
    if (where === 'connections') await page.getByRole('row', { name: /bob/ }).waitFor();
    if (where === 'groups')
      await page
        .getByRole('row', { name: /AVChatRoom/ })
        .first()
        .waitFor();
    if (where === 'users') await page.getByRole('row', { name: /Alice Moreau/ }).waitFor();
  });
  assert.equal(seen.length, 8);

  const events = await story(page, 'answered');
  assert.deepEqual(await events.getByRole('listitem').evaluateAll((list) => list.map((li) => li.dataset.event)), [
    'invited',
    'ringing',
    'accepted',
  ]);
  await (await story(page, 'refused')).getByText('dan rejected: busy').waitFor();
  const open = await story(page, 'rings');
  await open.getByRole('button', { name: 'Cancel invitation' }).click();
  await open.getByRole('button', { name: 'Cancel for 1' }).click();
  await open.getByText('erin was cancelled').waitFor();

  await page.getByRole('button', { name: 'Overview', exact: true }).click();
  await page.getByText('33 %').waitFor(); // one of three accepted; statistics are up to five seconds old

  await page.getByRole('button', { name: 'Connections', exact: true }).click();
  const row = page.getByRole('row', { name: /bob/ });
  await row.getByRole('button', { name: 'Disconnect' }).click();
  await row.getByRole('button', { name: /^Disconnect web-/ }).click();
  await bob.page.getByText('You were signed out').waitFor();
  await bob.leave();
});

test('the queues show waiting and dead events', async () => {
  const { events, waiting } = await cluster.call('listHookEvents', { state: 'waiting' });
  assert.deepEqual([events, waiting], [[], 0]);
  await page.getByRole('button', { name: 'Queues', exact: true }).click();
  await page.getByRole('button', { name: 'Pushes', exact: true }).click();
  await page.getByText('The queue is empty.').waitFor();
  await page.getByRole('button', { name: 'failed', exact: true }).click();
  await page.getByText('No events.').waitFor();
});

test('an operator erases a user, and sees the result', async () => {
  await cluster.call('sendMessage', { userID: 'dan', text: 'to be erased' }, 'gus');
  await page.getByRole('button', { name: 'Erasures', exact: true }).click();
  await page.getByLabel('User ID').fill('gus');
  await page.getByRole('button', { name: 'Erase', exact: true }).click();
  await page.getByRole('button', { name: 'Erase all data of gus' }).click();
  await page.getByRole('row', { name: /^gus done/ }).waitFor();
  const history = await cluster.call('getHistoryMessageList', { conversationID: 'c2c_gus' }, 'dan');
  assert.equal(JSON.stringify(history).includes('to be erased'), false);
  const { erasures } = await cluster.call('listErasures', {});
  assert.deepEqual(
    erasures.map((e) => [e.userID, e.done, e.records]),
    [['gus', true, 1]],
  );
});
