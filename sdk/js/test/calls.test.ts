// Calls against a fake server: busy in the original's form, rejoining, invitations that do not ring.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { Calls, Room, saysBusy, talkTime } from '../src/call.js';
import type { EnterOptions } from '../src/room.js';
import { BeckonError, type Client, type Schemas } from '../src/index.js';
import { Fake, invitation, signaling } from './fake.js';

/** A room without media. */
class Silent extends Room {
  at = '';
  entered: string[] = [];
  options: EnterOptions | undefined;
  refusal: BeckonError | undefined;
  override get roomID(): string {
    return this.at;
  }
  override get remoteUsers(): string[] {
    return [];
  }
  override async enterRoom(options: EnterOptions): Promise<never> {
    const { roomID } = options;
    this.entered.push(roomID);
    this.options = options;
    if (this.refusal) throw this.refusal;
    this.at = roomID;
    return undefined as never;
  }
  override async exitRoom(): Promise<void> {
    this.at = '';
  }
  override async startLocalAudio(): Promise<void> {}
  override async openCamera(): Promise<void> {}
}

let fake: Fake;
let client: Client;
let room: Silent;
let calls: Calls;

beforeEach(async () => {
  fake = await Fake.start();
  client = fake.client({ storage: false });
  room = new Silent(client);
  calls = new Calls(client, room);
  await client.connect();
});

afterEach(async () => {
  fake.answer = (c) => c.reply({ over: true });
  await calls.dispose();
  client.close();
  await fake.stop();
});

const settled = (): Promise<void> => fake.settle(client);

/** Returns the response to an invite of bob to alice. */
const invited = (id: unknown): unknown => ({
  inviteID: id,
  invitation: invitation({
    inviteID: String(id),
    inviter: 'bob',
    inviteeList: ['alice'],
    invitees: undefined,
  }),
  serverTime: 1,
});

const data = JSON.stringify({ call: 1, media: 'audio' });
const ring = (inviteID: string, more: Partial<Schemas['Signaling']> = {}): void =>
  fake.publish(signaling({ inviteID, inviteeList: ['bob'], data, to: 'bob', ...more }));

function open(c: { method: string; data: Record<string, unknown>; reply: (data: unknown) => void }): void {
  if (c.method === 'getInvitation')
    c.reply({
      invitation: invitation({ inviteID: String(c.data['inviteID']), roomID: 'r', data }),
      mine: { userID: 'bob', state: 'open' },
    });
  else c.reply({ inviteID: c.data['inviteID'], over: false });
}

test('busy is sent in reason and data', async () => {
  fake.answer = open;
  const incoming = calls.once('onIncomingCall');
  ring('first');
  assert.equal((await incoming).media, 'audio');
  ring('second');
  let reject = fake.calls.find((c) => c.method === 'reject');
  while (!reject) {
    await fake.nthCall(fake.calls.length + 1);
    reject = fake.calls.find((c) => c.method === 'reject');
  }
  assert.deepEqual(
    [reject.data['inviteID'], reject.data['reason'], JSON.parse(String(reject.data['data']))],
    ['second', 'busy', { call: 1, media: 'audio', line_busy: 'line_busy' }],
  );
  assert.equal(calls.state.inviteID, 'first');
});

test('busy is read from the reason or the data, in the original’s forms', async () => {
  for (const [reason, text, busy] of [
    ['busy', '', true],
    ['', 'line_busy', true],
    ['declined', '{"line_busy":"line_busy"}', true],
    ['', '{"data":{"message":"lineBusy"}}', true],
    ['declined', '', false],
    ['', '{"line_busy":""}', false],
    ['', 'null', false],
    ['', '{"data":null}', false],
  ] as const)
    assert.equal(saysBusy(reason, text), busy, `${reason} ${text}`);
  fake.answer = (c) => c.reply(invited(c.data['inviteID']));
  const { inviteID } = await calls.call({ userID: 'alice' });
  const ended = calls.once('onCallEnded');
  fake.publish(
    signaling({
      inviteID,
      inviter: 'bob',
      actionType: 4,
      version: 2,
      over: true,
      answers: [{ invitee: 'alice', actionType: 4, reason: 'declined', data: '{"line_busy":"line_busy"}', time: 1 }],
    }),
  );
  assert.equal((await ended).reason, 'busy');
});

test('a notice does not ring, nor does a call to others', async () => {
  fake.answer = open;
  ring('notice', { over: true, notice: true });
  ring('others', { groupID: 'g', inviteeList: ['carol'] });
  await settled();
  assert.equal(calls.state.phase, 'idle');
  assert.deepEqual(
    fake.calls.filter((c) => c.method === 'ring'),
    [],
  );
});

