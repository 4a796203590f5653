// Ends of calls, questions and seats in the pages: a caller closes the page, busy, rejoining, a second question,
// leaving a seat. The pages are of another origin than the server.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Cluster, User, launch, waitForVideo } from './kit.js';

let cluster, browser;

before(async () => {
  [cluster, browser] = await Promise.all([Cluster.start(), launch()]);
});

after(async () => {
  await browser?.close();
  await cluster?.stop();
  assert.deepEqual(cluster?.faults ?? [], [], 'a page threw something');
});

const ongoing = (p) => p.page.getByRole('region', { name: 'Call', exact: true });
const ringing = (p, kind = 'Video call') => p.page.getByRole('dialog', { name: kind });
const log = (p) => p.page.getByRole('log', { name: 'Messages' });

async function come(...names) {
  return Promise.all(names.map((name) => User.signIn(cluster, browser, name, { otherOrigin: true })));
}

async function leave(...users) {
  await Promise.all(users.map((p) => p.leave()));
}

async function dial(from, to, kind = 'Video call') {
  await from.open('chat', `c2c_${to}`);
  await from.page.getByRole('button', { name: kind, exact: true }).click();
}

test('closing the page of the caller cancels a ringing call: a line in both conversations', async () => {
  const [alice, bob] = await come('Alice Moreau', 'Bob Tanaka');
  await dial(alice, 'bob', 'Voice call');
  await ringing(bob, 'Voice call').waitFor();
  await alice.page.close({ runBeforeUnload: true });
  await ringing(bob, 'Voice call').waitFor({ state: 'detached' });
  await bob.open('chat', 'c2c_alice');
  await log(bob).getByText('Missed voice call').waitFor();
  alice.page = await alice.tab();
  await alice.open('chat', 'c2c_bob');
  await log(alice).getByText('You cancelled the voice call').waitFor();
  assert.equal(await ongoing(alice).count(), 0);
  await leave(alice, bob);
});

test('busy is sent in reason and data, and read from either', async () => {
  const [carol, dan, erin] = await come('Carol Okafor', 'Dan Lindqvist', 'Erin Costa');
  await dial(carol, 'dan');
  await ringing(dan).getByRole('button', { name: 'Accept' }).click();
  await waitForVideo(carol.page, 'dan');
  await dial(erin, 'dan');
  await log(erin).getByText('was in another call').waitFor();
  const { messages } = await cluster.call('getHistoryMessageList', { conversationID: 'c2c_dan', limit: 5 }, 'erin');
  const answer = messages.map((m) => m.event.answers?.[0]).find(Boolean);
  assert.equal(answer.reason, 'busy');
  assert.equal(JSON.parse(answer.data).line_busy, 'line_busy');
  await dan.page.getByRole('button', { name: 'Hang up' }).click();
  await Promise.all([carol, dan].map((p) => ongoing(p).waitFor({ state: 'detached' })));

  await dial(erin, 'dan');
  await ringing(dan).waitFor();
  const [{ inviteID }] = (await cluster.call('listInvitations', {}, 'erin')).invitations;
  // As sent by clients of the original.
  await cluster.call('reject', { inviteID, data: JSON.stringify({ line_busy: 'line_busy' }) }, 'dan');
  await erin.page.getByText('They are in another call').first().waitFor();
  await log(erin).getByText('was in another call').nth(1).waitFor();
  await leave(carol, dan, erin);
});

test('a user rejoins a running group call', async () => {
  const [alice, bob, carol] = await come('Alice Moreau', 'Bob Tanaka', 'Carol Okafor');
  await alice.open('chat', 'group_demo-team');
  await alice.page.getByRole('button', { name: 'Video call', exact: true }).click();
  const pick = alice.page.getByRole('dialog', { name: 'Who do you want to call?' });
  for (const box of await pick.getByRole('checkbox').all()) await box.uncheck();
  for (const name of ['Bob Tanaka', 'Carol Okafor']) await pick.getByLabel(name).check();
  await pick.getByRole('button', { name: 'Call (2)' }).click();
  await Promise.all([bob, carol].map((p) => ringing(p).getByRole('button', { name: 'Accept' }).click()));
  await Promise.all([
    waitForVideo(carol.page, 'alice'),
    waitForVideo(carol.page, 'bob'),
    waitForVideo(alice.page, 'carol'),
  ]);
  await carol.page.getByRole('button', { name: 'Hang up' }).click();
  await carol.open('chat', 'group_demo-team');
  await carol.page.getByText('Call in progress').waitFor();
  await carol.page.getByRole('status').getByRole('button', { name: 'Join' }).click();
  await Promise.all([
    waitForVideo(carol.page, 'alice'),
    waitForVideo(carol.page, 'bob'),
    waitForVideo(alice.page, 'carol'),
  ]);
  await Promise.all([alice, bob].map((p) => p.page.getByRole('button', { name: 'Hang up' }).click()));
  await carol.page
    .getByRole('button', { name: 'Hang up' })
    .click()
    .catch(() => undefined); // the server may have closed the room already
  await ongoing(carol).waitFor({ state: 'detached' });
  await carol.page.getByText('Call in progress').waitFor({ state: 'detached' });
  const { calls } = await cluster.call('listCalls', { groupID: 'demo-team' });
  assert.equal(calls.length, 1, 'rejoining began another call');
  assert.equal(calls[0].count, 3);
  await leave(alice, bob, carol);
});

