// The fields of all invitation callbacks, live, after a late login and after a restart, against a fake server.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import {
  type BeckonError,
  type Client,
  type InvitationEvents,
  type InvitationFacts,
  type Schemas,
} from '../src/index.js';
import { Fake, invitation, signaling } from './fake.js';

let fake: Fake;
let client: Client;
let raised: ({ name: string } & Partial<InvitationFacts> & { invitee?: string; action?: string; notice?: boolean })[];

const names: (keyof InvitationEvents)[] = [
  'onReceiveNewInvitation',
  'onInviteeAccepted',
  'onInviteeRejected',
  'onInvitationCancelled',
  'onInvitationTimeout',
  'onInvitationModified',
  'onInviteeRinging',
  'onInvitationHandledByOtherDevice',
];

function follow(c: Client): Client {
  raised = [];
  for (const name of names) c.on(name, (e) => raised.push({ name, ...e }));
  return c;
}

beforeEach(async () => {
  fake = await Fake.start();
  client = follow(fake.client());
});

afterEach(async () => {
  client.close();
  await fake.stop();
});

async function settled(): Promise<typeof raised> {
  await fake.settle(client);
  return raised;
}

const brief = (list: typeof raised): unknown[] => list.map((e) => [e.name, e.inviteeList, e.over]);
const facts = (list: typeof raised): unknown[] => list.map((e) => [e.inviter, e.groupID, e.invitationData]);

test('all callbacks have the facts of the invitation', async () => {
  await client.connect();
  fake.publish(signaling({ groupID: 'g', inviteeList: ['bob', 'carol', 'dan'], data: 'raise hand', from: 'alice' }), 1);
  fake.publish(signaling({ groupID: 'g', actionType: 8, version: 2, inviteeList: ['carol'] }), 2);
  fake.publish(
    signaling({
      groupID: 'g',
      actionType: 3,
      version: 3,
      answers: [{ invitee: 'carol', actionType: 3, data: 'me', time: 1 }],
    }),
    3,
  );
  fake.publish(signaling({ groupID: 'g', actionType: 6, version: 4, data: 'speak' }), 4);
  fake.publish(
    signaling({ groupID: 'g', actionType: 2, version: 5, inviteeList: ['dan'], from: 'alice', data: 'not you' }),
    5,
  );
  fake.publish(signaling({ groupID: 'g', actionType: 5, version: 6, inviteeList: ['bob'], over: true }), 6);
  const list = await settled();
  assert.deepEqual(brief(list), [
    ['onReceiveNewInvitation', ['bob', 'carol', 'dan'], false],
    ['onInviteeRinging', ['carol'], false],
    ['onInviteeAccepted', ['carol'], false],
    ['onInvitationModified', ['bob', 'carol', 'dan'], false],
    ['onInvitationTimeout', ['bob'], true],
  ]); // the end for dan does not stop ringing here
  assert.deepEqual(facts(list).slice(0, 3), Array(3).fill(['alice', 'g', 'raise hand']));
  assert.deepEqual(facts(list).slice(3), Array(2).fill(['alice', 'g', 'speak']));
  assert.deepEqual(
    list.map((e) => e.data),
    ['raise hand', '', 'me', 'speak', ''],
  );
  assert.deepEqual(
    [list[2]!.invitee, list[0]!.inviteeCount, list[0]!.everyone, list[0]!.notice],
    ['carol', 3, false, false],
  );
});

test('an invitee that has answered receives the end for the others, not as its own', async () => {
  await client.connect();
  fake.publish(signaling({ groupID: 'g', everyone: true, inviteeCount: 400, inviteeList: ['bob', 'carol'] }), 1);
  await settled();
  await client.accept({ inviteID: 'i' });
  fake.publish(
    signaling({
      groupID: 'g',
      actionType: 5,
      version: 3,
      everyone: true,
      inviteeCount: 398,
      inviteeList: ['carol'],
      over: true,
    }),
    2,
  );
  assert.deepEqual(brief(await settled()), [
    ['onReceiveNewInvitation', ['bob', 'carol'], false],
    ['onInvitationTimeout', ['carol'], true],
  ]);
  assert.deepEqual(
    [raised[0]!.everyone, raised[0]!.inviteeCount, raised[1]!.everyone, raised[1]!.inviteeCount],
    [true, 400, true, 398],
  );
});

test('the end of more than 100 invitees affects all that are open, with everyone set', async () => {
  await client.connect();
  fake.publish(signaling({ groupID: 'g', everyone: true, inviteeCount: 400, inviteeList: ['carol'] }), 1);
  fake.publish(
    signaling({
      groupID: 'g',
      actionType: 2,
      version: 2,
      everyone: true,
      inviteeCount: 400,
      inviteeList: ['carol'],
      over: true,
    }),
    2,
  );
  assert.deepEqual(brief(await settled())[1], ['onInvitationCancelled', ['carol', 'bob'], true]);
});

