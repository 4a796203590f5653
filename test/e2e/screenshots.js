// Takes the screenshots of docs/scenes: each scene on desktop and phone, light and dark. Run it with: make scenes

import { join } from 'node:path';
import { Cluster, User, launch, root, waitForVideo } from './kit.js';

const phone = {
  context: {
    viewport: { width: 390, height: 844 },
    isMobile: true,
    hasTouch: true,
    deviceScaleFactor: 2,
    colorScheme: 'dark',
  },
};
const cluster = await Cluster.start();
const browser = await launch();
const shot = async (p, name) => {
  await p.page.waitForTimeout(700); // wait for animations
  await p.page.screenshot({ path: join(root, 'docs', 'scenes', `${name}.png`) });
  console.log(`docs/scenes/${name}.png`);
};
const enter = async (p, ...place) => {
  await p.open(...place);
  await p.page.locator('[data-entry="in"]').waitFor();
};

try {
  const alice = await User.signIn(cluster, browser, 'Alice Moreau');
  const bob = await User.signIn(cluster, browser, 'Bob Tanaka', phone);
  const carol = await User.signIn(cluster, browser, 'Carol Okafor');
  const say = (from, to, text) => cluster.call('sendMessage', { ...to, text }, from);

  await say('bob', { userID: 'alice' }, 'Are you coming on Friday?');
  await say('alice', { userID: 'bob' }, 'Yes! Shall we talk it through?');
  await say('bob', { userID: 'alice' }, 'Call me, I have ten minutes now.');
  await alice.open('chat', 'c2c_bob');
  await alice.page.getByRole('button', { name: 'Video call', exact: true }).click();
  const accept = bob.page.getByRole('button', { name: 'Accept' });
  await accept.waitFor();
  await shot(alice, 'call-ringing-desktop');
  await shot(bob, 'call-ringing-phone');
  await accept.click();
  await Promise.all([waitForVideo(alice.page, 'bob'), waitForVideo(bob.page, 'alice')]);
  await shot(alice, 'call-desktop');
  await shot(bob, 'call-phone');
  await alice.page.getByRole('button', { name: 'Hang up' }).click();
  await alice.page.getByText('Call · 0:').first().waitFor();
  await shot(alice, 'conversation-desktop');

  await Promise.all([
    enter(alice, 'class', 'demo-class'),
    enter(bob, 'class', 'demo-class'),
    enter(carol, 'class', 'demo-class'),
  ]);
  await say('alice', { groupID: 'demo-class' }, 'Today: why the sky is blue.');
  await alice.page.getByRole('button', { name: 'Ask for raised hands' }).click();
  for (const p of [bob, carol]) await p.page.getByRole('button', { name: 'Raise hand' }).click();
  await alice.page.locator('[data-hand="carol"]').getByRole('button', { name: 'Let speak' }).click();
  await carol.page.getByRole('button', { name: 'Speak' }).click();
  await bob.page.locator('[data-speaker="carol"]').waitFor();
  await waitForVideo(bob.page, 'alice');
  await shot(alice, 'classroom-desktop');
  await shot(bob, 'classroom-phone');

  await Promise.all([
    enter(alice, 'lounge', 'demo-lounge'),
    enter(bob, 'lounge', 'demo-lounge'),
    enter(carol, 'lounge', 'demo-lounge'),
  ]);
  await carol.page.getByRole('button', { name: 'Ask for the microphone' }).click();
  await alice.page.locator('[data-request="carol"]').getByRole('button', { name: 'Grant' }).click();
  await bob.page.locator('[data-seat="carol"][data-mic="on"]').waitFor();
  await bob.page.getByRole('button', { name: 'Ask for the microphone' }).click();
  await alice.page.locator('[data-request="bob"]').waitFor();
  await shot(alice, 'chat-room-desktop');
  await shot(bob, 'chat-room-phone');
} finally {
  await browser.close();
  await cluster.stop();
}
