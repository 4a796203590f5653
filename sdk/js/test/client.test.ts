// The client against a fake server: invariants under network failures.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { BeckonError, getSignalingInfo, newID, type Client, type Events } from '../src/index.js';
import { Fake, signaling } from './fake.js';

let fake: Fake;
let client: Client;
let raised: string[];

const names: (keyof Events)[] = [
  'onReceiveNewInvitation',
  'onInviteeAccepted',
  'onInviteeRejected',
  'onInvitationCancelled',
  'onInvitationTimeout',
  'onInvitationModified',
  'onInviteeRinging',
  'onInvitationHandledByOtherDevice',
  'onReceiveMessage',
  'onCallRecord',
  'onReload',
  'onKickedOffline',
  'onMemberEnter',
  'onRoomRoleChanged',
  'onPeerRead',
];

beforeEach(async () => {
  fake = await Fake.start();
  client = fake.client();
  raised = [];
  for (const name of names)
    client.on(name, (e) => raised.push(`${name} ${(e as { inviteID?: string }).inviteID ?? ''}`.trim()));
});

afterEach(async () => {
  client.close();
  await fake.stop();
});

/** Returns the callbacks raised so far, after all earlier events: it waits for a message published now. */
async function settled(): Promise<string[]> {
  await fake.settle(client);
  return raised.filter((t) => t !== 'onReceiveMessage');
}

test('events of frames that are read together arrive in their order', async () => {
  await client.connect();
  const message = (text: string): object => ({
    type: 'message',
    messageID: newID(),
    messageType: 'text',
    from: 'alice',
    to: 'bob',
    text,
    time: 0,
  });
  const texts: (string | undefined)[] = [];
  client.on('onReceiveMessage', (e) => texts.push(e.message.text));
  fake.publishFrames([[message('1'), message('2'), message('3')], [message('4'), message('5')], [message('6')]], 1);
  await settled();
  assert.equal(texts.slice(0, 6).join(), '1,2,3,4,5,6');
});

test('the response of a call comes before the events about it, also when they arrive first', async () => {
  await client.connect();
  fake.publish(signaling({ inviteeList: ['bob'] }), 1);
  assert.deepEqual(await settled(), ['onReceiveNewInvitation i']);
  fake.answer = (c) => {
    // the event of another invitee's answer and the end arrive before our response
    fake.publish(
      signaling({ actionType: 3, version: 3, over: true, answers: [{ invitee: 'carol', actionType: 3, time: 0 }] }),
      3,
    );
    c.reply({ inviteID: 'i', version: 2, serverTime: 0 });
  };
  let answered = false;
  client.on('onInviteeAccepted', () => assert.ok(answered, 'the event came before the answer'));
  await client.accept({ inviteID: 'i' });
  answered = true;
  assert.deepEqual(await settled(), ['onReceiveNewInvitation i', 'onInviteeAccepted i']);
});

test('a call is retried with the same request ID after a lost connection', async () => {
  await client.connect();
  fake.answer = (c) => {
    if (fake.calls.length === 1) fake.cut();
    else c.reply({ messageID: 'm', conversationID: 'c2c_alice', time: 0 });
  };
  await client.sendMessage({ userID: 'alice', text: 'hello' });
  assert.equal(fake.calls.length, 2);
  assert.ok(fake.calls[0]!.data['requestID']);
  assert.deepEqual(fake.calls[0]!.data, fake.calls[1]!.data);
  assert.equal(fake.connects, 2);
});

