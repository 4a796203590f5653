// A chat in plain JavaScript, with the stock Centrifugo client (JSON over WebSocket), fetch for files, and no code of
// Beckon. It shows that sections 6 to 9 of PROTOCOL.md are sufficient. Like call.test.js it starts its own server. Run
// it with: node --test

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { crc32, deflateSync } from 'node:zlib';
import { Centrifuge } from 'centrifuge';
import WebSocket from 'ws';

const TIME_LIMIT = 10_000; // milliseconds for any single wait
const INVITE = 1; // actionType, PROTOCOL.md section 3
const root = fileURLToPath(new URL('../..', import.meta.url)),
  beckon = join(root, 'bin', 'beckon');
// Every flag of beckon is also an environment variable: drop those of the developer.
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('BECKON_')));

let dataDir, server, address, alice, alicesLaptop, bob, bobsTablet, carol;
const tokens = {},
  devices = [];

// A device of a user. It keeps all received events, and unread counts as described in section 6.
class Device {
  events = []; // {offset, data}
  counts = new Map(); // by conversationID, the last count received: {unread, head}
  stale = new Set(); // conversations to reload

  constructor(user, deviceID) {
    this.user = user;
    this.name = `${user} on ${deviceID}`;
    tokens[user] ??= execFileSync(beckon, ['token', user, '--data', dataDir], { env, encoding: 'utf8' }).trim();
    this.link = new Centrifuge(`ws://${address}/connection/websocket`, {
      token: tokens[user],
      data: { deviceID, platform: 'node' },
      websocket: WebSocket,
    });
    this.link.on('publication', ({ offset, data }) => {
      this.events.push({ offset, data });
      if (data.type === 'conversationRead')
        this.counts.set(data.conversationID, { unread: data.unread ?? 0, head: data.head });
      if (data.type === 'messageRevoked')
        this.stale.add(data.groupID ? `group_${data.groupID}` : `c2c_${data.from === this.user ? data.to : data.from}`);
    });
    this.link.connect();
    devices.push(this);
  }

  // Returns the unread count of a conversation: the last count received, plus messages of others after its head.
  unread(conversationID) {
    const known = this.counts.get(conversationID) ?? { unread: 0, head: 0 };
    return (
      known.unread +
      this.events.filter(({ offset, data }) => {
        const { type, groupID } = data,
          author = type === 'message' ? data.from : data.inviter;
        if (!(type === 'signaling' && data.actionType === INVITE) && type !== 'message') return false;
        if (author === this.user || data.excludeFromUnread || data.receiverList) return false;
        return offset > known.head && conversationID === (groupID ? `group_${groupID}` : `c2c_${author}`);
      }).length
    );
  }

  // Checks that the unread counts of this device equal those of the server.
  async countsRight() {
    for (const conversationID of this.stale) {
      const { unread, head } = (await this.call('getConversation', { conversationID })).conversation;
      this.counts.set(conversationID, { unread, head });
    }
    this.stale.clear();
    const { conversations, totalUnread } = await this.call('getConversationList', {});
    for (const { conversationID: id, unread } of conversations)
      assert.equal(this.unread(id), unread, `${this.name}: ${id}`);
    assert.equal(
      totalUnread,
      conversations.reduce((sum, { unread }) => sum + unread, 0),
    );
    return Object.fromEntries(conversations.map(({ conversationID, unread }) => [conversationID, unread]));
  }

  // Calls a method that must succeed, and returns the response.
  async call(method, fields) {
    const { data } = await this.link.rpc(method, fields);
    assert.ok(!('code' in data), `${method} by ${this.name} was refused: ${JSON.stringify(data)}`);
    return data;
  }

  // Calls a method that must be refused with this code, and returns the error.
  async refused(code, method, fields) {
    const { data } = await this.link.rpc(method, fields);
    assert.equal(data.code, code, `${method} by ${this.name}: ${JSON.stringify(data)}`);
    return data;
  }

  received(like) {
    return this.events.filter(({ data }) => Object.entries(like).every(([key, value]) => data[key] === value));
  }

  // Returns the event with these fields, received already or awaited.
  async receives(like) {
    const signal = AbortSignal.timeout(TIME_LIMIT);
    while (this.received(like).length === 0) {
      await once(this.link, 'publication', { signal }).catch(() =>
        assert.fail(`${this.name} did not receive ${JSON.stringify(like)}, but ${JSON.stringify(this.events)}`),
      );
    }
    return this.received(like)[0].data;
  }
}

// Sends a message, and returns the response when all these devices have received it.
async function send(from, fields, ...listeners) {
  const answer = await from.call('sendMessage', { messageID: randomUUID(), ...fields });
  await Promise.all(listeners.map((device) => device.receives({ type: 'message', messageID: answer.messageID })));
  return answer;
}

