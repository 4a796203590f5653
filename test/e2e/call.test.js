// Calls of the original's document in a browser, with real video and audio, and each way in which a call ends.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Cluster, User, waitForAudio, launch, waitForVideo, watchPeers } from './kit.js';

let cluster, browser, alice, bob, carol;

before(async () => {
  [cluster, browser] = await Promise.all([Cluster.start(), launch()]);
  [alice, bob, carol] = await Promise.all(
    ['Alice Moreau', 'Bob Tanaka', 'Carol Okafor'].map((name) =>
      User.signIn(cluster, browser, name, { otherOrigin: name === 'Bob Tanaka' }),
    ),
  );
  for (const p of [alice, bob, carol]) await watchPeers(p.context);
  await Promise.all([alice, bob, carol].map((p) => p.page.reload()));
});

after(async () => {
  await browser?.close();
  await cluster?.stop();
  assert.deepEqual(cluster.faults ?? [], [], 'a page threw something');
});

const ongoing = (page) => page.getByRole('region', { name: 'Call', exact: true });
const ringing = (page) => page.getByRole('dialog', { name: 'Video call' });

async function dial(from, to) {
  await from.open('chat', `c2c_${to}`);
  await from.page.getByRole('button', { name: 'Video call', exact: true }).click();
}

/** Waits until none of the users is in a call. */
async function settled(...users) {
  for (const p of users) await ongoing(p.page).waitFor({ state: 'detached' });
}

/** Returns the last line about a call in a conversation. */
async function lastLine(p, conversation, text) {
  await p.open('chat', conversation);
  const line = p.page.getByRole('log', { name: 'Messages' }).locator('p.call', { hasText: text }).last();
  await line.waitFor().catch(async (err) => {
    throw new Error(`no line '${text}' in: ${await p.page.locator('body').innerText()}`, { cause: err });
  });
  return line;
}

/** Returns the call records, newest first. */
async function records() {
  const { calls } = await cluster.call('listCalls');
  return calls;
}