test('an aborted call rejects at once, is not sent again, and its late response has its effect', async () => {
  await client.connect();
  fake.answer = () => undefined;
  const abort = new AbortController();
  const late = client.getUsersInfo({ userIDList: ['late'] }, { signal: abort.signal });
  const { reply } = await fake.nthCall(1);
  const lost = client.getUsersInfo({ userIDList: ['lost'] }, { signal: abort.signal });
  await fake.nthCall(2);
  abort.abort(new Error('the user left the page'));
  await assert.rejects(late, { message: 'the user left the page' });
  await assert.rejects(lost, { message: 'the user left the page' });
  await assert.rejects(client.ring({ inviteID: 'i' }, { signal: abort.signal }), { message: 'the user left the page' });
  const response = client.once('onResponse');
  reply({ users: [] });
  assert.deepEqual((await response).request, { userIDList: ['late'] });
  fake.answer = (c) => c.reply({});
  fake.cut();
  await client.getDeviceList();
  assert.deepEqual(
    fake.calls.map((c) => c.method),
    ['getUsersInfo', 'getUsersInfo', 'getDeviceList'],
  );
});

test('calls go out in their order, also after a lost connection', async () => {
  await client.connect();
  const texts = (): unknown[] => fake.calls.map((c) => c.data['text']);
  let lost = false;
  fake.answer = (c) => {
    if (lost) c.reply({ messageID: 'm', conversationID: 'c2c_alice', time: 0 });
  };
  const send = (n: number): Promise<unknown> => client.sendMessage({ userID: 'alice', text: String(n) });
  const calls = [send(1), send(2)];
  await fake.nthCall(2);
  const connecting = client.once('onConnecting');
  fake.cut();
  await connecting;
  lost = true;
  calls.push(send(3), send(4));
  const connected = client.once('onConnected').then(() => calls.push(send(5)));
  await connected;
  await Promise.all(calls);
  assert.deepEqual(texts(), ['1', '2', '1', '2', '3', '4', '5']);
});

test('a call rejects at its timeout, with the note that it may have taken effect', async () => {
  client.close();
  client = fake.client({ callTimeout: 300 });
  await client.connect();
  fake.answer = () => {};
  await assert.rejects(
    client.getUsersInfo({ userIDList: ['alice'] }),
    (err: BeckonError) => err.code === 9520 && /may have taken effect/.test(err.message),
  );
});

test('a refusal is an error with the code, the field, and the winner', async () => {
  await client.connect();
  fake.answer = (c) =>
    c.reply({
      code: 8010,
      message: 'already accepted on another device',
      won: { action: 'accept', userID: 'bob', device: 'tablet', time: 5 },
    });
  await assert.rejects(
    client.accept({ inviteID: 'i' }),
    (err: BeckonError) => err instanceof BeckonError && err.code === 8010 && err.won?.device === 'tablet',
  );
});

test('an event on two timelines is raised once, and the end for others is not the own', async () => {
  await client.connect();
  const lists: unknown[] = [];
  for (const name of ['onInvitationCancelled', 'onInvitationTimeout'] as const)
    client.on(name, (e) => lists.push([e.inviteeList, e.over]));
  fake.publish(signaling({ inviteeList: ['bob', 'carol'] }), 1);
  const cancel = signaling({ actionType: 2, version: 2, inviteeList: ['carol'], from: 'alice' });
  fake.publish(cancel, 1, 'invitation:i');
  fake.publish(cancel, 2);
  const timeout = signaling({ actionType: 5, version: 3, inviteeList: ['bob'], over: true });
  fake.publish(timeout, 2, 'invitation:i');
  fake.publish(timeout, 3);
  assert.deepEqual(await settled(), ['onReceiveNewInvitation i', 'onInvitationTimeout i']);
  assert.deepEqual(lists, [[['bob'], true]]);
});

test('another device of this user answers: it stops ringing here', async () => {
  await client.connect();
  fake.publish(signaling({ inviteeList: ['bob'] }), 1);
  fake.publish(
    signaling({ actionType: 3, version: 2, over: true, answers: [{ invitee: 'bob', actionType: 3, time: 0 }] }),
    2,
  );
  assert.deepEqual(await settled(), [
    'onReceiveNewInvitation i',
    'onInvitationHandledByOtherDevice i',
    'onInviteeAccepted i',
  ]);
});

