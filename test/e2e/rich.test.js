// What users do with messages: reply, react, forward, write at the same time, send files and voice messages.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Cluster, User, bubble, launch, log, write } from './kit.js';

let cluster, browser, alice, bob;

before(async () => {
  [cluster, browser] = await Promise.all([Cluster.start(), launch()]);
  [alice, bob] = await Promise.all([
    User.signIn(cluster, browser, 'Alice Moreau'),
    User.signIn(cluster, browser, 'Bob Tanaka', { context: { viewport: { width: 390, height: 844 } } }),
  ]);
  await Promise.all([alice.open('chat', 'c2c_bob'), bob.open('chat', 'c2c_alice')]);
});

after(async () => {
  await browser?.close();
  await cluster?.stop();
  assert.deepEqual(cluster.faults ?? [], [], 'a page threw something');
});

async function choose(p, text, action) {
  await bubble(p, text).hover();
  await bubble(p, text).getByRole('button', { name: 'Actions', exact: true }).click();
  await p.page.getByRole('group', { name: 'Actions on the message' }).getByRole('button', { name: action }).click();
}

test('typing is shown until the message comes, and a reply quotes its message', async () => {
  await alice.page.getByLabel('Write a message').pressSequentially('Lunch at no');
  await bob.page.getByText('Alice Moreau is typing…').waitFor();
  await write(alice, 'Lunch at noon?');
  await bubble(bob, 'Lunch at noon?').waitFor();
  await bob.page.getByText('is typing…').waitFor({ state: 'detached' });

  await choose(bob, 'Lunch at noon?', 'Reply');
  await bob.page.locator('.replying', { hasText: 'Lunch at noon?' }).waitFor();
  await write(bob, 'Half past');
  await bob.page.locator('.replying').waitFor({ state: 'detached' });
  for (const p of [alice, bob]) await bubble(p, 'Half past').locator('.quote', { hasText: 'Lunch at noon?' }).waitFor();
  await choose(alice, 'Lunch at noon?', 'Reply');
  await alice.page.getByRole('button', { name: 'Do not reply' }).click();
  await write(alice, 'Fine');
  await bubble(bob, 'Fine').waitFor();
  assert.equal(await bubble(bob, 'Fine').locator('.quote').count(), 0);
});

test('reactions are counted for both, also after a reload, and a second click takes one back', async () => {
  await choose(bob, 'Half past', 'React with 👍');
  await bubble(alice, 'Half past').getByRole('button', { name: '👍, 1 person' }).click();
  for (const p of [alice, bob])
    await bubble(p, 'Half past').getByRole('button', { name: '👍, 2 people', pressed: true }).waitFor();
  await bob.page.reload();
  await bubble(bob, 'Half past').getByRole('button', { name: '👍, 2 people', pressed: true }).click();
  await bubble(bob, 'Half past').getByRole('button', { name: '👍, 1 person', pressed: false }).waitFor();
  await bubble(alice, 'Half past').getByRole('button', { name: '👍, 1 person', pressed: true }).waitFor();
});

test('a message is forwarded to another conversation, and recalled for both', async () => {
  await cluster.call('sendMessage', { userID: 'bob', text: 'hello from Carol' }, 'carol');
  await choose(bob, 'Lunch at noon?', 'Forward');
  await bob.page.getByRole('dialog', { name: 'Forward to' }).getByRole('button', { name: 'carol' }).click();
  await bob.page.getByText('The message was forwarded').waitFor();
  const { messages } = await cluster.call('getHistoryMessageList', { conversationID: 'c2c_bob' }, 'carol');
  assert.equal(messages[0].event.text, 'Lunch at noon?');
  await choose(alice, 'Fine', 'Recall');
  await bubble(bob, 'This message was recalled').waitFor();
});

test('a voice message is recorded, sent and played; a cancelled one is not sent', async () => {
  await bob.page.getByRole('button', { name: 'Record a voice message' }).click();
  const bar = bob.page.getByRole('group', { name: 'Recording a voice message' });
  await bar.getByRole('timer').getByText('0:01').waitFor();
  await bar.getByRole('button', { name: 'Cancel' }).click();
  await bob.page.getByRole('button', { name: 'Record a voice message' }).click();
  await bar.getByRole('timer').getByText('0:01').waitFor();
  await bar.getByRole('button', { name: 'Send the voice message' }).click();
  const play = log(alice).getByRole('button', { name: /^Play the voice message 0:0[1-9]$/ });
  await play.click();
  await alice.page.waitForFunction(() => document.querySelector('.bubble audio')?.currentTime > 0.2);
  const { messages } = await cluster.call('getHistoryMessageList', { conversationID: 'c2c_bob' }, 'alice');
  assert.equal(messages.filter((m) => m.event.sound).length, 1, 'the cancelled recording was sent');
  assert.ok(messages[0].event.sound.duration >= 500);
});

test('several files are sent with their progress, and an upload can be cancelled', async () => {
  let release;
  const held = new Promise((resolve) => {
    release = resolve;
  });
  let first = true;
  await alice.page.route('**/v1/files*', async (route) => {
    if (first) {
      first = false;
      await held;
      await route.abort().catch(() => undefined);
    } else await route.continue();
  });
  const file = (name) => ({ name, mimeType: 'text/plain', buffer: Buffer.from(`content of ${name}`) });
  const picker = alice.page.locator('input[type=file]');
  await picker.setInputFiles([file('cancelled.txt')]);
  await alice.page.getByRole('progressbar', { name: 'Upload of cancelled.txt' }).waitFor();
  await alice.page.getByRole('button', { name: 'Cancel the upload' }).click();
  await alice.page.locator('.upload').waitFor({ state: 'detached' });
  release();
  await picker.setInputFiles([file('one.txt'), file('two.txt')]);
  await bubble(bob, 'one.txt').waitFor();
  await bubble(bob, 'two.txt').waitFor();
  assert.equal(await log(bob).getByText('cancelled.txt').count(), 0);
});