async function record(test) {
  const until = Date.now() + 20_000;
  for (;;) {
    const list = await records();
    const found = list.find(test);
    if (found) return found;
    assert.ok(Date.now() < until, `no such record: ${JSON.stringify(list)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

test('a video call: video plays, audio arrives, and the record has the duration', async () => {
  await dial(alice, 'bob');
  await ringing(bob.page).waitFor();
  await ongoing(alice.page).getByText('Ringing…', { exact: true }).waitFor();
  await ringing(bob.page).getByRole('button', { name: 'Accept' }).click();
  const sizes = await Promise.all([waitForVideo(alice.page, 'bob'), waitForVideo(bob.page, 'alice')]);
  assert.ok(sizes.every((w) => w > 0));
  await Promise.all([waitForAudio(alice.page), waitForAudio(bob.page)]);
  await bob.page.getByRole('button', { name: 'Hang up' }).click();
  await settled(alice, bob);
  const r = await record((c) => c.ended && c.began);
  assert.equal(r.reason, 'hangup');
  assert.equal(r.endedBy, 'bob');
  assert.equal(r.duration, r.ended - r.began);
  assert.ok(r.duration > 0 && r.count === 2);
  for (const [p, c] of [
    [alice, 'c2c_bob'],
    [bob, 'c2c_alice'],
  ])
    await lastLine(p, c, 'Call · 0:');
});

test('declined, cancelled, unanswered, busy: both sides show it, and no record is written', async () => {
  const before = (await records()).filter((c) => c.began).length;
  await dial(alice, 'bob');
  await ringing(bob.page).getByRole('button', { name: 'Decline' }).click();
  await settled(alice, bob);
  await lastLine(alice, 'c2c_bob', 'declined the video call');

  await dial(alice, 'bob');
  await ringing(bob.page).waitFor();
  await alice.page.getByRole('button', { name: 'Hang up' }).click();
  await ringing(bob.page).waitFor({ state: 'detached' });
  await lastLine(bob, 'c2c_alice', 'Missed video call');

  // Unanswered: the timeout of the app is 30 s. An app server uses 2 s with the same data and the same result.
  const data = JSON.stringify({ call: 1, media: 'video' });
  await cluster.call('invite', { invitee: 'bob', timeout: 2, roomID: 'unanswered', data }, 'alice');
  await ringing(bob.page).waitFor();
  await ringing(bob.page).waitFor({ state: 'detached' });
  await bob.page.getByText('Missed video call').nth(1).waitFor();
  await alice.page.getByText('No answer to the video call').waitFor();

  await dial(alice, 'bob');
  await ringing(bob.page).getByRole('button', { name: 'Accept' }).click();
  await waitForVideo(alice.page, 'bob');
  await dial(carol, 'bob');
  await lastLine(carol, 'c2c_bob', 'was in another call');
  await settled(carol);
  assert.equal(await ringing(bob.page).count(), 0, 'a busy user was rung');
  const now = await record((c) => c.began && !c.ended);
  await alice.page.getByRole('button', { name: 'Hang up' }).click();
  await settled(alice, bob);
  await record((c) => c.ended && c.began && c.inviteID === now.inviteID);
  assert.equal((await records()).filter((c) => c.began).length, before + 1);
});

test('two tabs: both ring, and the one that answers has the call', async () => {
  const second = await bob.tab();
  await dial(alice, 'bob');
  await Promise.all([ringing(bob.page).waitFor(), ringing(second).waitFor()]);
  await ringing(second).getByRole('button', { name: 'Accept' }).click();
  await ringing(bob.page).waitFor({ state: 'detached' });
  assert.equal(await ongoing(bob.page).count(), 0);
  await Promise.all([waitForVideo(alice.page, 'bob'), waitForVideo(second, 'alice')]);
  await alice.page.getByRole('button', { name: 'Hang up' }).click();
  await ongoing(second).waitFor({ state: 'detached' });
  await settled(alice);
  await second.close();
});

test('a reload during a call resumes the same call and the same record', async () => {
  await dial(alice, 'bob');
  await ringing(bob.page).getByRole('button', { name: 'Accept' }).click();
  await Promise.all([waitForVideo(alice.page, 'bob'), waitForVideo(bob.page, 'alice')]);
  const { callID } = await record((c) => !c.ended && c.began);
  await bob.page.reload();
  await ongoing(bob.page).waitFor();
  await Promise.all([waitForVideo(bob.page, 'alice'), waitForVideo(alice.page, 'bob')]);
  await alice.page.reload();
  await Promise.all([waitForVideo(bob.page, 'alice'), waitForVideo(alice.page, 'bob')]);
  const open = (await records()).filter((c) => !c.ended);
  assert.deepEqual(
    open.map((c) => c.callID),
    [callID],
    'the reload began another call',
  );
  await bob.page.getByRole('button', { name: 'Hang up' }).click();
  await settled(alice, bob);
  await record((c) => c.ended && c.callID === callID);
});

test('a call of three in a group; one is invited later', async () => {
  await alice.open('chat', 'group_demo-team');
  await alice.page.getByRole('button', { name: 'Video call', exact: true }).click();
  const pick = alice.page.getByRole('dialog', { name: 'Who do you want to call?' });
  await pick.getByLabel('Carol Okafor').uncheck();
  await pick.getByRole('button', { name: 'Call (1)' }).click();
  await ringing(bob.page).getByRole('button', { name: 'Accept' }).click();
  await Promise.all([waitForVideo(alice.page, 'bob'), waitForVideo(bob.page, 'alice')]);
  await alice.page.getByRole('button', { name: 'Invite more people' }).click();
  const more = alice.page.getByRole('dialog', { name: 'Invite more people' });
  await more.getByRole('button', { name: 'Invite (1)' }).click();
  await ringing(carol.page).getByRole('button', { name: 'Accept' }).click();
  await Promise.all([
    waitForVideo(carol.page, 'alice'),
    waitForVideo(carol.page, 'bob'),
    waitForVideo(alice.page, 'carol'),
    waitForVideo(bob.page, 'carol'),
  ]);
  await Promise.all([waitForAudio(alice.page, 2), waitForAudio(carol.page, 2)]);
  await carol.page.getByRole('button', { name: 'Hang up' }).click();
  await settled(carol);
  await waitForVideo(alice.page, 'bob');
  await bob.page.getByRole('button', { name: 'Hang up' }).click();
  await alice.page.getByRole('button', { name: 'Hang up' }).click();
  await settled(alice, bob);
  const r = await record((c) => c.ended && c.groupID === 'demo-team');
  assert.equal(r.count, 3);
  const { call } = await cluster.call('getCall', { callID: r.callID });
  assert.deepEqual(call.people.map((p) => p.userID).sort(), ['alice', 'bob', 'carol']);
  await lastLine(carol, 'group_demo-team', 'Call · 0:');
});

test('the server is killed in a call between pages of two origins: the call is back, with one record', async () => {
  const before = (await records()).length;
  await dial(alice, 'bob');
  await ringing(bob.page).getByRole('button', { name: 'Accept' }).click();
  await Promise.all([waitForVideo(alice.page, 'bob'), waitForVideo(bob.page, 'alice')]);
  const { callID, began } = await record((c) => !c.ended && c.began);
  await ongoing(alice.page).getByText('0:04').waitFor();
  // On several nodes the outage is short: a locator would look too rarely.
  const away = Promise.all(
    [alice, bob].map((p) => p.page.waitForFunction(() => document.querySelector('[data-phase="reconnecting"]'))),
  );
  await cluster.kill();
  await cluster.run();
  await away;
  await Promise.all([alice, bob].map((p) => ongoing(p.page).and(p.page.locator('[data-phase="connected"]')).waitFor()));
  await Promise.all([waitForVideo(alice.page, 'bob'), waitForVideo(bob.page, 'alice')]);
  await bob.page.getByRole('button', { name: 'Hang up' }).click();
  await settled(alice, bob);
  const r = await record((c) => c.ended && c.callID === callID);
  assert.deepEqual([r.began, r.reason, r.endedBy, r.count], [began, 'hangup', 'bob', 2]);
  assert.ok(r.duration < r.ended - r.began, 'the outage counts as time in the call');
  assert.ok(r.duration > 2500, 'the time before the outage is missing');
  assert.equal((await records()).length, before + 1);
});

test('the server is killed while a call rings: it keeps ringing, is answered, and has video', async () => {
  await dial(alice, 'bob');
  await ringing(bob.page).waitFor();
  await cluster.kill();
  await bob.page.getByText('The server cannot be reached').waitFor();
  await cluster.run();
  await bob.page.getByText('The server cannot be reached').waitFor({ state: 'detached' });
  await ringing(bob.page).getByRole('button', { name: 'Accept' }).click();
  await Promise.all([waitForVideo(alice.page, 'bob'), waitForVideo(bob.page, 'alice')]);
  await alice.page.getByRole('button', { name: 'Hang up' }).click();
  await settled(alice, bob);
});

/** Waits until the layers of the camera that a page sends are as wanted. */
async function camera(p, test) {
  const end = Date.now() + 25_000;
  for (;;) {
    const layers = await p.page.evaluate(async () => {
      const stats = [];
      for (const pc of window.beckonPeers()) stats.push(...(await pc.getStats()).values());
      return stats.filter((s) => s.type === 'outbound-rtp' && s.kind === 'video');
    });
    if (test(layers)) return;
    assert.ok(Date.now() < end, `the camera: ${JSON.stringify(layers.map((l) => [l.rid, l.active, l.framesEncoded]))}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

test('full reconnects of LiveKit during ringing: the camera is sent, and the callee appears', async () => {
  await carol.context.addInitScript(() => {
    const Real = window.WebSocket;
    window.WebSocket = class extends Real {
      constructor(...args) {
        super(...args);
        if (String(args[0]).includes('/rtc')) window.beckonRtc = this;
      }
    };
    // A slow network: media connects a second after signaling.
    const add = RTCPeerConnection.prototype.addIceCandidate;
    RTCPeerConnection.prototype.addIceCandidate = async function (candidate) {
      await new Promise((resolve) => setTimeout(resolve, 1000));
      if (this.signalingState !== 'closed') await add.call(this, candidate);
    };
  });
  await carol.page.reload();
  // SignalResponse{leave{action: RECONNECT}}: the media server does not know this participant.
  const joinAgain = () =>
    carol.page.evaluate(() => {
      const data = new Uint8Array([0x42, 2, 0x18, 2]).buffer;
      window.beckonRtc.dispatchEvent(new MessageEvent('message', { data }));
    });
  await dial(carol, 'bob');
  await ringing(bob.page).waitFor();
  await camera(carol, (layers) => layers.length && layers.every((l) => !l.active)); // nobody receives it
  await joinAgain();
  await camera(carol, (layers) => layers.some((l) => l.active && l.framesEncoded > 40)); // two seconds
  await joinAgain();
  await camera(carol, (layers) => layers.some((l) => l.active && l.framesEncoded < 40));
  await ringing(bob.page).getByRole('button', { name: 'Accept' }).click();
  await Promise.all([waitForVideo(carol.page, 'bob'), waitForVideo(bob.page, 'carol')]);
  await carol.page.getByRole('button', { name: 'Hang up' }).click();
  await settled(carol, bob);
});

test('without a camera the call has audio only, and the page shows the problem', async () => {
  const poor = await User.signIn(cluster, browser, 'Dan Lindqvist');
  await poor.context.addInitScript(() => {
    const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = (c) =>
      c.video ? Promise.reject(new DOMException('Requested device not found', 'NotFoundError')) : real(c);
  });
  await poor.page.reload();
  await dial(alice, 'dan');
  await ringing(poor.page).getByText('No camera was found').waitFor();
  await ringing(poor.page).getByRole('button', { name: 'Accept' }).click();
  await waitForVideo(poor.page, 'alice');
  await ongoing(poor.page).getByRole('alert').getByText('No camera was found').waitFor();
  await alice.page.getByRole('button', { name: 'Hang up' }).click();
  await settled(alice, poor);
  await poor.leave();
});