test('an invitation that is over on arrival does not ring; those of the snapshot ring', async () => {
  fake.welcome = {
    positions: { 'user:bob': 7 },
    invitations: [
      {
        inviteID: 'open',
        inviter: 'alice',
        data: 'd',
        timeout: 30,
        createdAt: 0,
        deadline: 0,
        remaining: 0,
        version: 1,
        over: false,
        counts: { open: 1, accepted: 0, rejected: 0, cancelled: 0, timedOut: 0 },
        invitees: [{ userID: 'bob', state: 'open' }],
        serverTime: 0,
      },
    ],
  };
  await client.connect();
  fake.publish(signaling({ inviteID: 'old', inviteeList: ['bob'] }), 3);
  fake.publish(signaling({ inviteID: 'open', inviteeList: ['bob'] }), 5);
  fake.publish(signaling({ inviteID: 'new', inviteeList: ['bob'] }), 8);
  assert.deepEqual(await settled(), ['onReceiveNewInvitation open', 'onReceiveNewInvitation new']);
});

test('a call record, a role in a room, a group, a receipt have their callbacks', async () => {
  await client.connect();
  fake.publish(
    {
      type: 'message',
      messageID: 'call-1',
      messageType: 'call',
      from: 'alice',
      to: 'bob',
      time: 1,
      call: { callID: '1', roomID: 'r', began: 1, ended: 2, duration: 1, reason: 'hangup', count: 2 },
    },
    1,
  );
  fake.publish({ type: 'roomRole', roomID: 'r', userID: 'bob', role: 'anchor', time: 1 }, 2);
  fake.publish({ type: 'group', tip: 'memberEnter', groupID: 'g', members: ['x'], time: 1 }, 3);
  fake.publish({ type: 'readReceipt', conversationID: 'c2c_alice', peerReadSeq: 4, time: 1 }, 4);
  fake.publish({ type: 'of tomorrow', time: 1 }, 5);
  assert.deepEqual(await settled(), ['onCallRecord', 'onRoomRoleChanged', 'onMemberEnter', 'onPeerRead']);
});

test('a replaced session raises onKickedOffline and does not reconnect', async () => {
  await client.connect();
  const kicked = client.once('onKickedOffline');
  fake.end(4502, 'another device took this one’s place');
  assert.match((await kicked).reason, /another device/);
  await assert.rejects(client.accept({ inviteID: 'i' }), { code: 9508 });
  assert.equal(fake.connects, 1);
});

test('an expired token without a function raises onUserSigExpired', async () => {
  await client.connect();
  const raised = client.once('onUserSigExpired');
  const ended = client.once('onDisconnected');
  fake.refuse = 109;
  fake.cut();
  assert.match((await raised).reason, /expired/);
  assert.match((await ended).reason, /give a new one, or a function/);
  const second = fake.client();
  await assert.rejects(second.connect(), { code: 70001 });
  second.close();
});

test('an exception of a handler is reported, and other handlers run', async (t) => {
  const thrown: unknown[] = [];
  t.mock.method(globalThis, 'queueMicrotask', (f: () => void) => {
    try {
      f();
    } catch (err) {
      thrown.push(err);
    }
  });
  await client.connect();
  client.on('onSignaling', () => {
    throw new Error('of the program');
  });
  fake.publish(signaling({ inviteeList: ['bob'] }), 1);
  assert.deepEqual(await settled(), ['onReceiveNewInvitation i']);
  assert.match(String(thrown[0]), /of the program/);
});

test('ids sort by time, and signaling is read from any message', () => {
  const ids = Array.from({ length: 50 }, newID);
  assert.match(ids[0]!, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.equal(new Set(ids).size, 50);
  const at = parseInt(ids[0]!.replaceAll('-', '').slice(0, 12), 16);
  assert.ok(Math.abs(at - Date.now()) < 5000);
  assert.equal(getSignalingInfo(JSON.stringify(signaling({})))?.inviteID, 'i');
  assert.equal(getSignalingInfo({ businessID: 2, inviteID: 'i', actionType: 1 }), undefined);
  assert.equal(getSignalingInfo('no JSON'), undefined);
});
