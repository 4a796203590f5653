// The state machine of calls, with the real server and a room without media.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Calls, type CallState, type EndReason } from '../src/call.js';
import type { Client } from '../src/index.js';
import { Cluster } from './cluster.js';
import { Silent } from './silent.js';

let cluster: Cluster;
let count = 0;
const all: Phone[] = [];

interface Phone {
  client: Client;
  calls: Calls;
  room: Silent;
  user: string;
  ended: Promise<{ reason: EndReason; state: CallState }>;
}

before(async () => {
  cluster = await Cluster.start();
});
after(async () => {
  for (const p of all) {
    p.calls.dispose();
    p.client.close();
  }
  await cluster.stop();
});

/** Returns devices of users that are new in each test. */
async function phones(...names: string[]): Promise<Phone[]> {
  count++;
  return Promise.all(
    names.map(async (name) => {
      const [user, device = 'phone'] = name.split('/') as [string, string?];
      const id = `${user}${count}`;
      const client = cluster.device(id, device);
      const room = new Silent(client);
      room.user = id;
      const calls = new Calls(client, room);
      await client.connect();
      const p: Phone = { client, calls, room, user: id, ended: calls.once('onCallEnded') };
      all.push(p);
      return p;
    }),
  );
}

const phase = (p: Phone, want: CallState['phase']): Promise<unknown> =>
  p.calls.state.phase === want ? Promise.resolve() : p.calls.once('onCallState', (s) => s.phase === want);
const why = async (p: Phone): Promise<EndReason> => (await p.ended).reason;

test('call, ring, answer, hang up', async () => {
  const [ann, bob] = (await phones('ann', 'bob')) as [Phone, Phone];
  await ann.calls.call({ userID: bob.user });
  await phase(bob, 'ringing');
  assert.equal(bob.calls.state.inviter, ann.user);
  assert.ok(bob.calls.state.deadline > bob.client.now());
  await bob.calls.answer();
  await Promise.all([phase(ann, 'connected'), phase(bob, 'connected')]);
  assert.equal(ann.calls.state.people[bob.user], 'in');
  await bob.calls.hangup();
  assert.deepEqual([await why(ann), await why(bob)], ['remoteHangup', 'hangup']);
  assert.equal(ann.calls.state.phase, 'idle');
});

test('declined, cancelled, busy, unanswered', async () => {
  const [ann, bob, cid] = (await phones('ann', 'bob', 'cid')) as [Phone, Phone, Phone];
  await ann.calls.call({ userID: bob.user });
  await phase(bob, 'ringing');
  await bob.calls.decline();
  assert.equal(await why(ann), 'declined');

  bob.ended = bob.calls.once('onCallEnded');
  await ann.calls.call({ userID: bob.user });
  await phase(bob, 'ringing');
  await ann.calls.hangup();
  assert.equal(await why(bob), 'cancelled');

  [ann.ended, bob.ended] = [ann.calls.once('onCallEnded'), bob.calls.once('onCallEnded')];
  await ann.calls.call({ userID: bob.user });
  await phase(bob, 'ringing');
  await cid.calls.call({ userID: ann.user });
  assert.equal(await why(cid), 'busy');
  assert.equal(ann.calls.state.phase, 'calling');
  await ann.calls.hangup();
  assert.equal(await why(bob), 'cancelled');

  [ann.ended, bob.ended] = [ann.calls.once('onCallEnded'), bob.calls.once('onCallEnded')];
  await ann.calls.call({ userID: bob.user }, { timeout: 1 });
  assert.deepEqual([await why(ann), await why(bob)], ['noAnswer', 'noAnswer']);
});

test('both call each other at the same moment: one call', async () => {
  const [ann, bob] = (await phones('ann', 'bob')) as [Phone, Phone];
  await Promise.all([ann.calls.call({ userID: bob.user }), bob.calls.call({ userID: ann.user })]);
  await Promise.all([phase(ann, 'connected'), phase(bob, 'connected')]);
  assert.equal(ann.calls.state.roomID, bob.calls.state.roomID);
  await ann.calls.hangup();
  assert.equal(await why(bob), 'remoteHangup');
});

