// Conversations, groups and the settings of a user.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Cluster, User, bubble, launch, log, write } from './kit.js';

let cluster, browser, alice, bob;

before(async () => {
  [cluster, browser] = await Promise.all([
    Cluster.start({ BECKON_USER_RATE: '10000', BECKON_USER_BURST: '10000' }),
    launch(),
  ]);
  await cluster.call('sendMessage', { userID: 'alice', text: 'the first apple', messageID: 'apple' }, 'bob');
  for (let n = 0; n < 200; n += 20)
    await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        cluster.call('sendMessage', { userID: 'alice', text: `row ${n + i}` }, 'bob'),
      ),
    );
  await cluster.call(
    'createGroup',
    { groupID: 'club', type: 'Public', name: 'The club', memberList: ['bob'] },
    'alice',
  );
  [alice, bob] = await Promise.all([
    User.signIn(cluster, browser, 'Alice Moreau', { context: { permissions: ['clipboard-read', 'clipboard-write'] } }),
    User.signIn(cluster, browser, 'Bob Tanaka'),
  ]);
});

after(async () => {
  await browser?.close();
  await cluster?.stop();
  assert.deepEqual(cluster.faults ?? [], [], 'a page threw something');
});

/** Opens the actions of a message by a right click, and chooses one. */
async function choose(p, text, action) {
  await bubble(p, text).click({ button: 'right' });
  await p.page.getByRole('group', { name: 'Actions on the message' }).getByRole('button', { name: action }).click();
}

