// Tabs of one user in one browser: one call at a time, in either direction.

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { Cluster, User, launch, waitForVideo } from './kit.js';

const refusal = 'this browser is in a call in another tab; hang up there first';

let cluster, browser, alice, bob, carol, second;

before(async () => {
  [cluster, browser] = await Promise.all([Cluster.start(), launch()]);
  [alice, bob, carol] = await Promise.all(
    ['Alice Moreau', 'Bob Tanaka', 'Carol Okafor'].map((name) => User.signIn(cluster, browser, name)),
  );
});

beforeEach(async () => {
  second = await alice.tab();
});

after(async () => {
  await browser?.close();
  await cluster?.stop();
  assert.deepEqual(cluster.faults ?? [], [], 'a page threw something');
});

const ongoing = (page) => page.getByRole('region', { name: 'Call', exact: true });
const ringing = (p) => p.page.getByRole('dialog', { name: 'Video call' });
const toast = (page, text) => page.locator('.toast', { hasText: text }).first();
const button = (page) => page.getByRole('button', { name: 'Video call', exact: true });

async function open(page, ...parts) {
  await page.evaluate(
    (hash) => {
      location.hash = hash;
    },
    `#/${parts.join('/')}`,
  );
  await button(page).waitFor();
}

/** Begins a call of alice's first tab with bob. */
async function talk() {
  await open(alice.page, 'chat', 'c2c_bob');
  await button(alice.page).click();
  await ringing(bob).getByRole('button', { name: 'Accept' }).click();
  await Promise.all([waitForVideo(alice.page, 'bob'), waitForVideo(bob.page, 'alice')]);
}

const invitations = async () =>
  (await cluster.call('listInvitations', {}, 'alice')).invitations.filter((v) => v.inviter === 'alice');

test('while a tab is in a call, another tab calls nobody, and joins no group call', async () => {
  const members = { groupID: 'demo-team', inviteeList: ['alice', 'carol'] };
  await talk();
  await open(second, 'chat', 'c2c_carol');
  await button(second).click();
  await toast(second, refusal).waitFor();
  assert.equal(await ongoing(second).count(), 0);
  assert.equal(await ringing(carol).count(), 0, 'the other tab rang');
  assert.deepEqual(await invitations(), []);

  // A call of the group rings in no tab, and is not answered by the other one.
  await cluster.call('inviteInGroup', { ...members, roomID: 'team', data: '{"call":1,"media":"video"}' }, 'bob');
  await ringing(carol).waitFor();
  assert.equal(await second.getByRole('dialog', { name: 'Video call' }).count(), 0);
  await waitForVideo(alice.page, 'bob');
  await alice.page.getByRole('button', { name: 'Hang up' }).click();
  await Promise.all([alice, bob].map((p) => ongoing(p.page).waitFor({ state: 'detached' })));
  await ringing(carol).getByRole('button', { name: 'Decline' }).click();

  // The other tab is free again.
  await button(second).click();
  await ringing(carol).getByRole('button', { name: 'Decline' }).click();
  await ongoing(second).waitFor({ state: 'detached' });
  await second.close();
});

test('of two tabs that call at the same time exactly one does', async () => {
  const pages = [alice.page, second];
  await open(alice.page, 'chat', 'c2c_bob');
  await open(second, 'chat', 'c2c_carol');
  for (let round = 0; round < 3; round++) {
    const at = Date.now() + 500;
    await Promise.all(
      pages.map(async (page) => {
        const handle = await button(page).elementHandle();
        await handle.evaluate(
          (el, time) => new Promise((resolve) => setTimeout(() => resolve(el.click()), time - Date.now())),
          at,
        );
      }),
    );
    const refused = await Promise.race(
      pages.map((page) =>
        toast(page, refusal)
          .waitFor()
          .then(() => page),
      ),
    );
    const calls = pages.find((page) => page !== refused);
    await ringing(calls === second ? carol : bob).waitFor();
    assert.equal(await ongoing(refused).count(), 0);
    assert.equal(await ringing(calls === second ? bob : carol).count(), 0, 'both tabs call');
    assert.equal((await invitations()).length, 1);
    await calls.getByRole('button', { name: 'Hang up' }).click();
    await ringing(calls === second ? carol : bob).waitFor({ state: 'detached' });
    await toast(refused, refusal).waitFor({ state: 'detached' });
  }
  await second.close();
});

test('a tab that crashes in a call frees the others', async () => {
  await talk();
  await open(second, 'chat', 'c2c_carol');
  const debug = await alice.context.newCDPSession(alice.page);
  const crashed = new Promise((resolve) => alice.page.once('crash', resolve));
  debug.send('Page.crash').catch(() => undefined);
  await crashed;
  await button(second).click();
  await ringing(carol).getByRole('button', { name: 'Decline' }).click();
  await ongoing(second).waitFor({ state: 'detached' });
});
