// Calls of a killed React Native app against the real server: pushes over a stand-in of FCM, answers with their tokens.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { uuidOf } from '../src/native/index.js';
import { nativeTests } from './phone-scene.js';

const { scene, device, server } = nativeTests();

test('a push wakes the app: the call is shown, rings, and is answered without a connection', async () => {
  const { alice, phone, bob, inviteID } = await scene();
  const ringing = alice.once('onInviteeRinging');
  const data = JSON.stringify({ call: 1, media: 'video' });
  const done = once(phone.pushes, 'invitation');
  await alice.invite({ inviteID, invitee: bob, timeout: 60, data, offlinePush: { title: 'Alice', body: 'calls' } });
  await phone.screen.logged(`show ${alice.userID}`);
  const [shown] = phone.screen.calls.values();
  assert.deepEqual(shown, { uuid: uuidOf(inviteID), handle: alice.userID, name: 'Alice', video: true });
  assert.equal((await ringing).invitee, bob);
  const accepted = alice.once('onInviteeAccepted');
  phone.screen.press('answerCall');
  const { call } = await phone.event('onAnswered');
  assert.equal((await accepted).invitee, bob);
  assert.equal(call.conversationID, `c2c_${alice.userID}`);
  assert.equal(call.data, data);
  assert.equal(call.phase, 'active');
  await done; // the background task of Android may end
  assert.equal(phone.screen.calls.size, 1);
  phone.native.hangUp(inviteID);
  assert.equal(phone.screen.calls.size, 0);
  assert.deepEqual(phone.names, ['onIncomingCall', 'onAnswered']);
});

test('decline', async () => {
  const { alice, phone, bob, inviteID } = await scene();
  const done = once(phone.pushes, 'invitation');
  await alice.invite({ inviteID, invitee: bob, timeout: 60 });
  await phone.screen.logged(`show ${alice.userID}`);
  const rejected = alice.once('onInviteeRejected');
  phone.screen.press('endCall');
  assert.equal((await rejected).reason, 'declined');
  assert.equal((await phone.event('onCallEnded')).reason, 'declined');
  await done;
});

test('a cancelled call leaves the screen, and is shown as missed', async () => {
  const { alice, phone, bob, inviteID } = await scene();
  await alice.invite({ inviteID, invitee: bob, timeout: 60 });
  await phone.screen.logged(`show ${alice.userID}`);
  await alice.cancel({ inviteID });
  await phone.screen.logged('end 2');
  assert.equal((await phone.event('onCallEnded')).reason, 'remoteEnded');
  while (!phone.notifications.has(inviteID)) await once(phone.pushes, 'ended');
  const missed = phone.notifications.get(inviteID)!;
  phone.native.opened(missed.data);
  assert.equal((await phone.event('onOpenConversation')).conversationID, `c2c_${alice.userID}`);
});

for (const [action, code, reason] of [
  ['accept', 4, 'answeredElsewhere'],
  ['reject', 5, 'declinedElsewhere'],
] as const)
  test(`${action} on another device takes the call off the screen`, async () => {
    const { alice, phone, bob, inviteID } = await scene();
    const tablet = await device(bob);
    await alice.invite({ inviteID, invitee: bob, timeout: 60 });
    await phone.screen.logged(`show ${alice.userID}`);
    await tablet[action]({ inviteID });
    await phone.screen.logged(`end ${code}`);
    assert.equal((await phone.event('onCallEnded')).reason, reason);
    assert.equal(phone.notifications.size, 0);
  });

test('a lost race: the answer is refused, and the app learns the winner', async () => {
  const { alice, phone, bob, inviteID } = await scene();
  const tablet = await device(bob);
  phone.hold.add('ended');
  const ringing = alice.once('onInviteeRinging');
  await alice.invite({ inviteID, invitee: bob, timeout: 60 });
  await ringing;
  await tablet.accept({ inviteID });
  phone.screen.press('answerCall');
  const { reason, error } = await phone.event('onCallEnded');
  assert.equal(reason, 'answeredElsewhere');
  assert.equal((error as { code: number }).code, 8010);
  assert.deepEqual(phone.screen.log.slice(-1), ['end 4']);
});

test('the deadline passes without a connection', async () => {
  const { alice, phone, bob, inviteID } = await scene();
  phone.hold.add('ended');
  await alice.invite({ inviteID, invitee: bob, timeout: 6 }); // a device that was just closed gets its push 2 s later
  await phone.screen.logged('end 6');
  assert.equal((await phone.event('onCallEnded')).reason, 'unanswered');
});

test('a repeated push shows one call, and none after its end', async () => {
  const { alice, phone, bob, inviteID } = await scene();
  phone.hold.add('invitation');
  await alice.invite({ inviteID, invitee: bob, timeout: 60 });
  const push = await phone.heldPush('invitation');
  const both = Promise.all([phone.deliver(push), phone.deliver(push)]);
  await phone.screen.logged(`show ${alice.userID}`);
  phone.screen.press('endCall');
  await both;
  await phone.deliver(push);
  assert.deepEqual(phone.screen.log, [`show ${alice.userID}`]);
});

test('a push of an invitation that is over is taken away again, also by a new process', async () => {
  const { alice, phone, bob, inviteID } = await scene();
  phone.hold.add('invitation').add('ended');
  await alice.invite({ inviteID, invitee: bob, timeout: 60 });
  const push = await phone.heldPush('invitation');
  await alice.cancel({ inviteID });
  await phone.deliver(push);
  assert.deepEqual(phone.screen.log, [`show ${alice.userID}`, 'end 2']);
  phone.run(server.cluster.url);
  await phone.deliver(push);
  assert.deepEqual(phone.screen.log.slice(2), [`show ${alice.userID}`, 'end 2']);
});