test('the snapshot has the same list; an invitee with an answer does not ring, and receives the end', async () => {
  fake.welcome = {
    positions: { 'user:bob': 5 },
    invitations: [
      invitation({ inviteID: 'open', groupID: 'g', inviteeList: ['bob', 'carol'], inviteeCount: 2 }),
      invitation({
        inviteID: 'answered',
        groupID: 'g',
        inviteeList: ['bob', 'carol'],
        inviteeCount: 2,
        invitees: [{ userID: 'bob', state: 'accepted', decidedAt: 7 }],
      }),
      invitation({ inviteID: 'mine', inviter: 'bob', inviteeList: ['carol'], invitees: [] }),
    ],
  };
  await client.connect();
  fake.publish(signaling({ inviteID: 'answered', actionType: 5, version: 4, inviteeList: ['carol'], over: true }), 6);
  fake.publish(
    signaling({
      inviteID: 'mine',
      inviter: 'bob',
      actionType: 4,
      version: 2,
      over: true,
      answers: [{ invitee: 'carol', actionType: 4, reason: 'busy', time: 9 }],
    }),
    7,
  );
  assert.deepEqual(brief(await settled()), [
    ['onReceiveNewInvitation', ['bob', 'carol'], false],
    ['onInvitationTimeout', ['carol'], true],
    ['onInviteeRejected', ['carol'], true],
  ]);
  assert.deepEqual([raised[2]!.reason, raised[2]!.invitationData], ['busy', 'd']);
});

test('the facts of an unknown invitation are fetched once, before the callback', async () => {
  await client.connect();
  fake.answer = (c) =>
    c.reply({
      invitations:
        c.method === 'listInvitations'
          ? [invitation({ groupID: 'g', inviteeList: ['carol', 'dan'], data: 'raise hand', invitees: [] })]
          : [],
    });
  fake.publish(
    signaling({ groupID: 'g', actionType: 3, version: 2, answers: [{ invitee: 'carol', actionType: 3, time: 1 }] }),
    1,
  );
  fake.publish(
    signaling({
      groupID: 'g',
      actionType: 3,
      version: 3,
      answers: [{ invitee: 'dan', actionType: 3, time: 1 }],
      over: true,
    }),
    2,
  );
  fake.publish(
    signaling({ inviteID: 'gone', groupID: 'g', actionType: 5, version: 3, inviteeList: ['dan'], over: true }),
    3,
  );
  const list = await settled();
  assert.deepEqual(
    fake.calls.map((c) => [c.method, c.data['inviteIDs']]),
    [
      ['listInvitations', ['i']],
      ['listInvitations', ['gone']],
    ],
  );
  assert.deepEqual(facts(list), [
    ['alice', 'g', 'raise hand'],
    ['alice', 'g', 'raise hand'],
    ['alice', 'g', ''],
  ]);
  assert.deepEqual(brief(list).at(-1), ['onInvitationTimeout', ['dan'], true]);
});

test('the facts of more invitations than one response holds are fetched in several calls', async () => {
  await client.connect();
  fake.answer = (c) => {
    const [id, ...rest] = c.data['inviteIDs'] as string[];
    c.reply({
      invitations: [
        invitation({ inviteID: id!, groupID: 'g', inviteeList: ['carol', 'dan'], data: id!, invitees: [] }),
      ],
      more: rest.length > 0,
    });
  };
  for (const [i, inviteID] of ['x', 'y', 'z'].entries()) {
    fake.publish(
      signaling({
        inviteID,
        groupID: 'g',
        actionType: 3,
        version: 2,
        answers: [{ invitee: 'carol', actionType: 3, time: 1 }],
      }),
      i + 1,
    );
  }
  assert.deepEqual(facts(await settled()), [
    ['alice', 'g', 'x'],
    ['alice', 'g', 'y'],
    ['alice', 'g', 'z'],
  ]);
});

test('a member that is not an invitee is not affected by the end for everyone', async () => {
  await client.connect();
  fake.answer = (c) =>
    c.reply({
      invitations: [
        invitation({
          groupID: 'g',
          everyone: true,
          inviteeList: ['carol'],
          inviteeCount: 200,
          invitees: [{ userID: 'carol', state: 'open' }],
        }),
      ],
    });
  fake.publish(
    signaling({
      groupID: 'g',
      actionType: 5,
      version: 2,
      everyone: true,
      inviteeCount: 200,
      inviteeList: ['carol'],
      over: true,
    }),
    1,
  );
  assert.deepEqual(brief(await settled()), [['onInvitationTimeout', ['carol'], true]]);
});

test('a missed notice is delivered later, and nothing rings', async () => {
  fake.welcome = { positions: { 'user:bob': 9 } };
  await client.connect();
  fake.publish(signaling({ inviteeList: ['bob'], data: 'call ended', over: true, notice: true }), 3);
  const list = await settled();
  assert.deepEqual(brief(list), [['onReceiveNewInvitation', ['bob'], true]]);
  assert.equal(list[0]!.notice, true);
});