async function startServer() {
  if (!existsSync(beckon)) execFileSync('make', ['build'], { cwd: root, stdio: 'inherit' });
  dataDir = mkdtempSync(join(tmpdir(), 'beckon-chat-'));
  server = spawn(beckon, ['serve', '--listen', '127.0.0.1:0', '--data', dataDir], {
    env,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const signal = AbortSignal.timeout(TIME_LIMIT);
  for (let out = ''; !address; address = /listens on http:\/\/(\S+)\n/.exec(out)?.[1]) {
    out += (await once(server.stdout, 'data', { signal }))[0];
  }
  server.stdout.resume();
  assert.equal((await fetch(`http://${address}/readyz`, { signal })).status, 200);
}

process.on('exit', () => server?.kill('SIGKILL')); // also after a failure

before(async () => {
  await startServer();
  [alice, alicesLaptop, bob, bobsTablet, carol] = [
    ['alice', 'alice-phone'],
    ['alice', 'alice-laptop'],
    ['bob', 'bob-phone'],
    ['bob', 'bob-tablet'],
    ['carol', 'carol-phone'],
  ].map(([user, deviceID]) => new Device(user, deviceID));
  await Promise.all(devices.map(({ link }) => link.ready(TIME_LIMIT)));
});

after(async () => {
  for (const device of devices) device.link.disconnect();
  server?.kill();
  if (server?.exitCode === null && server.signalCode === null)
    await once(server, 'exit', { signal: AbortSignal.timeout(TIME_LIMIT) });
  if (dataDir) rmSync(dataDir, { recursive: true, force: true });
});

test('a message reaches the other user and the second device of its sender, and a resend is a repeat', async () => {
  // Makes the sequences of the timelines of alice and bob differ.
  await send(carol, { userID: 'bob', text: 'morning' }, bob, bobsTablet);
  const fields = { userID: 'bob', messageID: randomUUID(), text: 'supper at eight' };
  const sent = await send(alice, fields, bob, bobsTablet, alicesLaptop);
  assert.equal(sent.conversationID, 'c2c_bob');
  await bob.receives({
    messageID: sent.messageID,
    from: 'alice',
    to: 'bob',
    messageType: 'text',
    text: 'supper at eight',
  });
  assert.equal(alicesLaptop.received({ messageID: sent.messageID })[0].offset, sent.seq);
  assert.deepEqual(await alice.call('sendMessage', fields), { ...sent, repeat: true });
  await alice.refused(8012, 'sendMessage', { ...fields, text: 'supper at nine' });
  await send(bob, { userID: 'alice', text: 'fine' }, alice, alicesLaptop, bobsTablet);
  await send(alice, { userID: 'bob', text: 'see you' }, bob, bobsTablet, alicesLaptop);
  // Events are ordered: a second copy would precede these. The acting device gets only its response.
  for (const device of [bob, bobsTablet, alicesLaptop])
    assert.equal(device.received({ messageID: sent.messageID }).length, 1);
  assert.equal(alice.received({ messageID: sent.messageID }).length, 0);
});

test('history in both directions', async () => {
  const page = async (texts, complete, fields) => {
    const answer = await bob.call('getHistoryMessageList', { conversationID: 'c2c_alice', limit: 2, ...fields });
    assert.deepEqual([answer.messages.map(({ event }) => event.text), answer.complete], [texts, complete]);
    return answer.messages.at(-1).seq;
  };
  const middle = await page(['see you', 'fine'], false, {});
  await page(['supper at eight'], true, { seq: middle });
  assert.equal(await page(['supper at eight', 'fine'], false, { direction: 'newer' }), middle);
  await page(['see you'], true, { direction: 'newer', seq: middle });
});

test('unread counts on the device, marking read, and the receipt of the other user', async () => {
  await send(alice, { userID: 'bob', text: 'psst', excludeFromUnread: true }, bob, bobsTablet);
  const { inviteID } = await alice.call('invite', { invitee: 'bob', timeout: 60, requestID: randomUUID() });
  await alice.call('cancel', { inviteID, requestID: randomUUID() });
  const sent = await send(alice, { userID: 'bob', text: 'there?' }, bob, bobsTablet, alicesLaptop);
  for (const device of [bob, bobsTablet]) assert.deepEqual(await device.countsRight(), { c2c_carol: 1, c2c_alice: 4 });
  const {
    conversation: { unread, head },
  } = await bob.call('markConversationRead', { conversationID: 'c2c_alice' });
  bob.counts.set('c2c_alice', { unread, head }); // the acting device gets no event, so it continues from the response
  await bobsTablet.receives({ type: 'conversationRead', conversationID: 'c2c_alice' });
  for (const device of [alice, alicesLaptop]) {
    // peerReadSeq is a sequence of alice's timeline.
    await device.receives({ type: 'readReceipt', conversationID: 'c2c_bob', peerReadSeq: sent.seq });
  }
  assert.equal((await alice.call('getHistoryMessageList', { conversationID: 'c2c_bob' })).peerReadSeq, sent.seq);
  for (const device of [bob, bobsTablet]) assert.deepEqual(await device.countsRight(), { c2c_carol: 1, c2c_alice: 0 });
  await send(alice, { userID: 'bob', text: 'good' }, bob, bobsTablet);
  for (const device of [bob, bobsTablet]) assert.deepEqual(await device.countsRight(), { c2c_carol: 1, c2c_alice: 1 });
  assert.deepEqual(await alice.countsRight(), { c2c_bob: 1 });
});

test('modify, search and revoke', async () => {
  const conversationID = 'c2c_bob';
  const { messageID } = await send(alice, { userID: 'bob', text: 'a wombat in the garden' }, bob);
  const found = async (text) =>
    (await bob.call('searchMessages', { text })).found.map(({ message }) => message.messageID);
  assert.deepEqual(await found('gard womb'), [messageID]);
  await bob.refused(10007, 'modifyMessage', { conversationID: 'c2c_alice', messageID, text: 'mine' });
  const { message } = await alice.call('modifyMessage', { conversationID, messageID, text: 'a quokka in the garden' });
  for (const device of [bob, bobsTablet, alicesLaptop]) {
    assert.deepEqual((await device.receives({ type: 'messageModified', messageID })).message, message);
  }
  await alice.refused(8006, 'modifyMessage', {
    conversationID,
    messageID,
    text: 'too late',
    version: message.version - 1,
  });
  assert.deepEqual([await found('wombat'), await found('quokka')], [[], [messageID]]);
  await bob.refused(10007, 'revokeMessage', { conversationID: 'c2c_alice', messageID });
  await alice.call('revokeMessage', { conversationID, messageID, reason: 'a mistake' });
  for (const device of [bob, bobsTablet, alicesLaptop]) {
    await device.receives({ type: 'messageRevoked', messageID, reason: 'a mistake' });
  }
  const now = (await bob.call('getMessage', { conversationID: 'c2c_alice', messageID })).message;
  assert.deepEqual([now.revoked, now.revokedBy, now.text, await found('quokka')], [true, 'alice', undefined, []]);
  assert.equal((await bob.countsRight()).c2c_alice, 1); // a revoked message does not count
});

test('a Public group: applications, a message for some, muting, attributes', async () => {
  const {
    group: { groupID },
  } = await alice.call('createGroup', { type: 'Public', name: 'gardeners' });
  for (const device of [bob, carol]) {
    assert.equal((await device.call('joinGroup', { groupID, reason: 'I dig' })).applied, true);
    await alice.receives({ tip: 'joinApplication', groupID, from: device.user });
    await alice.call('acceptGroupApplication', { groupID, userID: device.user });
    await device.receives({ tip: 'applicationProcessed', groupID, agreed: true });
    await device.receives({ tip: 'groupJoined', groupID });
  }
  await send(alice, { groupID, text: 'welcome' }, bob, bobsTablet, carol, alicesLaptop);
  const secret = await send(
    alice,
    { groupID, text: 'the key is under the mat', receiverList: ['bob'] },
    bob,
    bobsTablet,
  );
  await send(alice, { groupID, text: 'that was all' }, bob, bobsTablet, carol);
  await send(alice, { userID: 'carol', text: 'hello' }, carol); // carol would have received it on either channel by now
  assert.equal(carol.received({ messageID: secret.messageID }).length, 0);
  const conversationID = `group_${groupID}`,
    history = (device) => device.call('getHistoryMessageList', { conversationID });
  const texts = async (device) => (await history(device)).messages.flatMap(({ event }) => event.text ?? []);
  assert.deepEqual(await texts(bob), ['that was all', 'the key is under the mat', 'welcome']);
  assert.deepEqual(await texts(carol), ['that was all', 'welcome']);
  assert.deepEqual((await carol.call('searchMessages', { text: 'mat' })).found, []);
  await carol.refused(10030, 'getMessage', { conversationID, messageID: secret.messageID });
  for (const device of [bob, bobsTablet, carol]) assert.equal((await device.countsRight())[conversationID], 2);
  await alice.call('muteGroupMember', { groupID, userID: 'bob', seconds: 600 });
  await bob.receives({ tip: 'memberInfoChanged', groupID });
  assert.ok((await bob.refused(10017, 'sendMessage', { groupID, text: 'but' })).retryAfter <= 600_000);
  await alice.call('muteGroupMember', { groupID, userID: 'bob', seconds: 0 });
  await send(bob, { groupID, text: 'thanks' }, alice, carol);
  const { version } = await alice.call('initGroupAttributes', { groupID, attributes: { crop: 'peas' } });
  assert.deepEqual((await bob.receives({ tip: 'attributesChanged', attrVersion: version })).attributes, {
    crop: 'peas',
  });
  await alice.call('setGroupAttributes', { groupID, attributes: { crop: 'beans' }, version });
  await bob.refused(10056, 'setGroupAttributes', { groupID, attributes: { crop: 'kale' }, version });
  assert.deepEqual((await carol.call('getGroupAttributes', { groupID })).attributes, { crop: 'beans' });
});

test('a blocked user cannot send or invite', async () => {
  await bob.call('addToBlackList', { userIDList: ['carol'] });
  await carol.refused(20007, 'sendMessage', { userID: 'bob', text: 'hello?' });
  await carol.refused(20007, 'invite', { invitee: 'bob', timeout: 30 });
  await bob.call('deleteFromBlackList', { userIDList: ['carol'] });
  await send(carol, { userID: 'bob', text: 'hello again' }, bob);
});

test('presence is published to subscribers', async () => {
  const statuses = (device) =>
    device.received({ type: 'userStatus' }).map(
      ({
        data: {
          status: { userID, status },
        },
      }) => `${userID} ${status}`,
    );
  const becomes = async (wanted) => {
    const signal = AbortSignal.timeout(TIME_LIMIT);
    while (statuses(alice).at(-1) !== wanted) await once(alice.link, 'publication', { signal });
  };
  const answer = await alice.call('subscribeUserStatus', { userIDList: ['dave'] });
  assert.deepEqual(answer.statuses, [{ userID: 'dave', status: 'offline' }]);
  const dave = new Device('dave', 'dave-phone');
  await becomes('dave online');
  dave.link.disconnect();
  await becomes('dave offline');
  assert.deepEqual(statuses(bob), []); // not subscribed
});

// Returns a gray PNG of this size.
function png(width, height) {
  const chunk = (type, data) => {
    const body = Buffer.concat([Buffer.from(type), data]),
      frame = Buffer.alloc(8);
    frame.writeUInt32BE(data.length, 0);
    frame.writeUInt32BE(crc32(body), 4);
    return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
  };
  const header = chunk('IHDR', Buffer.from([0, 0, 0, width, 0, 0, 0, height, 8, 0, 0, 0, 0]));
  const pixels = chunk('IDAT', deflateSync(Buffer.alloc(height * (width + 1))));
  return Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), header, pixels, chunk('IEND', Buffer.alloc(0))]);
}