/** Presses a switch, and waits for the server's answer. */
async function press(locator, on) {
  await locator.click();
  for (let n = 0; (await locator.isChecked()) !== on; n++) {
    assert.ok(n < 200, 'the switch does not change');
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

const panel = (p) => p.page.getByRole('dialog', { name: 'About this conversation' });

async function openPanel(p) {
  await p.page.getByRole('button', { name: 'About this conversation' }).click();
  await panel(p).waitFor();
}

test('unread messages are in the title; an own message is sent, then read', async () => {
  await alice.page.waitForFunction(() => document.title === '(99+) Beckon');
  await alice.open('chat', 'c2c_bob');
  await bubble(alice, 'row ').waitFor();
  await alice.page.waitForFunction(() => document.title === 'Beckon');
  await write(alice, 'see https://example.org/a(b), or www.example.org.');
  await bubble(alice, 'see ').getByRole('img', { name: 'Sent' }).waitFor();
  assert.deepEqual(
    await bubble(alice, 'see ')
      .locator('a')
      .evaluateAll((all) => all.map((a) => a.href)),
    ['https://example.org/a(b', 'https://www.example.org/'],
  );
  await bob.open('chat', 'c2c_alice');
  await bubble(alice, 'see ').getByRole('img', { name: 'Read', exact: true }).waitFor();
});

test('a message is edited, copied, and deleted for one user', async () => {
  await write(alice, 'a word with a misteak');
  await bubble(bob, 'misteak').waitFor();
  await choose(alice, 'misteak', 'Edit');
  await alice.page.getByLabel('Write a message').fill('a word without a mistake');
  await alice.page.getByRole('button', { name: 'Save' }).click();
  for (const p of [alice, bob]) await bubble(p, 'without a mistake').getByText('edited').waitFor();
  await choose(alice, 'without a mistake', 'Copy');
  await alice.page.getByText('Copied').waitFor();
  assert.equal(await alice.page.evaluate(() => navigator.clipboard.readText()), 'a word without a mistake');
  await choose(alice, 'without a mistake', 'Delete for me');
  await bubble(alice, 'without a mistake').waitFor({ state: 'detached' });
  await bubble(bob, 'without a mistake').waitFor();
});

test('a search finds an early message, and a quote shows its message in its place', async () => {
  await alice.page.getByLabel('Search messages').fill('apple');
  await alice.page.getByRole('list', { name: 'Messages found' }).getByText('the first apple').click();
  await bubble(alice, 'the first apple').waitFor();
  await alice.page.getByRole('button', { name: 'Latest messages' }).click();
  await bubble(alice, 'see ').waitFor();
  await alice.page.getByLabel('Search messages').fill('');

  await cluster.call('sendMessage', { userID: 'alice', text: 'about that apple', replyTo: 'apple' }, 'bob');
  await bubble(alice, 'about that apple').locator('.quote', { hasText: 'the first apple' }).click();
  await bubble(alice, 'the first apple').waitFor();

  await alice.page.getByRole('button', { name: 'Search in this conversation' }).click();
  await alice.page.getByRole('searchbox', { name: 'Search in this conversation' }).fill('row 150');
  await alice.page.getByRole('list', { name: 'Messages found' }).getByText('row 150').click();
  await bubble(alice, 'row 150').waitFor();
});

test('a conversation is pinned and muted; a draft is shown in the list', async () => {
  await cluster.call('sendMessage', { userID: 'alice', text: 'newer' }, 'dave');
  const first = alice.page.locator('.list .item').first();
  await first.getByText('newer').waitFor();
  await openPanel(alice);
  await press(panel(alice).getByLabel('Pin above the others'), true);
  await press(panel(alice).getByLabel('Mute: no notifications'), true);
  await alice.page.keyboard.press('Escape');
  await first.getByText('Bob Tanaka').waitFor();
  await alice.page.getByLabel('Write a message').fill('not yet finished');
  await alice.open('chat', 'c2c_dave');
  await first.getByText('Draft: not yet finished').waitFor();
  await alice.page.waitForFunction(() => document.title === 'Beckon');
  await cluster.call('sendMessage', { userID: 'alice', text: 'in a muted conversation' }, 'bob');
  await first.getByText('1 unread').waitFor({ state: 'attached' });
  assert.equal(await alice.page.title(), 'Beckon', 'a muted conversation counts in the title');
});

test('a blocked user is refused with a reason, and unblocked in the settings', async () => {
  await alice.open('chat', 'c2c_bob');
  await openPanel(alice);
  await press(panel(alice).getByLabel('Block this user'), true);
  await alice.page.keyboard.press('Escape');
  await write(bob, 'can you hear me');
  await log(bob).getByText('Not sent: they do not take messages or calls from you').waitFor();
  await alice.page.getByRole('button', { name: 'Settings' }).click();
  const settings = alice.page.getByRole('dialog', { name: 'Settings' });
  await settings.getByRole('button', { name: 'Unblock' }).click();
  await settings.getByRole('button', { name: 'Unblock' }).waitFor({ state: 'detached' });
  await alice.page.keyboard.press('Escape');
  await log(bob).getByRole('button', { name: 'Send again' }).click();
  await bubble(alice, 'can you hear me').waitFor();
});

test('a group: notice, mentions, receipts, moderators, removal, and the owner who dismisses it', async () => {
  await alice.open('chat', 'group_club');
  await log(alice).getByText('Today').waitFor();
  await bob.open('chat', 'group_club');
  await openPanel(alice);
  await panel(alice).getByLabel('Notice').fill('Meet on Friday');
  await panel(alice).getByRole('button', { name: 'Save' }).click();
  await bob.page.locator('.notice', { hasText: 'Meet on Friday' }).waitFor();
  const member = panel(alice).locator('[data-member="bob"]');
  await member.getByRole('button', { name: 'Make moderator' }).click();
  await member.getByText('moderator', { exact: false }).first().waitFor();
  await member.getByRole('button', { name: 'Remove as moderator' }).click();
  await press(panel(alice).getByLabel('Only moderators may write'), true);
  await write(bob, 'may I write');
  await log(bob).getByText('Not sent: you may not write here at the moment').waitFor();
  await press(panel(alice).getByLabel('Only moderators may write'), false);
  await alice.page.keyboard.press('Escape');

  const box = alice.page.getByLabel('Write a message');
  await box.pressSequentially('look @bo');
  await alice.page.getByRole('listbox', { name: 'Mention a member' }).getByRole('button', { name: 'Bob' }).click();
  await box.press('Enter');
  await bubble(bob, 'look @Bob Tanaka').waitFor();
  await bubble(alice, 'look @').getByRole('button', { name: 'Read by 1 member' }).click();
  const readers = alice.page.getByRole('dialog', { name: 'Who has read this message' });
  await readers.getByText('Read: 1').waitFor();
  await readers.getByText('Bob Tanaka').waitFor();
  await alice.page.keyboard.press('Escape');

  await alice.page.getByRole('button', { name: 'Add people to the group' }).click();
  const add = alice.page.getByRole('dialog', { name: 'Add people' });
  await add.getByLabel('Their user IDs').fill('carol nobody-1, nobody-2');
  await add.getByRole('button', { name: 'Add', exact: true }).click();
  await add.getByText('No user with the ID nobody-1, nobody-2 has signed in yet').waitFor();
  await alice.page.keyboard.press('Escape');

  await openPanel(alice);
  await member.getByRole('button', { name: 'Remove', exact: true }).click();
  await member.waitFor({ state: 'detached' });
  alice.page.once('dialog', (d) => d.accept());
  await panel(alice).getByRole('button', { name: 'Dismiss the group' }).click();
  await panel(alice).waitFor({ state: 'detached' });
  await alice.page.locator('.list').getByText('The club').waitFor({ state: 'detached' });
});

test('a user asks to join by an invite link, and is let in', async () => {
  await cluster.call('createGroup', { groupID: 'open-day', name: 'Open day', type: 'Public' }, 'alice');
  await alice.open('chat', 'group_open-day');
  await openPanel(alice);
  await panel(alice).getByRole('img', { name: 'The link as a QR code' }).waitFor();
  await panel(alice).getByRole('button', { name: 'Copy the link' }).click();
  const link = await alice.page.evaluate(() => navigator.clipboard.readText());
  await alice.page.keyboard.press('Escape');
  await bob.page.goto(link);
  const join = bob.page.getByRole('dialog', { name: 'Join a group' });
  await join.getByRole('heading', { name: 'Open day' }).waitFor();
  await join.getByRole('button', { name: 'Ask to join' }).click();
  await bob.page.getByText('You have asked to join').waitFor();
  await openPanel(alice);
  await panel(alice).getByText('Want to join: 1').waitFor();
  await panel(alice).getByRole('button', { name: 'Let in' }).click();
  await panel(alice).locator('[data-member="bob"]').waitFor();
  await alice.page.keyboard.press('Escape');
  await bob.page.goto(link);
  await join.getByRole('button', { name: 'Open' }).click();
  await bob.page.getByRole('heading', { name: 'Open day' }).waitFor();
});

test('the settings: a name, quiet hours, another device that is disconnected', async () => {
  const phone = await bob.tab();
  await alice.page.bringToFront();
  await alice.page.getByRole('button', { name: 'Settings' }).click();
  const settings = alice.page.getByRole('dialog', { name: 'Settings' });
  await settings.getByLabel('Your name').fill('Alice M.');
  await settings.getByRole('button', { name: 'Save' }).click();
  await alice.page.locator('.nav header').getByText('Alice M.').waitFor();
  await press(settings.getByLabel('Do not disturb every day'), true);
  await settings.getByLabel('From').waitFor();
  assert.equal((await cluster.call('getDoNotDisturb', {}, 'alice')).doNotDisturb.dailyFrom, '22:00');
  await press(settings.getByLabel('Do not disturb every day'), false);
  await alice.page.keyboard.press('Escape');
  assert.equal((await cluster.call('getUsersInfo', { userIDList: ['alice'] }, 'bob')).profiles[0].nick, 'Alice M.');
  await bob.page.getByRole('button', { name: 'Settings' }).click();
  await bob.page.getByRole('dialog', { name: 'Settings' }).getByRole('button', { name: 'Disconnect' }).click();
  await phone.getByText('You were signed out').waitFor();
  await bob.page.keyboard.press('Escape');
});

test('Chinese: the pages and the components, also after a reload', async () => {
  await alice.page.getByRole('button', { name: 'Settings' }).click();
  await alice.page.getByLabel('Language').selectOption('zh');
  await alice.page.getByRole('dialog', { name: '设置' }).waitFor();
  await alice.page.reload();
  await alice.page.getByRole('navigation', { name: '会话和房间' }).waitFor();
  await alice.open('chat', 'c2c_bob');
  await alice.page.getByRole('button', { name: '视频通话', exact: true }).waitFor();
  assert.equal(await alice.page.locator('.beckon').getAttribute('lang'), 'zh');
  const english = await alice.page.locator('.nav, .chat header, .compose').evaluateAll((parts) =>
    parts
      .flatMap((p) => [...p.querySelectorAll('[aria-label], [placeholder], [title]')])
      .flatMap((e) => [e.ariaLabel, e.placeholder, e.title])
      .filter((text) => text && /^[A-Za-z ]{4,}$/.test(text)),
  );
  assert.deepEqual(english, []);
});
