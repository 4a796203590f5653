// The state of a device over a restart of its program: positions and open invitations, by server, user and device.
import assert from 'node:assert/strict';
import { deflateSync } from 'node:zlib';
import { afterEach, beforeEach, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { getSignalingInfo, type Client, type Storage } from '../src/index.js';
import { ownerOf } from '../src/position.js';
import { Fake, invitation, signaling } from './fake.js';

let fake: Fake;
let clients: Client[];

class Memory implements Storage {
  map = new Map<string, string>();
  writes = 0;
  getItem = (k: string): string | null => this.map.get(k) ?? null;
  setItem = (k: string, v: string): void => {
    this.writes++;
    this.map.set(k, v);
  };
  removeItem = (k: string): void => {
    this.map.delete(k);
  };
}

const token = (userID: string, more = {}): string =>
  ['{"alg":"HS256"}', JSON.stringify({ sub: userID, ...more }), 'x']
    .map((p) => Buffer.from(p).toString('base64url'))
    .join('.');

beforeEach(async () => {
  fake = await Fake.start();
  clients = [];
});

afterEach(async () => {
  for (const c of clients) c.close();
  await fake.stop();
});

function start(storage: Storage | false, options: Partial<ConstructorParameters<typeof Client>[0]> = {}): Client {
  const c = fake.client({ token: token('bob'), storage, ...options });
  clients.push(c);
  return c;
}

const settled = (client: Client): Promise<void> => fake.settle(client);

test('a restarted program sends its positions and open invitations, and receives the ends', async () => {
  const storage = new Memory();
  const first = start(storage);
  await first.connect();
  fake.answer = (c) =>
    c.reply({
      inviteID: 'mine',
      serverTime: 1000,
      invitation: invitation({ inviteID: 'mine', inviter: 'bob', data: 'q', invitees: undefined }),
    });
  await first.invite({ invitee: 'carol', inviteID: 'mine' });
  fake.publish(signaling({ inviteID: 'theirs', inviteeList: ['bob'] }), 7);
  fake.publish(signaling({ inviteID: 'over', inviteeList: ['bob'], over: true }), 8);
  await settled(first);
  first.close();

  fake.welcome = {
    positions: { 'user:bob': 9 },
    ended: [
      invitation({
        inviteID: 'mine',
        inviter: 'bob',
        over: true,
        data: 'q',
        version: 2,
        inviteeList: ['carol'],
        invitees: [{ userID: 'carol', state: 'accepted', data: 'yes', decidedAt: 1500 }],
      }),
    ],
  };
  const second = start(storage);
  const received: unknown[] = [];
  for (const name of ['onInviteeAccepted', 'onInvitationCancelled', 'onReceiveNewInvitation'] as const)
    second.on(name, (e) => received.push([name, e.inviteID, e.invitationData, e.data]));
  await second.connect();
  const [before, after] = [fake.connectData[0]!, fake.connectData[1]!];
  assert.deepEqual([before.positions, before.held], [undefined, undefined]);
  assert.deepEqual([after.epoch, after.positions, after.held!.sort()], ['e', { 'user:bob': 8 }, ['mine', 'theirs']]);
  fake.publish(
    signaling({
      inviteID: 'mine',
      inviter: 'bob',
      actionType: 3,
      version: 2,
      over: true,
      answers: [{ invitee: 'carol', actionType: 3, data: 'yes', time: 1500 }],
    }),
    9,
  );
  await settled(second);
  assert.deepEqual(received, [['onInviteeAccepted', 'mine', 'q', 'yes']]);
  await pause(2200); // longer than the wait for events of ended invitations
  await settled(second);
  assert.equal(received.length, 1);
});

test('an end without an event is raised from the welcome', async () => {
  const storage = new Memory();
  const first = start(storage);
  await first.connect();
  fake.answer = (c) =>
    c.reply({
      inviteID: 'mine',
      serverTime: 1000,
      invitation: invitation({ inviteID: 'mine', inviter: 'bob', invitees: undefined }),
    });
  await first.invite({ invitee: 'carol', inviteID: 'mine' });
  first.close();
  fake.welcome = {
    ended: [
      invitation({
        inviteID: 'mine',
        inviter: 'bob',
        over: true,
        version: 2,
        inviteeList: ['carol'],
        invitees: [{ userID: 'carol', state: 'timedOut', decidedAt: 31_000 }],
      }),
    ],
  };
  const second = start(storage);
  const timeout = second.once('onInvitationTimeout');
  await second.connect();
  assert.deepEqual((await timeout).inviteeList, ['carol']);
});

test('another user, another device, or no storage: another position', async () => {
  const storage = new Memory();
  const first = start(storage);
  await first.connect();
  fake.publish({ type: 'of tomorrow', time: 1 }, 3);
  await settled(first);
  first.close();
  assert.equal(storage.map.size, 1);
  // The fake server welcomes all of them as the first device, so each has a copy of its storage.
  const copy = (): Memory => Object.assign(new Memory(), { map: new Map(storage.map) });
  for (const [other, options] of [
    [copy(), { token: token('carol') }],
    [copy(), { deviceID: 'tablet' }],
    [false, {}],
    [copy(), { token: 'unreadable' }],
  ] as const) {
    await start(other, options).connect();
    assert.equal(fake.connectData.at(-1)!.positions, undefined);
  }
  await start(copy(), { token: token('bob', { device: 'phone' }), deviceID: 'ignored' }).connect();
  assert.deepEqual(fake.connectData.at(-1)!.positions, { 'user:bob': 3 });
});

test('an event causes no write, and a storage that throws is ignored', async () => {
  const storage = new Memory();
  const c = start(storage);
  await c.connect();
  for (let i = 1; i <= 500; i++) fake.publish({ type: 'of tomorrow', time: 1 }, i);
  await settled(c);
  assert.ok(storage.writes <= 2, `${storage.writes} writes`);
  const refuse = (): never => {
    throw new Error('denied');
  };
  const denied = start({ getItem: refuse, setItem: refuse, removeItem: refuse });
  await denied.connect();
  denied.close();
  Object.defineProperty(globalThis, 'sessionStorage', { configurable: true, get: refuse });
  Object.defineProperty(globalThis, 'localStorage', { configurable: true, get: refuse });
  try {
    const nowhere = fake.client({ deviceID: undefined });
    clients.push(nowhere);
    await nowhere.connect();
  } finally {
    Reflect.deleteProperty(globalThis, 'sessionStorage');
    Reflect.deleteProperty(globalThis, 'localStorage');
  }
});

test('the user of a token is read from a JWT and from a UserSig', async () => {
  assert.deepEqual(await ownerOf(token('张伟', { device: 'd' })), { userID: '张伟', deviceID: 'd' });
  const sig = deflateSync(JSON.stringify({ 'TLS.ver': '2.0', 'TLS.identifier': 'xiaojun' }))
    .toString('base64')
    .replaceAll('+', '*')
    .replaceAll('/', '-')
    .replaceAll('=', '_');
  assert.deepEqual(await ownerOf(sig), { userID: 'xiaojun' });
  assert.deepEqual(await ownerOf('nonsense'), { userID: '' });
});

test('the server’s clock does not follow the local date', async (t) => {
  const c = start(false);
  await c.connect();
  const real = Date.now();
  t.mock.method(Date, 'now', () => real + 3_600_000);
  assert.ok(Math.abs(c.now() - real) < 2000);
});

test('signaling is read from a history entry, with the data of the answer', () => {
  const accept = signaling({
    actionType: 4,
    answers: [{ invitee: 'bob', actionType: 4, data: '{"line_busy":"line_busy"}', reason: 'busy', time: 1 }],
  });
  const info = getSignalingInfo({ seq: 4, event: accept });
  assert.deepEqual(
    [info?.inviteID, info?.inviteeList, info?.data, info?.reason],
    ['i', ['bob'], '{"line_busy":"line_busy"}', 'busy'],
  );
  assert.equal(getSignalingInfo({ seq: 5, event: { type: 'message', messageID: 'm' } }), undefined);
});

test('messages are raised also under the original’s names', async () => {
  const c = start(false);
  const received: string[] = [];
  for (const name of [
    'onRecvNewMessage',
    'onRecvC2CTextMessage',
    'onRecvC2CCustomMessage',
    'onRecvGroupTextMessage',
    'onRecvGroupCustomMessage',
    'onRecvMessageRevoked',
    'onRecvMessageModified',
    'onRecvC2CReadReceipt',
    'onRecvMessageReadReceipts',
    'onConnectSuccess',
    'onSelfInfoUpdated',
  ] as const)
    c.on(name, () => received.push(name));
  await c.connect();
  const message = { type: 'message', messageID: 'm', messageType: 'text', from: 'alice', time: 1 };
  fake.publish({ ...message, to: 'bob', text: 'hi' }, 1);
  fake.publish({ ...message, messageID: 'n', to: 'bob', custom: { data: 'x' } }, 2);
  fake.publish({ ...message, groupID: 'g', text: 'hi' }, 9);
  fake.publish({ ...message, groupID: 'g', custom: { data: 'x' } }, 10);
  fake.publish({ type: 'messageRevoked', messageID: 'm', from: 'alice', to: 'bob', time: 1 }, 3);
  fake.publish(
    {
      type: 'messageModified',
      messageID: 'm',
      from: 'alice',
      to: 'bob',
      message: { ...message, to: 'bob', text: 'ho' },
      time: 1,
    },
    4,
  );
  fake.publish({ type: 'readReceipt', conversationID: 'c2c_alice', peerReadSeq: 4, time: 1 }, 5);
  fake.publish({ type: 'readReceipt', groupID: 'g', receipts: [], time: 1 }, 6);
  fake.publish({ type: 'userChanged', time: 1 }, 7);
  fake.publish(signaling({ inviteeList: ['bob'], to: 'bob' }), 8);
  const signal = c.once('onRecvNewMessage', (e) => getSignalingInfo(e.message) !== undefined);
  assert.equal((await signal).conversationID, 'c2c_alice');
  const each = [
    'onRecvNewMessage',
    'onRecvC2CTextMessage',
    'onRecvNewMessage',
    'onRecvC2CCustomMessage',
    'onRecvNewMessage',
    'onRecvGroupTextMessage',
    'onRecvNewMessage',
    'onRecvGroupCustomMessage',
  ];
  assert.deepEqual(received, [
    'onConnectSuccess',
    ...each,
    'onRecvMessageRevoked',
    'onRecvMessageModified',
    'onRecvC2CReadReceipt',
    'onRecvMessageReadReceipts',
    'onSelfInfoUpdated',
    'onRecvNewMessage',
  ]);
});