test('a cancel of others does not end a ringing call; it sets their state', async () => {
  fake.answer = open;
  const incoming = calls.once('onIncomingCall');
  ring('i', { groupID: 'g', inviteeList: ['bob', 'carol'] });
  await incoming;
  fake.publish(
    signaling({ inviteID: 'i', groupID: 'g', actionType: 2, version: 2, inviteeList: ['carol'], from: 'alice' }),
  );
  await settled();
  assert.deepEqual([calls.state.phase, calls.state.people['carol']], ['ringing', 'cancelled']);
  const ended = calls.once('onCallEnded');
  fake.publish(
    signaling({
      inviteID: 'i',
      groupID: 'g',
      actionType: 2,
      version: 3,
      inviteeList: ['bob'],
      from: 'alice',
      over: true,
    }),
  );
  assert.equal((await ended).reason, 'cancelled');
});

test('rejoin enters a running call, and rejects if it is over; the call record ends it', async () => {
  const call = {
    callID: 'c',
    roomID: 'r',
    inviteID: 'i',
    inviter: 'alice',
    groupID: 'g',
    opened: 1,
    began: 2,
    duration: 0,
    count: 3,
    media: 'audio',
    people: [
      { userID: 'alice', joined: 1, duration: 0 },
      { userID: 'bob', joined: 1, left: 5, duration: 4 },
      { userID: 'carol', joined: 2, left: 4, duration: 2 },
    ],
  };
  fake.answer = (c) => {
    if (c.method === 'getCall') c.reply({ call });
    else if (c.method === 'getRoom') c.reply({ roomID: 'r', granted: 'anchor', seats: [], call, serverTime: 9 });
    else if (c.method === 'getInvitation')
      c.reply({
        invitation: invitation({
          groupID: 'g',
          data,
          invitees: [
            { userID: 'bob', state: 'accepted' },
            { userID: 'dan', state: 'rejected', reason: 'busy' },
          ],
        }),
      });
    else c.reply({});
  };
  await calls.rejoin({ callID: 'c' });
  assert.deepEqual(room.entered, ['r']);
  const { phase, inviteID, groupID, media, people } = calls.state;
  assert.deepEqual(
    [phase, inviteID, groupID, media, people],
    ['connecting', 'i', 'g', 'audio', { alice: 'accepted', carol: 'left', dan: 'busy' }],
  );
  const ended = calls.once('onCallEnded');
  fake.publish({
    type: 'message',
    messageID: 'call-c',
    messageType: 'call',
    from: 'alice',
    groupID: 'g',
    time: 9,
    call: { callID: 'c', roomID: 'r', began: 2, ended: 9, duration: 7, reason: 'hangup', count: 3 },
  });
  assert.equal((await ended).reason, 'remoteHangup');
  fake.answer = (c) => c.reply({ roomID: 'r', granted: 'anchor', seats: [], serverTime: 9 });
  await assert.rejects(calls.rejoin({ roomID: 'r' }), { code: 8010 });
});

test('a late invitee is not invited to a call that was hung up', async () => {
  fake.answer = (c) => {
    if (c.method === 'accept') void calls.hangup().then(() => c.reply({ over: true }));
    else c.reply(invited(c.data['inviteID']));
  };
  const { inviteID } = await calls.call({ userID: 'alice' });
  const ended = calls.once('onCallEnded');
  ring('late', { data: JSON.stringify({ call: 1, media: 'audio', join: inviteID }) });
  await ended;
  await settled();
  await client.getGroup({ groupID: 'g' }); // calls after the accept precede this one
  assert.deepEqual(fake.calls.filter((c) => c.method === 'invite').length, 1);
});

/** Calls alice, who accepts. */
async function answered(): Promise<string> {
  fake.answer = (c) => c.reply(invited(c.data['inviteID']));
  const { inviteID, roomID } = await calls.call({ userID: 'alice' });
  fake.publish(
    signaling({
      inviteID,
      inviter: 'bob',
      actionType: 3,
      version: 2,
      over: true,
      answers: [{ invitee: 'alice', actionType: 3, time: 1 }],
    }),
  );
  await settled();
  assert.equal(calls.state.phase, 'connecting');
  return roomID;
}

/** Calls alice, who accepts and enters. */
async function connected(): Promise<string> {
  const roomID = await answered();
  room.emit('onRemoteUserEnterRoom', { userID: 'alice' });
  assert.equal(calls.state.phase, 'connected');
  return roomID;
}

const isOver = { code: 8013, message: 'this call has ended', field: 'roomID' };
const record = (roomID: string, reason: string): object => ({
  calls: [{ callID: 'c', roomID, media: 'audio', opened: 1, began: 2, ended: 9, duration: 7, reason, count: 2 }],
});

test('a call that ended while the media was lost is not opened again', async () => {
  for (const [reason, shown] of [
    ['left', 'mediaLost'],
    ['hangup', 'remoteHangup'],
  ] as const) {
    const roomID = await connected();
    room.entered = [];
    room.refusal = new BeckonError(isOver);
    fake.answer = (c) => c.reply(c.method === 'listCalls' ? record(roomID, reason) : {});
    const ended = calls.once('onCallEnded');
    room.at = '';
    room.emit('onExitRoom', { roomID, reason: 'mediaLost' });
    assert.equal((await ended).reason, shown);
    assert.deepEqual([room.entered, room.options?.rejoin], [[roomID], true]);
    assert.equal(calls.state.phase, 'idle');
    room.refusal = undefined;
  }
});