test('the end of an online-only invitation during a lost connection is raised once for the inviter', async () => {
  await client.connect();
  fake.answer = (c) =>
    c.reply({
      inviteID: 'o',
      serverTime: 1000,
      invitation: invitation({
        inviteID: 'o',
        inviter: 'bob',
        onlineUserOnly: true,
        invitees: undefined,
        data: 'quick',
      }),
    });
  await client.invite({ invitee: 'carol', inviteID: 'o', onlineUserOnly: true });
  const ended = invitation({
    inviteID: 'o',
    inviter: 'bob',
    onlineUserOnly: true,
    over: true,
    version: 3,
    data: 'quick',
    inviteeList: ['carol'],
    invitees: [{ userID: 'carol', state: 'rejected', reason: 'busy', data: 'later', decidedAt: 1500 }],
  });
  fake.welcome = { ended: [ended] };
  const again = client.once('onConnected');
  fake.cut();
  await again;
  const list = await settled();
  assert.deepEqual(fake.connectData[1]!.held, ['o']);
  assert.deepEqual(
    [...brief(list), list[0]!.data, list[0]!.reason, list[0]!.invitationData],
    [['onInviteeRejected', ['carol'], true], 'later', 'busy', 'quick'],
  );
  fake.publish(
    signaling({
      inviteID: 'o',
      inviter: 'bob',
      actionType: 4,
      version: 3,
      over: true,
      answers: [{ invitee: 'carol', actionType: 4, time: 1500 }],
    }),
  );
  const third = client.once('onConnected');
  fake.cut();
  await third;
  assert.equal((await settled()).length, 1);
});

test('partial answers of an open online-only invitation are fetched after a lost connection', async () => {
  await client.connect();
  const view = invitation({
    inviteID: 'o',
    inviter: 'bob',
    onlineUserOnly: true,
    inviteeList: ['carol', 'dan'],
    invitees: undefined,
  });
  fake.answer = (c) => c.reply({ inviteID: 'o', serverTime: 1000, invitation: view });
  await client.invite({ inviteeList: ['carol', 'dan'], inviteID: 'o', onlineUserOnly: true });
  fake.welcome = { invitations: [view] };
  fake.answer = (c) =>
    c.reply({
      invitations: [
        {
          ...view,
          version: 2,
          invitees: [
            { userID: 'carol', state: 'accepted', data: 'yes', decidedAt: 5 },
            { userID: 'dan', state: 'open' },
          ],
        },
      ],
    });
  const again = client.once('onInviteeAccepted');
  fake.cut();
  assert.deepEqual([(await again).data, (await again).over], ['yes', false]);
});

test('answers, cancels and timeouts are raised once each, from events or from the welcome', async () => {
  await client.connect();
  fake.publish(
    signaling({ inviter: 'alice', inviteeList: ['bob', 'carol', 'dan', 'eve'], data: 'd', onlineUserOnly: true }),
  );
  await settled();
  await client.accept({ inviteID: 'i' });
  fake.publish(signaling({ actionType: 3, version: 3, answers: [{ invitee: 'carol', actionType: 3, time: 2 }] }));
  await settled();
  const state = (userID: string, s: Schemas['Invitee']['state'], decidedAt: number): Schemas['Invitee'] => ({
    userID,
    state: s,
    decidedAt,
  });
  fake.welcome = {
    ended: [
      invitation({
        onlineUserOnly: true,
        over: true,
        version: 5,
        invitees: [
          state('bob', 'accepted', 1),
          state('carol', 'accepted', 2),
          state('dan', 'timedOut', 9),
          state('eve', 'timedOut', 9),
        ],
      }),
    ],
  };
  const again = client.once('onConnected');
  fake.cut();
  await again;
  assert.deepEqual(brief(await settled()).slice(1), [
    ['onInviteeAccepted', ['carol'], false],
    ['onInvitationTimeout', ['dan', 'eve'], true],
  ]);
});

test('unknown event names and positional arguments are refused at once', async () => {
  const refused =
    (text: RegExp) =>
    (err: BeckonError): boolean =>
      err.code === 6017 && text.test(err.message);
  assert.throws(
    () => client.on('onRecieveNewInvitation' as never, () => {}),
    refused(/there is no event onRecieveNewInvitation/),
  );
  assert.throws(
    () => client.on('onreceivenewinvitation' as never, () => {}),
    refused(/did you mean onReceiveNewInvitation\?/),
  );
  const loose = client as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
  await assert.rejects(loose['invite']!('bob', 'data', false, null, 30), refused(/client\.invite\(\{/));
  await assert.rejects(loose['accept']!('an id'), refused(/accept takes one object/));
  await client.connect();
  await assert.rejects(loose['accept']!({ inviteID: 'i' }, 'yes'), refused(/accept takes one object/));
  assert.equal(fake.calls.length, 0);
});
