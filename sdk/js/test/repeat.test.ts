// Calls that the server refuses for a moment: repeated after retryAfter, with the same request ID, within their timeout.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import type { BeckonError, Client } from '../src/index.js';
import { Fake, signaling } from './fake.js';

let fake: Fake;
let client: Client;

beforeEach(async () => {
  fake = await Fake.start();
  client = fake.client();
  await client.connect();
});

afterEach(async () => {
  client.close();
  await fake.stop();
});

/** Refuses the first calls, and answers the others. */
function refuse(times: number, code: number, retryAfter?: number): void {
  fake.answer = (c) =>
    c.reply(fake.calls.length <= times ? { code, message: 'refused by the test', retryAfter } : { messageID: 'm' });
}

test('a call refused with 10002 or 9506 is repeated after retryAfter, with the same IDs', async () => {
  for (const code of [10002, 9506]) {
    fake.calls.length = 0;
    refuse(2, code, 100);
    const begin = performance.now();
    await client.invite({ invitee: 'alice' });
    assert.ok(performance.now() - begin >= 200, `${code}: repeated too early`);
    assert.equal(fake.calls.length, 3);
    assert.ok(fake.calls[0]!.data['requestID'] && fake.calls[0]!.data['inviteID']);
    assert.deepEqual(fake.calls[2]!.data, fake.calls[0]!.data);
  }
});

test('calls that only read are repeated too; other refusals and those without retryAfter are not', async () => {
  refuse(1, 10002, 10);
  await client.getConversationList();
  assert.equal(fake.calls.length, 2);
  for (const [code, retryAfter] of [
    [10002, undefined],
    [10017, 10],
    [7013, 10],
  ] as const) {
    fake.calls.length = 0;
    refuse(1, code, retryAfter);
    await assert.rejects(client.invite({ invitee: 'alice' }), { code });
    assert.equal(fake.calls.length, 1);
  }
});

test('a call without a request ID is not repeated', async () => {
  for (const code of [10002, 9506]) {
    fake.calls.length = 0;
    refuse(1, code, 10);
    await assert.rejects(client.createGroup({ type: 'Work' }), { code });
    assert.equal(fake.calls.length, 1);
  }
});

test('an online-only message is not repeated', async () => {
  refuse(1, 9506, 10);
  await assert.rejects(client.sendMessage({ userID: 'alice', text: 'here?', onlineUserOnly: true }), { code: 9506 });
  assert.equal(fake.calls.length, 1);
});

test('repeats end with the timeout of the call, after 20, and if the option turns them off', async () => {
  refuse(1, 9506, 60_000);
  await assert.rejects(client.getUsersInfo({ userIDList: ['alice'] }), (err: BeckonError) => err.retryAfter === 60_000);
  assert.equal(fake.calls.length, 1);
  fake.calls.length = 0;
  refuse(100, 9506, 1);
  await assert.rejects(client.getUsersInfo({ userIDList: ['alice'] }), { code: 9506 });
  assert.equal(fake.calls.length, 21);
  client.close();
  client = fake.client({ repeat: false });
  await client.connect();
  fake.calls.length = 0;
  await assert.rejects(client.getUsersInfo({ userIDList: ['alice'] }), { code: 9506 });
  assert.equal(fake.calls.length, 1);
});

test('close and a signal end the wait for a repeat', async () => {
  refuse(100, 9506, 10_000);
  const controller = new AbortController();
  const call = client.call('getUsersInfo', { userIDList: ['alice'] }, { signal: controller.signal });
  await fake.nthCall(1);
  await fake.settle(client); // the refusal has arrived
  const begin = performance.now();
  controller.abort();
  await assert.rejects(call, { name: 'AbortError' });
  const second = client.invite({ invitee: 'alice' });
  await fake.nthCall(2);
  await fake.settle(client);
  client.close();
  await assert.rejects(second, { code: 9506 });
  assert.ok(performance.now() - begin < 5000, 'the calls waited');
});

test('events are raised while a call about their invitation waits to be repeated', async () => {
  refuse(1, 10002, 1000);
  fake.publish(signaling({ inviteeList: ['bob'] }), 1);
  await client.once('onReceiveNewInvitation');
  const cancelled = client.once('onInvitationCancelled');
  const accept = client.accept({ inviteID: 'i' });
  await fake.nthCall(1);
  fake.publish(signaling({ actionType: 2, version: 2, over: true, from: 'alice', inviteeList: ['bob'] }), 2);
  await cancelled;
  assert.equal(fake.calls.length, 1, 'the event came after the repeat');
  await accept;
});
