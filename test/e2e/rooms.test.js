// The classroom and the chat room of the original's document, in browsers with real audio.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Cluster, User, waitForAudio, launch, waitForVideo, watchPeers } from './kit.js';

let cluster, browser;

before(async () => {
  [cluster, browser] = await Promise.all([Cluster.start(), launch()]);
});

after(async () => {
  await browser?.close();
  await cluster?.stop();
  assert.deepEqual(cluster.faults ?? [], [], 'a page threw something');
});

const students = ['Bob Tanaka', 'Carol Okafor', 'Dan Lindqvist', 'Erin Costa', 'Frank Weiss'];

async function come(names, ...place) {
  return Promise.all(
    names.map(async (name) => {
      const p = await User.signIn(cluster, browser, name, { otherOrigin: name !== names[0] });
      await watchPeers(p.context);
      await p.page.goto(`${p.url}/#/${place.join('/')}`);
      await p.page.reload();
      await p.page.locator('[data-entry="in"]').waitFor();
      return p;
    }),
  );
}

test('classroom: the teacher asks all, all see the hands, one speaks to all', async () => {
  const [teacher, ...class7b] = await come(['Alice Moreau', ...students], 'class', 'demo-class');
  const [bob, carol, dan] = class7b;
  await Promise.all(class7b.map((p) => waitForVideo(p.page, 'alice')));
  await teacher.page.getByRole('button', { name: 'Ask for raised hands' }).click();
  await Promise.all(class7b.map((p) => p.page.getByRole('button', { name: 'Raise hand' }).waitFor()));
  await bob.page.getByRole('button', { name: 'Raise hand' }).click();
  await carol.page.getByRole('button', { name: 'Raise hand' }).click();
  await dan.page.getByRole('button', { name: 'Not now' }).click();
  for (const p of [teacher, ...class7b]) {
    // the list grows for all, also for students that declined
    for (const hand of ['bob', 'carol']) await p.page.locator(`[data-hand="${hand}"]`).waitFor();
    assert.equal(await p.page.locator('[data-hand]').count(), 2);
  }
  await teacher.page.locator('[data-hand="carol"]').getByRole('button', { name: 'Let speak' }).click();
  await carol.page.getByRole('dialog', { name: 'Your turn' }).getByRole('button', { name: 'Speak' }).click();
  for (const p of [teacher, ...class7b]) await p.page.locator('[data-speaker="carol"]').waitFor();
  await Promise.all(
    [teacher, ...class7b.filter((p) => p !== carol)].map((p) => waitForAudio(p.page, p === teacher ? 1 : 2)),
  );
  assert.equal(
    await bob.page.getByRole('button', { name: 'Let speak' }).count(),
    0,
    'a student has the teacher’s buttons',
  );
  await assert.rejects(
    cluster.call('setRoomRole', { roomID: 'group_demo-class', userID: 'dan', role: 'anchor' }, 'bob'),
    /8013/,
  );

  await bob.page.reload(); // a reload restores the list from the server
  await bob.page.locator('[data-hand="carol"]').waitFor();
  await bob.page.locator('[data-speaker="carol"]').waitFor();

  await teacher.page.locator('[data-speaker="carol"]').getByRole('button', { name: 'End turn' }).click();
  await carol.page.locator('[data-speaker="carol"]').waitFor({ state: 'detached' });
  await carol.page.getByText('The host took the microphone back').waitFor();
  // each page gets its own event
  await Promise.all([teacher, ...class7b].map((p) => p.page.locator('[data-speaker]').waitFor({ state: 'detached' })));
  await teacher.page.getByRole('button', { name: 'Lower all hands' }).click();
  await bob.page.getByRole('button', { name: 'Raise hand' }).waitFor({ state: 'detached' });
  await Promise.all([teacher, ...class7b].map((p) => p.leave()));
});

test('chat room: ask for the microphone, grant it, mute, take it back, remove', async () => {
  const [host, bob, carol, dan] = await come(['Alice Moreau', ...students.slice(0, 3)], 'lounge', 'demo-lounge');
  const all = [host, bob, carol, dan];
  const seat = (p, user) => p.page.locator(`[data-seat="${user}"]`);
  await seat(bob, 'alice').and(bob.page.locator('[data-mic="on"]')).waitFor();

  await bob.page.getByRole('button', { name: 'Ask for the microphone' }).click();
  await host.page.locator('[data-request="bob"]').getByRole('button', { name: 'Grant' }).click();
  for (const p of all) await seat(p, 'bob').and(p.page.locator('[data-mic="on"]')).waitFor();
  await Promise.all([waitForAudio(host.page, 1), waitForAudio(carol.page, 2), waitForAudio(dan.page, 2)]);

  await carol.page.getByRole('button', { name: 'Ask for the microphone' }).click();
  await host.page.locator('[data-request="carol"]').getByRole('button', { name: 'Not now' }).click();
  await carol.page.getByText('The host said: not now').waitFor();
  assert.equal(await seat(host, 'carol').count(), 0);

  await bob.page.getByRole('button', { name: 'Mute your microphone' }).click();
  for (const p of all) await seat(p, 'bob').and(p.page.locator('[data-mic="off"]')).waitFor();
  await bob.page.getByRole('button', { name: 'Open your microphone' }).click();
  for (const p of all) await seat(p, 'bob').and(p.page.locator('[data-mic="on"]')).waitFor();

  await seat(host, 'bob').getByRole('button', { name: 'Move to listeners' }).click();
  for (const p of all) await seat(p, 'bob').waitFor({ state: 'detached' });
  await bob.page.getByRole('button', { name: 'Ask for the microphone' }).waitFor();

  await dan.page.getByRole('button', { name: 'Ask for the microphone' }).click();
  await host.page.locator('[data-request="dan"]').getByRole('button', { name: 'Grant' }).click();
  await seat(carol, 'dan').and(carol.page.locator('[data-mic="on"]')).waitFor();
  await dan.page.getByRole('button', { name: 'Leave the seat' }).click();
  await seat(carol, 'dan').waitFor({ state: 'detached' });

  await bob.page.getByRole('button', { name: 'Ask for the microphone' }).click();
  await host.page.locator('[data-request="bob"]').getByRole('button', { name: 'Grant' }).click();
  await seat(host, 'bob').getByRole('button', { name: 'Remove' }).click();
  await bob.page.getByText('The host sent you out').waitFor();
  await bob.page.getByRole('button', { name: 'Enter again' }).click();
  await bob.page.getByText('only the host may do that').waitFor();
  await Promise.all(all.map((p) => p.leave()));
});