test('a reconnect asks for the room: a call that has ended ends here, another goes on', async () => {
  for (const way of ['server', 'media'] as const) {
    const roomID = await connected();
    const ended = calls.once('onCallEnded');
    const again = (): void => {
      if (way === 'server') fake.cut();
      else room.emit('onConnectionRecovery', { roomID });
    };
    const asked = async (): Promise<void> => {
      for (let n = fake.calls.length + 1; ; n++) if ((await fake.nthCall(n)).method === 'getRoom') return;
    };
    fake.answer = (c) => c.reply({ roomID, granted: 'anchor', seats: [], serverTime: 9 });
    let question = asked();
    again();
    await question;
    await client.getGroup({ groupID: 'g' }); // its response follows that of getRoom
    assert.equal(calls.state.phase, 'connected');
    fake.answer = (c) =>
      c.reply(c.method === 'getRoom' ? isOver : c.method === 'listCalls' ? record(roomID, 'mediaLost') : {});
    question = asked();
    again();
    await question;
    assert.equal((await ended).reason, 'mediaLost');
    assert.equal(room.at, '');
  }
});

test('a join that the network blocks is tried once; the error says why, and the invitation is cancelled', async () => {
  const message = 'Your network blocks calls: UDP 7882 and TCP 7881';
  room.refusal = new BeckonError({ code: 7013, field: 'media', message });
  fake.answer = (c) => c.reply(invited(c.data['inviteID']));
  const ended = calls.once('onCallEnded');
  await calls.call({ userID: 'alice' });
  const { reason, error } = await ended;
  assert.deepEqual([reason, error?.message, room.entered.length], ['mediaLost', message, 1]);
  await client.getGroup({ groupID: 'g' }); // calls before precede this one
  assert.ok(fake.calls.some((c) => c.method === 'cancel'));
});

test('a media server that does not answer is tried again', async () => {
  room.refusal = new BeckonError({ code: 7013, message: 'the media server cannot be reached', retryAfter: 1000 });
  fake.answer = (c) => c.reply(invited(c.data['inviteID']));
  await calls.call({ userID: 'alice' });
  while (room.entered.length < 2) await settled();
  assert.equal(calls.state.phase, 'calling');
});

test('the room of an answered call is closed: hung up at once, or media failed after a while', async (t) => {
  for (const [after, reason] of [
    [0, 'remoteHangup'],
    [7000, 'mediaLost'],
  ] as const) {
    const roomID = await answered();
    fake.answer = (c) => c.reply(c.method === 'listCalls' ? { calls: [] } : {});
    const ended = calls.once('onCallEnded');
    const now = performance.now.bind(performance);
    const clock = t.mock.method(performance, 'now', () => now() + after);
    room.at = '';
    room.emit('onExitRoom', { roomID, reason: 'dismissed' });
    assert.equal((await ended).reason, reason);
    clock.mock.restore();
  }
});

test('the time of a call stops while nobody is heard', async () => {
  await connected();
  const me = client.userID;
  const { since } = calls.state;
  assert.ok(since > 0 && calls.state.pausedAt === 0);
  for (const userID of ['alice', me]) {
    room.emit('onLinkChanged', { userID, link: 'weak' });
    assert.equal(calls.state.pausedAt, 0);
    room.emit('onLinkChanged', { userID, link: 'lost' });
    const { pausedAt, paused } = calls.state;
    assert.ok(pausedAt >= since);
    assert.equal(talkTime(calls.state, pausedAt + 5000), pausedAt - since - paused);
    room.emit('onLinkChanged', { userID, link: 'good' });
    assert.equal(calls.state.pausedAt, 0);
    assert.ok(calls.state.paused >= paused);
  }
  const { paused } = calls.state;
  assert.equal(talkTime(calls.state, since + 9000), 9000 - paused);
  room.emit('onRemoteUserLeaveRoom', { userID: 'alice' });
  assert.ok(calls.state.pausedAt > 0 && calls.state.links['alice'] === 'lost');
  room.emit('onRemoteUserEnterRoom', { userID: 'alice' });
  assert.deepEqual([calls.state.pausedAt, calls.state.links['alice'], calls.state.since], [0, 'good', since]);
  room.emit('onLinkChanged', { userID: me, link: 'lost' });
  room.emit('onEnterRoom', { roomID: calls.state.roomID, ms: 1 }); // after a restart of the server
  assert.deepEqual([calls.state.pausedAt, calls.state.links[me]], [0, 'good']);
});

test('unknown event names are refused', () => {
  assert.throws(() => calls.on('onCallStat' as never, () => {}), { code: 6017 });
  assert.throws(() => room.on('onUserVideo' as never, () => {}), { code: 6017 });
});