test('a push for another user is ignored; a call that native code has shown is ended', async () => {
  const { alice, phone, bob, inviteID } = await scene();
  phone.hold.add('invitation');
  await alice.invite({ inviteID, invitee: bob, timeout: 60 });
  const push = await phone.heldPush('invitation');
  phone.storage.values.clear(); // signed out
  phone.run(server.cluster.url);
  await phone.deliver(push);
  assert.deepEqual(phone.screen.log, []);
  await phone.native.received({ beckon: JSON.parse(push['beckon']!) }, true);
  assert.deepEqual(phone.screen.log, ['end 1']);
  assert.deepEqual(phone.names, []);
});

test('a push and the connection show one call, in each order, and the answer goes over the connection', async () => {
  for (const first of ['push', 'connection']) {
    const { alice, phone, bob, inviteID, phoneClient } = await scene();
    phone.hold.add('invitation');
    await alice.invite({ inviteID, invitee: bob, timeout: 60 });
    const push = await phone.heldPush('invitation');
    const done = first === 'push' ? phone.deliver(push) : undefined;
    if (done) await phone.screen.logged(`show ${alice.userID}`);
    const client = phoneClient();
    const event = client.once('onReceiveNewInvitation');
    phone.native.attach(client);
    await client.connect();
    await event;
    await phone.screen.logged(`show ${alice.userID}`);
    const again = phone.deliver(push);
    const answered = client.once('onResponse', (e) => e.method === 'accept');
    phone.screen.press('answerCall');
    await Promise.all([phone.event('onAnswered'), answered, done, again]);
    assert.deepEqual(phone.screen.log, [`show ${alice.userID}`, 'active']);
  }
});

test('the end of a call of a push that is known only from the connection', async () => {
  const { alice, phone, bob, inviteID, phoneClient } = await scene();
  phone.hold.add('ended');
  await alice.invite({ inviteID, invitee: bob, timeout: 60 });
  await phone.screen.logged(`show ${alice.userID}`);
  const tablet = await device(bob);
  await tablet.accept({ inviteID });
  const client = phoneClient();
  phone.native.attach(client);
  await client.connect();
  await phone.screen.logged('end 4');
});

test('messages: shown, opened by a tap, taken away when read elsewhere', async () => {
  const { alice, phone, bob } = await scene();
  const shown = once(phone.pushes, 'message');
  const { messageID } = await alice.sendMessage({ userID: bob, text: 'hello' });
  await shown;
  const notification = phone.notifications.get(messageID)!;
  phone.native.opened(notification.data);
  assert.deepEqual(await phone.event('onOpenConversation'), { conversationID: `c2c_${alice.userID}`, messageID });
  const read = once(phone.pushes, 'read');
  await (await device(bob)).markConversationRead({ conversationID: `c2c_${alice.userID}` });
  await read;
  assert.equal(phone.notifications.size, 0);
});

test('tokens: registered at the start and on change, deleted when the user signs out', async () => {
  const { alice, phone, bob, inviteID, phoneClient } = await scene();
  const client = phoneClient();
  phone.native.attach(client);
  const registered = client.once('onResponse', (e) => e.method === 'setPushToken');
  await client.connect();
  await registered;
  const renewed = client.once('onResponse', (e) => e.method === 'setPushToken');
  phone.listenTo(server.fcm, `new-${inviteID}`);
  phone.changeToken(`new-${inviteID}`);
  assert.deepEqual((await renewed).request, { provider: 'fcm', token: `new-${inviteID}` });
  await phone.native.signOut();
  assert.equal(phone.storage.values.size, 0);
  client.close();
  const { reach } = await alice.invite({ inviteID, invitee: bob, timeout: 60 });
  assert.equal(reach?.[0]?.push ?? false, false);
});

test('a test push is shown and acknowledged', async () => {
  const { phone, bob } = await scene();
  const tablet = await device(bob);
  const shown = once(phone.pushes, 'test');
  const { testID } = await tablet.testPush({});
  await shown;
  const { devices } = await tablet.getPushTest({ testID });
  assert.deepEqual(
    devices.map((d) => [d.provider, d.state]),
    [['fcm', 'acknowledged']],
  );
  assert.equal(phone.notifications.size, 1);
  assert.ok(!phone.names.includes('onError'));
});

test('another user of the device: the token is registered anew, and calls of the earlier one leave the screen', async () => {
  const { alice, phone, bob, inviteID, phoneClient } = await scene();
  const client = phoneClient();
  phone.native.attach(client);
  const registered = client.once('onResponse', (e) => e.method === 'setPushToken');
  await client.connect();
  await registered;
  await alice.invite({ inviteID, invitee: bob, timeout: 60 });
  await phone.screen.logged(`show ${alice.userID}`);
  const carol = server.cluster.device(`carol-${inviteID}`, client.deviceID);
  server.clients.push(carol);
  client.close();
  phone.native.attach(carol);
  const again = carol.once('onResponse', (e) => e.method === 'setPushToken');
  await carol.connect();
  await again;
  assert.equal(phone.native.calls.length, 0);
  assert.deepEqual([...phone.storage.values.values()], [carol.userID]);
});

test('a describe that throws shows no call, and the app is told', async () => {
  const { alice, phone, bob, inviteID } = await scene();
  const describe = (): never => {
    throw new Error('of the app');
  };
  phone.run(server.cluster.url, { describe });
  phone.hold.add('invitation');
  await alice.invite({ inviteID, invitee: bob, timeout: 60 });
  await phone.deliver(await phone.heldPush('invitation'));
  assert.deepEqual(phone.names, ['onError']);
  assert.equal(phone.native.calls.length, 0);
});
