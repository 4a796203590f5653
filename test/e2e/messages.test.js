// The view of a conversation: it keeps its place while others write, reads the whole history, and shows messages that
// the server does not have.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Cluster, User, launch, log } from './kit.js';

let cluster, browser, alice;

before(async () => {
  [cluster, browser] = await Promise.all([
    Cluster.start({ BECKON_USER_RATE: '10000', BECKON_USER_BURST: '10000' }),
    launch(),
  ]);
  for (let n = 0; n < 300; n += 20)
    await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        cluster.call('sendMessage', { userID: 'alice', text: `line ${n + i}` }, 'bob'),
      ),
    );
  alice = await User.signIn(cluster, browser, 'Alice Moreau', { otherOrigin: true });
});

after(async () => {
  await browser?.close();
  await cluster?.stop();
  assert.deepEqual(cluster.faults ?? [], [], 'a page threw something');
});

const top = (p) => log(p).evaluate((e) => e.scrollTop);
const fromEnd = (p) => log(p).evaluate((e) => e.scrollHeight - e.scrollTop - e.clientHeight);

test('a view of earlier messages keeps its place while others write; the whole history can be read', async () => {
  await alice.open('chat', 'c2c_bob');
  await log(alice)
    .getByText(/^line \d+$/)
    .last()
    .waitFor();
  assert.ok((await fromEnd(alice)) < 5, 'a conversation does not open at its end');
  await cluster.call('sendMessage', { userID: 'alice', text: 'at the end' }, 'bob');
  await log(alice).getByText('at the end').waitFor();
  assert.ok((await fromEnd(alice)) < 5, 'the end does not stay in view');

  // Scrolling up reads page after page. Only the messages in view are in the document.
  for (let n = 0; !(await log(alice).getByText('line 0', { exact: true }).isVisible()); n++) {
    assert.ok(n < 200, 'the history has no beginning');
    await log(alice).evaluate((e) => e.scrollTo(0, 0));
    await alice.page.waitForTimeout(50);
  }
  assert.ok((await log(alice).locator('.bubble').count()) < 150, 'all messages are in the document');

  await log(alice).evaluate((e) => e.scrollTo(0, 2000));
  await alice.page.getByRole('button', { name: 'Latest messages' }).waitFor();
  const before = await top(alice);
  await cluster.call('sendMessage', { userID: 'alice', text: 'while reading above' }, 'bob');
  const latest = alice.page.getByRole('button', { name: '1 new message' });
  await latest.waitFor();
  assert.equal(await top(alice), before, 'a new message moved the view');
  const unread = async () =>
    (await cluster.call('getConversation', { conversationID: 'c2c_bob' }, 'alice')).conversation.unread;
  assert.equal(await unread(), 1, 'a message out of view was marked as read');
  await latest.click();
  await log(alice).getByText('while reading above').waitFor();
  for (let n = 0; (await unread()) > 0; n++) {
    assert.ok(n < 100, 'a message in view stays unread');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
});

test('a message without a network is shown as such, and sent again; a draft stays with its conversation', async () => {
  const write = alice.page.getByLabel('Write a message');
  await write.fill('to be continued');
  await alice.open('chat', 'c2c_carol');
  await write.waitFor();
  assert.equal(await write.inputValue(), '');
  await alice.open('chat', 'c2c_bob');
  await alice.page.waitForFunction(() => document.querySelector('textarea')?.value === 'to be continued');

  await cluster.kill();
  await alice.page.getByText('The server cannot be reached').waitFor();
  await write.fill('sent without a network');
  await write.press('Enter');
  await log(alice).getByText('Sending…').waitFor();
  await alice.page.reload(); // the page has a message that is not sent
  await cluster.run();
  await alice.page.getByRole('navigation', { name: 'Conversations and rooms' }).waitFor();
  const failed = log(alice).getByRole('alert').filter({ hasText: 'Not sent' });
  await failed.getByRole('button', { name: 'Send again' }).click();
  await failed.waitFor({ state: 'detached' });
  const { messages } = await cluster.call('getHistoryMessageList', { conversationID: 'c2c_bob', limit: 1 }, 'alice');
  assert.equal(messages[0].event.text, 'sent without a network');
  assert.equal(await log(alice).getByText('sent without a network').count(), 1);
});

test('a burst of messages costs the page a few updates, not one for each', async () => {
  const carol = await User.signIn(cluster, browser, 'Carol Okafor');
  await carol.open('chat', 'c2c_bob');
  await carol.page.getByLabel('Write a message').waitFor();
  const socket = carol.page.waitForEvent('websocket');
  await carol.page.reload();
  let frames = 0; // of the page: each update marks the conversation as read
  (await socket).on('framesent', () => frames++);
  await carol.page.getByLabel('Write a message').waitFor();
  const before = frames;
  const count = 300;
  await Promise.all(
    Array.from({ length: count }, (_, i) =>
      cluster.call('sendMessage', { userID: 'carol', text: `burst ${i}` }, 'bob'),
    ),
  );
  const { messages } = await cluster.call('getHistoryMessageList', { conversationID: 'c2c_bob', limit: 1 }, 'carol');
  await log(carol).getByText(messages[0].event.text, { exact: true }).waitFor();
  assert.ok(frames - before < count / 2, `${frames - before} requests for ${count} messages`);
  await carol.leave();
});
