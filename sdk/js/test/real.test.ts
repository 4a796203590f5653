// The client against the real server: a complete call, missed events after a lost connection, a new token, chat.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WebSocket } from 'ws';
import { Client, type BeckonError, type Options } from '../src/index.js';
import { serveTests } from './cluster.js';

const server = serveTests();

async function come(userID: string, deviceID = userID, ttl = 3600, options: Partial<Options> = {}): Promise<Client> {
  const c = server.cluster.device(userID, deviceID, ttl, options);
  server.clients.push(c);
  await c.connect();
  return c;
}

test('invite, ring, accept on one of two devices; the other stops, and its answer is refused', async () => {
  const [alice, phone, tablet] = await Promise.all([come('alice'), come('bob', 'phone'), come('bob', 'tablet')]);
  const rings = Promise.all([phone.once('onReceiveNewInvitation'), tablet.once('onReceiveNewInvitation')]);
  const ringing = alice.once('onInviteeRinging');
  const { inviteID, reach } = await alice.invite({ invitee: 'bob', timeout: 30, data: 'hello' });
  assert.deepEqual(
    reach?.map((r) => [r.userID, r.devices, r.status]),
    [['bob', 2, 'connected']],
  );
  const [ring] = await rings;
  assert.equal(ring.data, 'hello');
  await phone.ring({ inviteID });
  assert.equal((await ringing).invitee, 'bob');
  const accepted = alice.once('onInviteeAccepted');
  const elsewhere = tablet.once('onInvitationHandledByOtherDevice');
  await phone.accept({ inviteID, data: 'here I am' });
  assert.equal((await accepted).data, 'here I am');
  assert.equal((await elsewhere).action, 'accept');
  await assert.rejects(
    tablet.reject({ inviteID }),
    (err: BeckonError) => err.code === 8010 && err.won?.action === 'accept' && err.won.device === 'phone',
  );
});

test('messages sent while the server is down are delivered once', async () => {
  const [dan, erin] = await Promise.all([come('dan'), come('erin')]);
  const received: string[] = [];
  erin.on('onReceiveMessage', (e) => received.push(e.message.text ?? ''));
  await dan.sendMessage({ userID: 'erin', text: 'one' });
  await server.cluster.kill();
  const sending = [
    dan.sendMessage({ userID: 'erin', text: 'two' }),
    dan.sendMessage({ userID: 'erin', text: 'three' }),
  ]; // pending until the server returns
  await server.cluster.run();
  await Promise.all(sending);
  const last = erin.once('onReceiveMessage', (e) => e.message.text === 'four');
  await dan.sendMessage({ userID: 'erin', text: 'four' });
  await last;
  assert.deepEqual(received.sort(), ['four', 'one', 'three', 'two']);
});

test('calls above the rate of the user are repeated after their retryAfter', async () => {
  const calls = (c: Client): Promise<unknown>[] =>
    Array.from({ length: 260 }, () => c.getUsersInfo({ userIDList: ['hasty'] })); // 200 at once
  const results = await Promise.allSettled(
    calls(
      await come('hasty', 'once', 3600, { repeat: false }), // a client that returns refusals
    ),
  );
  assert.ok(results.some((r) => r.status === 'rejected' && (r.reason as BeckonError).code === 9506));
  await Promise.all(calls(await come('hasty', 'phone')));
});

test('a token that expires is renewed without a new connection', async () => {
  const frank = server.cluster.device('frank', 'frank', 3);
  server.clients.push(frank);
  let connects = 0;
  frank.on('onConnected', () => connects++);
  await frank.connect();
  await new Promise((resolve) => setTimeout(resolve, 4500)); // longer than the lifetime of the token
  await frank.getConversationList();
  assert.equal(connects, 1);
});

test('a refused token rejects connect, with the code', async () => {
  const nobody = new Client({ server: server.cluster.url, token: 'no token at all', websocket: WebSocket });
  await assert.rejects(nobody.connect(), (err: BeckonError) => err.code === 70009);
});

test('chat: history, unread, read, revoke, a group, a file', async () => {
  const [gina, hugo] = await Promise.all([come('gina'), come('hugo')]);
  const { messageID } = await gina.sendMessage({ userID: 'hugo', text: 'first' });
  await gina.sendMessage({ userID: 'hugo', text: 'second' });
  assert.equal((await hugo.getConversation({ conversationID: 'c2c_gina' })).conversation.unread, 2);
  const read = gina.once('onPeerRead');
  await hugo.markConversationRead({ conversationID: 'c2c_gina' });
  await read;
  const revoked = hugo.once('onMessageRevoked');
  await gina.revokeMessage({ conversationID: 'c2c_hugo', messageID });
  assert.equal((await revoked).messageID, messageID);
  const { messages } = await hugo.getHistoryMessageList({ conversationID: 'c2c_gina' });
  assert.equal(messages.length, 2);
  const joined = hugo.once('onGroup', (e) => e.tip === 'groupJoined');
  const { group } = await gina.createGroup({ type: 'Work', name: 'Team', memberList: ['hugo'] });
  await joined;
  const { fileID } = await gina.uploadFile({
    body: new TextEncoder().encode('some notes'),
    kind: 'file',
    name: 'notes.txt',
  });
  const got = hugo.once('onReceiveMessage', (e) => e.message.groupID === group.groupID);
  await gina.sendMessage({ groupID: group.groupID, file: { fileID } });
  const { url } = await hugo.getFile({ fileID: (await got).message.file!.fileID });
  assert.equal(await (await fetch(new URL(url, server.cluster.url))).text(), 'some notes');
});

test('without a media server, enterRoom rejects with 7013', async () => {
  const [ivy, jack] = await Promise.all([come('ivy'), come('jack')]);
  const { inviteID } = await ivy.invite({ invitee: 'jack', roomID: 'r' });
  await jack.accept({ inviteID });
  await assert.rejects(jack.enterRoom({ roomID: 'r' }), { code: 7013 });
});

test('an invitation received by push rings if it is still open', async () => {
  const [kim, lea] = await Promise.all([come('kim'), come('lea', 'lea')]);
  const rings = lea.once('onReceiveNewInvitation');
  const { inviteID } = await kim.invite({ invitee: 'lea', timeout: 30 });
  await rings;
  const late = await come('lea', 'just-started');
  late.close();
  const fresh = await come('lea', 'by-push');
  assert.equal((await fresh.addInvitedSignaling({ inviteID })).inviter, 'kim');
  await kim.cancel({ inviteID });
  await assert.rejects(
    fresh.addInvitedSignaling({ inviteID }),
    (err: BeckonError) => err.code === 8010 && err.invitation?.over === true,
  );
});