test('an image is readable by the users of its conversation', async () => {
  const bytes = png(3, 2),
    signal = AbortSignal.timeout(TIME_LIMIT);
  const reply = await fetch(`http://${address}/v1/files?kind=image&name=dot.png`, {
    method: 'POST',
    headers: { authorization: `Bearer ${tokens.alice}` },
    body: bytes,
    signal,
  });
  const { fileID, kind, type, size, width, height } = await reply.json();
  assert.deepEqual([kind, type, size, width, height], ['image', 'image/png', bytes.length, 3, 2]);
  await bob.refused(6024, 'getFile', { fileID });
  const { messageID } = await send(alice, { userID: 'bob', image: { fileID } }, bob);
  const { image } = await bob.receives({ messageID, messageType: 'image' });
  assert.deepEqual([image.fileID, image.width, image.height], [fileID, 3, 2]);
  const link = new URL((await bob.call('getFile', { fileID })).url, `http://${address}`);
  assert.deepEqual(Buffer.from(await (await fetch(link, { signal })).arrayBuffer()), bytes);
  await carol.refused(6024, 'getFile', { fileID });
  await carol.refused(6024, 'sendMessage', { userID: 'dave', image: { fileID } });
  link.search = '';
  assert.equal((await fetch(link, { headers: { authorization: `Bearer ${tokens.carol}` }, signal })).ok, false);
});

test('refused requests: codes and fields', async () => {
  for (const [code, field, method, fields] of [
    [6017, 'conversationID', 'getHistoryMessageList', { conversationID: 'bob' }],
    [6017, 'conversationID', 'markConversationRead', { conversationID: 'channel_bob' }],
    [10010, 'groupID', 'sendMessage', { groupID: 'nowhere', text: 'hello' }],
    [10010, 'groupID', 'getGroup', { groupID: 'nowhere' }],
    [8001, 'text', 'sendMessage', { userID: 'bob', text: 'x'.repeat(12 * 1024) }],
    [6017, 'text', 'sendMessage', { userID: 'bob' }],
    [6017, 'colour', 'sendMessage', { userID: 'bob', text: 'hello', colour: 'red' }],
    [10030, 'messageID', 'getMessage', { conversationID: 'c2c_bob', messageID: 'nothing' }],
  ]) {
    assert.equal((await alice.refused(code, method, fields)).field, field, method);
  }
});
