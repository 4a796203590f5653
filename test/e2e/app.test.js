// The application around calls and conversations: other invitations, windows, phones held sideways, the title of a page
// that is not visible, persistent sign-ins, accessibility, and the size of the first load.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { get } from 'node:http';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Cluster, User, launch, waitForVideo } from './kit.js';

let cluster, browser, alice, bob;

before(async () => {
  [cluster, browser] = await Promise.all([
    Cluster.start({ BECKON_USER_RATE: '10000', BECKON_USER_BURST: '10000' }),
    launch(),
  ]);
  [alice, bob] = await Promise.all([
    User.signIn(cluster, browser, 'Alice Moreau'),
    User.signIn(cluster, browser, 'Bob Tanaka', {
      context: { viewport: { width: 844, height: 390 }, hasTouch: true, isMobile: true },
    }),
  ]);
});

after(async () => {
  await browser?.close();
  await cluster?.stop();
  assert.deepEqual(cluster.faults ?? [], [], 'a page threw something');
});

const stateOf = async (inviteID, user) => {
  const { invitation } = await cluster.call('getInvitation', { inviteID }, user);
  return invitation.invitees.find((p) => p.userID === user)?.state;
};

test('an invitation of another program rings, and is accepted and declined', async () => {
  const invite = async (data) =>
    (await cluster.call('invite', { invitee: 'alice', timeout: 60, data }, 'carol')).inviteID;
  const dialog = alice.page.getByRole('dialog', { name: 'Invitation' });
  const accepted = await invite('dinner?');
  await dialog.getByText('dinner?').waitFor();
  await dialog.getByRole('button', { name: 'Accept' }).click();
  await alice.page.getByText('You accepted the invitation').waitFor();
  assert.equal(await stateOf(accepted, 'alice'), 'accepted');
  const declined = await invite('{"app":"another"}');
  await dialog.getByRole('button', { name: 'Decline' }).click();
  await dialog.waitFor({ state: 'detached' });
  for (let n = 0; (await stateOf(declined, 'alice')) === 'open'; n++) {
    assert.ok(n < 100, 'the invitation stays open');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.equal(await stateOf(declined, 'alice'), 'rejected');
  const cancelled = await invite('');
  await dialog.waitFor();
  await alice.page.reload(); // it rings again
  await dialog.waitFor();
  await cluster.call('cancel', { inviteID: cancelled }, 'carol');
  await dialog.waitFor({ state: 'detached' });
});

test('a call on a phone held sideways: all buttons are in view; a page that is not visible shows it in its title', async () => {
  const hide = (hidden) =>
    bob.page.evaluate((value) => {
      Object.defineProperty(document, 'hidden', { value, configurable: true });
      Object.defineProperty(document, 'visibilityState', { value: value ? 'hidden' : 'visible', configurable: true });
      document.dispatchEvent(new Event('visibilitychange'));
    }, hidden);
  await alice.open('chat', 'c2c_bob');
  await alice.page.getByRole('button', { name: 'Video call', exact: true }).click();
  const dialog = bob.page.getByRole('dialog', { name: 'Video call' });
  for (const name of ['Accept', 'Decline', 'Voice only']) {
    const { y, height } = await dialog.getByRole('button', { name }).boundingBox();
    assert.ok(y >= 0 && y + height <= 390, `${name} is outside the window: ${y}, ${height}`);
  }
  await hide(true);
  await bob.page.waitForFunction(() => document.title === '📞 Alice Moreau calls you');
  await hide(false);
  await bob.page.waitForFunction(() => document.title.endsWith('Beckon'));
  await dialog.getByRole('button', { name: 'Accept' }).click();
  await Promise.all([waitForVideo(alice.page, 'bob'), waitForVideo(bob.page, 'alice')]);
  const hang = await bob.page.getByRole('button', { name: 'Hang up' }).boundingBox();
  assert.ok(hang.y + hang.height <= 390, 'the button that hangs up is outside the window');
});

test('a call in a small window: one writes during the call; another user is added; devices are picked', async () => {
  const call = alice.page.getByRole('region', { name: 'Call', exact: true });
  await call.getByRole('button', { name: 'Small window' }).click();
  await alice.page.getByLabel('Write a message').fill('during the call');
  await alice.page.getByLabel('Write a message').press('Enter');
  await alice.page.getByRole('log', { name: 'Messages' }).getByText('during the call').waitFor();
  await waitForVideo(alice.page, 'bob');
  await call.getByRole('button', { name: 'Full size' }).click();

  const carol = await User.signIn(cluster, browser, 'Carol Okafor');
  await call.getByRole('button', { name: 'Invite more people' }).click();
  const add = alice.page.getByRole('dialog', { name: 'Invite more people' });
  await add.getByLabel('Their user IDs').fill('carol');
  await add.getByRole('button', { name: 'Invite', exact: true }).click();
  await carol.page.getByRole('dialog', { name: 'Video call' }).getByRole('button', { name: 'Accept' }).click();
  await Promise.all([waitForVideo(alice.page, 'carol'), waitForVideo(carol.page, 'bob')]);
  await carol.leave();

  await call.getByRole('button', { name: 'Camera, microphone and speaker' }).click();
  const devices = alice.page.getByRole('dialog', { name: 'Camera, microphone and speaker' });
  const microphones = devices.getByLabel('Microphone');
  const other = await microphones.locator('option').last().getAttribute('value');
  await microphones.selectOption(other);
  await alice.page.waitForFunction((id) => document.querySelectorAll('.device select')[1].value === id, other);
  await alice.page.keyboard.press('Escape');
  await call.getByRole('button', { name: 'Hang up' }).click();
  await bob.page.getByRole('button', { name: 'Hang up' }).click();
});

test('the calls of a user, with a button that calls back', async () => {
  await alice.open('calls');
  const list = alice.page.getByRole('region', { name: 'Calls' });
  await list.getByText('Outgoing').first().waitFor();
  await list.getByText('Bob Tanaka').first().waitFor();
  await list.getByRole('button', { name: 'Call back' }).first().waitFor();
});

test('a user stays signed in, if wanted, until the sign-out', async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(cluster.url);
  await page.getByLabel('Stay signed in on this device').check();
  await page.getByRole('button', { name: 'Dan Lindqvist' }).click();
  const nav = (p) => p.getByRole('navigation', { name: 'Conversations and rooms' });
  await nav(page).waitFor();
  const second = await context.newPage();
  await second.goto(cluster.url);
  await nav(second).waitFor();
  await second.getByRole('button', { name: 'Sign out' }).click();
  await second.getByText('Who are you?').waitFor();
  const third = await context.newPage();
  await third.goto(cluster.url);
  await third.getByText('Who are you?').waitFor();
  await context.close();
});