test('two devices ring; the one that answers has the call, also when both answer at once', async () => {
  const [ann, phone, tablet] = (await phones('ann', 'bob/phone', 'bob/tablet')) as [Phone, Phone, Phone];
  await ann.calls.call({ userID: phone.user });
  await Promise.all([phase(phone, 'ringing'), phase(tablet, 'ringing')]);
  const both = await Promise.allSettled([phone.calls.answer(), tablet.calls.answer()]);
  assert.equal(both.filter((r) => r.status === 'fulfilled').length, 1);
  const [winner, loser] = both[0]!.status === 'fulfilled' ? [phone, tablet] : [tablet, phone];
  assert.equal(await why(loser), 'elsewhere');
  await Promise.all([phase(winner, 'connected'), phase(ann, 'connected')]);
  await ann.calls.hangup();
});

test('a cancel and an answer at the same moment: both sides agree', async () => {
  for (let i = 0; i < 20; i++) {
    const [ann, bob] = (await phones('ann', 'bob')) as [Phone, Phone];
    await ann.calls.call({ userID: bob.user });
    await phase(bob, 'ringing');
    await Promise.allSettled([ann.calls.hangup(), bob.calls.answer()]);
    assert.equal(await why(ann), 'hangup');
    assert.ok(['cancelled', 'remoteHangup'].includes(await why(bob).catch(String)), await why(bob));
  }
});

test('three users: one joins late, one is invited later', async () => {
  const [ann, bob, cid, dan] = (await phones('ann', 'bob', 'cid', 'dan')) as [Phone, Phone, Phone, Phone];
  await ann.calls.call({ userIDs: [bob.user, cid.user] }, { timeout: 2 });
  await Promise.all([phase(bob, 'ringing'), phase(cid, 'ringing')]);
  const { roomID, inviteID } = cid.calls.state;
  await bob.calls.answer();
  await phase(ann, 'connected');
  assert.equal(await why(cid), 'noAnswer');
  await cid.calls.join({ roomID, inviteID, inviter: ann.user });
  await phase(cid, 'connected');
  await bob.calls.inviteMore([dan.user]);
  await phase(dan, 'ringing');
  await dan.calls.answer();
  await phase(dan, 'connected');
  assert.equal(ann.room.remoteUsers.length, 3);
  await dan.calls.hangup();
  await cid.calls.hangup();
  assert.equal(ann.calls.state.phase, 'connected');
  await bob.calls.hangup();
  assert.equal(await why(ann), 'remoteHangup');
});

test('a user that was not invited is not admitted', async () => {
  const [ann, bob, eve] = (await phones('ann', 'bob', 'eve')) as [Phone, Phone, Phone];
  await ann.calls.call({ userID: bob.user });
  await phase(bob, 'ringing');
  const { roomID, inviteID } = bob.calls.state;
  await bob.calls.answer();
  await phase(ann, 'connected');
  await eve.calls.join({ roomID, inviteID, inviter: ann.user });
  assert.equal(await why(eve), 'declined');
  await ann.calls.hangup();
});

test('the peer disconnects and returns; the room fails; the server is unreachable', async () => {
  const [ann, bob, cid] = (await phones('ann', 'bob', 'cid')) as [Phone, Phone, Phone];
  await ann.calls.call({ userID: bob.user });
  await phase(bob, 'ringing');
  await bob.calls.answer();
  await phase(ann, 'connected');
  const { roomID } = bob.calls.state;
  bob.room.vanish();
  await phase(ann, 'reconnecting');
  await bob.room.enterRoom({ roomID });
  await phase(ann, 'connected');
  await bob.calls.hangup();
  await why(ann);

  cid.room.fails = true;
  ann.ended = ann.calls.once('onCallEnded');
  await ann.calls.call({ userID: cid.user });
  await phase(cid, 'ringing');
  await cid.calls.answer();
  assert.equal(await why(cid), 'failed');
  await ann.calls.hangup();

  [ann.ended, bob.ended] = [ann.calls.once('onCallEnded'), bob.calls.once('onCallEnded')];
  await ann.calls.call({ userID: bob.user });
  await phase(bob, 'ringing');
  await cluster.kill();
  const answering = bob.calls.answer();
  await cluster.run();
  await answering;
  await Promise.all([phase(ann, 'connected'), phase(bob, 'connected')]);
  await ann.calls.hangup();
  assert.equal(await why(bob), 'remoteHangup');
});