/** Opens a classroom or chat room for each user and waits until the media room is entered. */
async function enter(place, ...names) {
  return Promise.all(
    names.map(async (name) => {
      const p = await User.signIn(cluster, browser, name, { otherOrigin: true });
      await p.open(...place);
      await p.page.locator('[data-entry="in"]').waitFor();
      return p;
    }),
  );
}

test('classroom: a second question after the last answer; lowered hands for all, also for a late student', async () => {
  const place = ['class', 'demo-class'];
  const [teacher, ...early] = await enter(
    place,
    'Alice Moreau',
    'Bob Tanaka',
    'Carol Okafor',
    'Dan Lindqvist',
    'Erin Costa',
  );
  const ask = teacher.page.getByRole('button', { name: 'Ask for raised hands' });
  await ask.click();
  await early[0].page.getByRole('button', { name: 'Raise hand' }).click();
  const [late] = await enter(place, 'Frank Weiss');
  const students = [...early, late];
  await late.page.locator('[data-hand="bob"]').waitFor();
  await late.page.getByRole('button', { name: 'Raise hand' }).click();
  for (const p of early.slice(1)) await p.page.getByRole('button', { name: 'Not now' }).click();
  for (const p of [teacher, ...students]) {
    await p.page.locator('[data-hand="frank"]').waitFor();
    await p.page.getByText('s left').waitFor({ state: 'detached' });
  }

  await ask.click(); // no invitee is open, so there is nothing to lower first
  for (const p of students) await p.page.getByRole('button', { name: 'Raise hand' }).waitFor();
  for (const p of students) await p.page.getByRole('button', { name: 'Raise hand' }).click();
  await teacher.page.locator('[data-hand]').nth(4).waitFor();
  await teacher.page.getByRole('button', { name: 'Lower all hands' }).click();
  for (const p of [teacher, ...students]) await p.page.locator('[data-hand]').first().waitFor({ state: 'detached' });
  await late.page.reload();
  await late.page.locator('[data-entry="in"]').waitFor();
  assert.equal(await late.page.locator('[data-hand]').count(), 0);

  await ask.click();
  await late.page.getByRole('button', { name: 'Raise hand' }).click();
  await teacher.page.locator('[data-hand="frank"]').waitFor();
  await teacher.page.getByRole('button', { name: 'Lower all hands' }).click(); // while others are open
  for (const p of [teacher, ...students]) {
    await p.page.locator('[data-hand]').first().waitFor({ state: 'detached' });
    await p.page.getByText('s left').waitFor({ state: 'detached' });
  }
  await leave(teacher, ...students);
});

test('chat room: leaving cancels the request and frees the seat', async () => {
  const [host, bob, carol] = await enter(['lounge', 'demo-lounge'], 'Alice Moreau', 'Bob Tanaka', 'Carol Okafor');
  await bob.page.getByRole('button', { name: 'Ask for the microphone' }).click();
  await host.page.locator('[data-request="bob"]').waitFor();
  await bob.open('chat', 'c2c_alice');
  await host.page.locator('[data-request="bob"]').waitFor({ state: 'detached' });

  await carol.page.getByRole('button', { name: 'Ask for the microphone' }).click();
  await host.page.locator('[data-request="carol"]').getByRole('button', { name: 'Grant' }).click();
  await host.page.locator('[data-seat="carol"]').waitFor();
  await carol.page.getByRole('button', { name: 'Leave the seat' }).waitFor();
  await carol.page.close({ runBeforeUnload: true });
  await host.page.locator('[data-seat="carol"]').waitFor({ state: 'detached' });
  await leave(host, bob, carol);
});