/** Returns the violations of accessibility rules on a page. */
async function violations(page) {
  const axe = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8');
  await page.evaluate(axe);
  const { violations: found } = await page.evaluate(() =>
    globalThis.axe.run(document, { resultTypes: ['violations'] }),
  );
  return found.map(
    (v) => `${v.id}: ${v.nodes.map((n) => `${n.html.slice(0, 120)} ${n.any[0]?.message ?? ''}`).join('; ')}`,
  );
}

test('no page violates the rules of accessibility, in light and dark', async () => {
  await cluster.call('sendMessage', { userID: 'alice', text: 'hello https://example.org' }, 'bob');
  await cluster.call('createGroup', { groupID: 'axe', type: 'Public', name: 'Axe', memberList: ['bob'] }, 'alice');
  const { page } = alice;
  const faults = [];
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    const check = async (name) => faults.push(...(await violations(page)).map((v) => `${name}, ${colorScheme}: ${v}`));
    const dialog = async (button, name) => {
      await page.getByRole('button', { name: button }).click();
      await page.getByRole('dialog').waitFor();
      await check(name);
      await page.keyboard.press('Escape');
    };
    await alice.open('calls');
    await page.getByRole('region', { name: 'Calls' }).waitFor();
    await check('calls');
    await alice.open('chat', 'c2c_bob');
    await page.getByRole('log').locator('.bubble').first().waitFor();
    await check('conversation');
    await dialog('About this conversation', 'panel');
    await dialog('New conversation', 'new conversation');
    await dialog('Settings', 'settings');
    await alice.open('chat', 'group_axe');
    await page.getByRole('button', { name: 'Add people to the group' }).waitFor();
    await dialog('About this conversation', 'group');
    await alice.open('class', 'demo-class');
    await page.getByRole('region', { name: 'Raised hands' }).waitFor();
    await check('classroom');
    await alice.open('lounge', 'demo-lounge');
    await page.getByRole('region', { name: 'Listeners' }).waitFor();
    await check('chat room');
  }
  const context = await browser.newContext();
  const fresh = await context.newPage();
  await fresh.goto(cluster.url);
  await fresh.getByText('Who are you?').waitFor();
  faults.push(...(await violations(fresh)).map((v) => `sign-in: ${v}`));
  await context.close();
  assert.deepEqual(faults, []);
});

test('less than 150 kB of gzip are loaded for a signed-in page, and no LiveKit', async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  const urls = new Set();
  page.on('request', (r) => {
    if (['document', 'script', 'stylesheet'].includes(r.resourceType())) urls.add(r.url());
  });
  await page.goto(cluster.url);
  await page.getByRole('button', { name: 'Dan Lindqvist' }).click();
  await page.getByRole('navigation').waitFor();
  await page.locator('.list .item').first().waitFor();
  const sizes = await Promise.all(
    [...urls].map(
      (url) =>
        new Promise((resolve, reject) => {
          get(url, { headers: { 'Accept-Encoding': 'gzip' } }, (res) => {
            let bytes = 0;
            res.on('data', (part) => (bytes += part.length));
            res.on('end', () => resolve(bytes));
          }).on('error', reject);
        }),
    ),
  );
  assert.ok(![...urls].some((url) => url.includes('media')), 'LiveKit is loaded without a call');
  const bytes = sizes.reduce((a, b) => a + b, 0);
  assert.ok(bytes < 150_000, `${bytes} bytes`);
  await context.close();
});
