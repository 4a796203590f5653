// Calls of a running React Native app on the screen of the system, against the real server.
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { newID, type Client } from '../src/index.js';
import { nativeTests, type Scene } from './phone-scene.js';

const { scene, device, server } = nativeTests();

/** Returns a scene whose phone is connected. */
async function running(): Promise<Scene & { client: Client }> {
  const s = await scene();
  const client = s.phoneClient();
  s.phone.native.attach(client);
  await client.connect();
  return { ...s, client };
}

test('an invitation of the connection is shown with its room, and answered', async () => {
  const { alice, phone, bob, inviteID } = await running();
  const ringing = alice.once('onInviteeRinging');
  const data = JSON.stringify({ call: 1, media: 'audio' });
  await alice.invite({ inviteID, invitee: bob, timeout: 60, roomID: `r-${newID()}`, data });
  await ringing;
  const [call] = phone.native.calls;
  assert.equal(call!.video, false);
  assert.match(call!.roomID, /^r-/);
  assert.ok(call!.deadline > performance.now());
  phone.screen.press('answerCall');
  assert.equal((await phone.event('onAnswered')).call.roomID, call!.roomID);
  phone.screen.raise('didPerformSetMutedCallAction', { callUUID: call!.uuid, muted: true });
  phone.screen.raise('didToggleHoldCallAction', { callUUID: call!.uuid, hold: true });
  phone.screen.press('endCall');
  assert.equal((await phone.event('onHangUp')).call.inviteID, inviteID);
  assert.deepEqual(phone.names, ['onIncomingCall', 'onAnswered', 'onMuted', 'onHeld', 'onHangUp']);
});

test('a call that is cancelled or times out leaves the screen', async () => {
  const { alice, phone, bob } = await running();
  await alice.invite({ inviteID: 'cancelled', invitee: bob, timeout: 60 });
  await phone.screen.logged(`show ${alice.userID}`);
  await alice.cancel({ inviteID: 'cancelled' });
  await phone.screen.logged('end 2');
  await alice.invite({ invitee: bob, timeout: 2 });
  await phone.screen.logged('end 6');
});

test('an answer on another device takes the call off the screen', async () => {
  const { alice, phone, bob, inviteID } = await running();
  const tablet = await device(bob);
  await alice.invite({ inviteID, invitee: bob, timeout: 60 });
  await phone.screen.logged(`show ${alice.userID}`);
  await tablet.accept({ inviteID });
  await phone.screen.logged('end 4');
});

test('an invitation that is no call is not shown', async () => {
  const { alice, phone, bob, phoneClient } = await scene();
  const client = phoneClient();
  phone.run(server.cluster.url, { describe: ({ data }) => (data ? { name: data, video: false } : undefined) });
  phone.native.attach(client);
  await client.connect();
  await alice.invite({ invitee: bob, timeout: 60 }); // a raised hand
  const { inviteID } = await alice.invite({ invitee: bob, timeout: 60, data: 'Alice A.' });
  const { call } = await phone.event('onIncomingCall');
  assert.equal(call.inviteID, inviteID);
  assert.equal(call.name, 'Alice A.');
  assert.deepEqual(phone.screen.log, [`show ${alice.userID}`]);
  await alice.cancel({ inviteID });
  await phone.event('onCallEnded');
});

test('outgoing calls: answered, declined, hung up by either side', async () => {
  const { alice, phone, client } = await running();
  const call = async (inviteID: string): Promise<void> => {
    phone.native.startCall({ inviteID, userID: alice.userID, name: 'Alice' });
    const rings = alice.once('onReceiveNewInvitation', (e) => e.inviteID === inviteID);
    await client.invite({ inviteID, invitee: alice.userID, timeout: 60 });
    await rings;
  };
  const start = `start c2c_${alice.userID}`;
  await call('answered');
  await alice.accept({ inviteID: 'answered' });
  await phone.event('onConnected');
  phone.native.hangUp('answered', 'remoteEnded');
  assert.deepEqual(phone.screen.log.splice(0), [start, 'connected', 'active', 'end 2']);
  await call('declined');
  await alice.reject({ inviteID: 'declined' });
  await phone.screen.logged('end 2');
  assert.deepEqual(phone.screen.log.splice(0), [start, 'end 2']);
  await call('hung-up');
  phone.screen.press('endCall');
  assert.equal((await phone.event('onHangUp')).call.inviteID, 'hung-up');
  await call('by-app');
  phone.native.hangUp('by-app');
  assert.deepEqual(phone.screen.log, [start, start, 'end']);
  assert.equal(phone.native.calls.length, 0);
});

test('a call that the system does not show is forgotten, and can be answered elsewhere', async () => {
  const { alice, phone, bob, inviteID } = await running();
  const tablet = await device(bob);
  await alice.invite({ inviteID, invitee: bob, timeout: 60 });
  const { call } = await phone.event('onIncomingCall');
  phone.screen.raise('didDisplayIncomingCall', { callUUID: call.uuid, errorCode: 'FilteredByDoNotDisturb' });
  assert.equal((await phone.event('onCallEnded')).reason, 'notShown');
  await tablet.accept({ inviteID });
});

test('the connection is checked when the app comes to the foreground, and when the network changes', async () => {
  const { phone, phoneClient } = await scene();
  const client = phoneClient();
  const system = new EventEmitter();
  phone.run(server.cluster.url, {
    appState: {
      addEventListener: (_type, listener) => {
        system.on('state', listener);
        return { remove: () => void system.off('state', listener) };
      },
    },
    netInfo: {
      addEventListener: (listener) => {
        system.on('network', listener);
        listener({ type: 'wifi', isConnected: true });
        return () => void system.off('network', listener);
      },
    },
  });
  let checks = 0;
  client.checkConnection = async () => {
    checks++;
    return true;
  };
  const detach = phone.native.attach(client);
  system.emit('state', 'background');
  assert.equal(checks, 0);
  system.emit('state', 'active');
  assert.equal(checks, 1);
  system.emit('network', { type: 'wifi', isConnected: true });
  system.emit('network', { type: 'none', isConnected: false });
  assert.equal(checks, 1);
  system.emit('network', { type: 'cellular', isConnected: true });
  assert.equal(checks, 2);
  detach();
  system.emit('state', 'active');
  assert.equal(checks, 2);
});
