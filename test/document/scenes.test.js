// The scenes of the original's document, step by step and with its names, in a browser: the one-to-one call, the group
// call, raised hands in a classroom, seats in a chat room; and its behavior for users that are offline, have two
// devices, or have left. Each sentence is a check.
//
// A device is a page with the SDK, without the pages of Beckon.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { Cluster, TIME_LIMIT, launch } from '../e2e/kit.js';

let cluster, browser, sdk;

before(async () => {
  [cluster, browser] = await Promise.all([Cluster.start(), launch()]);
  const contents = `export * from 'beckon'; export { Room } from 'beckon/room';`;
  const resolveDir = fileURLToPath(new URL('../../web', import.meta.url));
  const { outputFiles } = await build({
    stdin: { contents, resolveDir },
    bundle: true,
    format: 'iife',
    globalName: 'beckon',
    platform: 'browser',
    write: false,
  });
  sdk = outputFiles[0].text;
});

after(async () => {
  await browser?.close();
  await cluster?.stop();
  assert.deepEqual(cluster?.faults ?? [], [], 'a page threw something');
});

/** Runs in the page: logs in and records all callbacks. */
async function login([token, deviceID]) {
  const client = new window.beckon.Client({ token, deviceID });
  const room = new window.beckon.Room(client);
  const log = [];
  const invitations = [
    'onReceiveNewInvitation',
    'onInviteeAccepted',
    'onInviteeRejected',
    'onInvitationCancelled',
    'onInvitationTimeout',
    'onInvitationModified',
    'onInviteeRinging',
    'onInvitationHandledByOtherDevice',
    'onRecvNewMessage',
    'onCallRecord',
    'onGroupAttributeChanged',
    'onRoomRoleChanged',
  ];
  for (const name of invitations) client.on(name, (e) => log.push({ name, ...e }));
  for (const name of [
    'onEnterRoom',
    'onExitRoom',
    'onRemoteUserEnterRoom',
    'onRemoteUserLeaveRoom',
    'onUserVideoAvailable',
    'onUserAudioAvailable',
  ])
    room.on(name, (e) => log.push({ name, ...e }));
  Object.assign(window, { client, room, log });
  await client.connect();
}

/** A device of a user: a page of a browser context, which keeps the storage of the SDK over a restart. */
class Device {
  constructor(userID, deviceID) {
    Object.assign(this, { userID, deviceID });
  }

  static async login(userID, deviceID = `${userID}-phone`) {
    const d = new Device(userID, deviceID);
    d.context = await browser.newContext({ permissions: ['camera', 'microphone'], bypassCSP: true });
    d.context.setDefaultTimeout(TIME_LIMIT);
    return d.start();
  }

  /** Opens the page, also again after stop. */
  async start() {
    const { token } = await cluster.call('createToken', { userID: this.userID });
    this.page = await this.context.newPage();
    this.page.on('pageerror', (err) => {
      cluster.faults ??= [];
      cluster.faults.push(`${this.deviceID}: ${err.stack ?? err}`);
    });
    await this.page.goto(`${cluster.url}/openapi.json`); // any address of the server without a page
    await this.page.addScriptTag({ content: sdk });
    await this.page.evaluate(login, [token, this.deviceID]);
    return this;
  }

  /** Closes the page, with its unload handlers. */
  async stop() {
    await this.page.close({ runBeforeUnload: true });
  }

  async logout() {
    await this.context.close();
  }

  call(method, request = {}) {
    return this.page.evaluate(
      async ([m, r]) =>
        window.client[m](r).catch((err) => {
          throw new Error(`${m}: ${err.code} ${err.message}`);
        }),
      [method, request],
    );
  }

  room(method, ...args) {
    return this.page.evaluate(
      async ([m, a]) => {
        await window.room[m](...a);
      },
      [method, args],
    );
  }

  received(name, wanted = {}) {
    return this.page.evaluate(
      ([n, w]) =>
        window.log.filter(
          (e) => e.name === n && Object.entries(w).every(([k, v]) => JSON.stringify(e[k]) === JSON.stringify(v)),
        ),
      [name, wanted],
    );
  }

  /** Returns a callback, received already or awaited. */
  async receives(name, wanted = {}) {
    await this.page
      .waitForFunction(
        ([n, w]) =>
          window.log.some(
            (e) => e.name === n && Object.entries(w).every(([k, v]) => JSON.stringify(e[k]) === JSON.stringify(v)),
          ),
        [name, wanted],
      )
      .catch(async (cause) => {
        throw new Error(
          `${this.deviceID} did not receive ${name} ${JSON.stringify(wanted)}, ` +
            `but ${JSON.stringify(await this.page.evaluate(() => window.log))}`,
          { cause },
        );
      });
    return (await this.received(name, wanted))[0];
  }

  /** Returns the signaling messages of a conversation, oldest first, read with getSignalingInfo from the history. */
  history(conversationID) {
    return this.page.evaluate(async (id) => {
      const { messages } = await window.client.getHistoryMessageList({ conversationID: id, limit: 100 });
      return messages
        .map((m) => window.beckon.getSignalingInfo(m))
        .filter(Boolean)
        .reverse();
    }, conversationID);
  }
}

const roomData = (roomID, more = {}) => JSON.stringify({ version: 1, call_type: 2, room_id: roomID, ...more });

/** Checks a sentence of the document. */
const step = (t, sentence, check) => t.test(sentence, check);

/** Waits for a second, before a check that an event does not arrive. */
const quiet = () => new Promise((resolve) => setTimeout(resolve, 1000));

test('one-to-one call', { timeout: 120_000 }, async (t) => {
  const [a, b, tablet, c] = await Promise.all([
    Device.login('oa'),
    Device.login('ob'),
    Device.login('ob', 'ob-tablet'),
    Device.login('oc'),
  ]);
  const data = roomData('one-to-one');
  let inviteID;
  await step(t, 'step 1: the caller enters the room first', async () => {
    await a.room('enterRoom', { roomID: 'one-to-one' });
    await a.room('openCamera');
    await a.receives('onEnterRoom', { roomID: 'one-to-one' });
  });
  await step(t, 'step 1: invite carries the room ID in its data and returns the inviteID', async () => {
    ({ inviteID } = await a.call('invite', { invitee: 'ob', data, onlineUserOnly: false, timeout: 30 }));
    assert.ok(inviteID);
  });
  await step(t, 'step 1: the callee receives onReceiveNewInvitation on every device', async () => {
    for (const d of [b, tablet]) {
      const e = await d.receives('onReceiveNewInvitation', { inviteID });
      assert.deepEqual([e.inviter, e.groupID, e.inviteeList, e.data, e.notice], ['oa', '', ['ob'], data, false]);
    }
  });
  await step(t, 'step 2: the callee accepts, and the caller receives onInviteeAccepted with the data', async () => {
    await b.call('accept', { inviteID, data: 'accepted' });
    const e = await a.receives('onInviteeAccepted', { inviteID });
    assert.deepEqual([e.invitee, e.data, e.invitationData, e.over], ['ob', 'accepted', data, true]);
  });
  await step(t, 'step 2: the other device of the callee stops ringing', async () => {
    assert.equal((await tablet.receives('onInvitationHandledByOtherDevice', { inviteID })).action, 'accept');
  });
  await step(t, 'step 2: the callee enters the room of the data; both see and hear each other', async () => {
    const { data: read } = (await b.received('onReceiveNewInvitation', { inviteID }))[0];
    await b.room('enterRoom', { roomID: JSON.parse(read).room_id });
    await Promise.all([b.room('openCamera'), b.room('startLocalAudio'), a.room('startLocalAudio')]);
    for (const [d, other] of [
      [a, 'ob'],
      [b, 'oa'],
    ]) {
      await d.receives('onRemoteUserEnterRoom', { userID: other });
      await d.receives('onUserVideoAvailable', { userID: other, available: true });
      await d.receives('onUserAudioAvailable', { userID: other, available: true });
    }
  });
  await step(
    t,
    'step 3: a user in a call rejects with line_busy in the data; the caller receives onInviteeRejected',
    async () => {
      const second = (await c.call('invite', { invitee: 'ob', data: roomData('another'), timeout: 30 })).inviteID;
      await b.receives('onReceiveNewInvitation', { inviteID: second });
      await b.call('reject', { inviteID: second, data: roomData('another', { line_busy: 'line_busy' }) });
      const e = await c.receives('onInviteeRejected', { inviteID: second });
      assert.equal(JSON.parse(e.data).line_busy, 'line_busy');
    },
  );
  await step(t, 'step 4: one leaves, and the other receives the event', async () => {
    await quiet(); // a call of a second has a record, a shorter one may have none
    await b.room('exitRoom');
    await a.page.waitForFunction(() =>
      window.log.some((e) => e.name === 'onRemoteUserLeaveRoom' || e.name === 'onExitRoom'),
    );
    await a.room('exitRoom');
  });
  await step(t, 'step 5: the server writes the duration of the call', async () => {
    const { call } = await a.receives('onCallRecord');
    assert.ok(call.duration > 0 && call.count === 2, JSON.stringify(call));
  });
  await step(t, 'step 5: the end event is a notice: it takes no answer and does not end', async () => {
    const end = await a.call('invite', { invitee: 'ob', data: roomData('one-to-one', { call_end: 5 }), notice: true });
    const e = await b.receives('onReceiveNewInvitation', { inviteID: end.inviteID });
    assert.deepEqual([e.notice, e.over, JSON.parse(e.data).call_end], [true, true, 5]);
    await b.stop();
    await b.start();
    await quiet();
    assert.deepEqual(await b.received('onReceiveNewInvitation'), []);
  });
  await step(t, 'the history of both has every step, as getSignalingInfo reads it', async () => {
    for (const [d, conversation] of [
      [a, 'c2c_ob'],
      [b, 'c2c_oa'],
    ])
      assert.deepEqual(
        (await d.history(conversation)).map((m) => m.actionType),
        [1, 3, 1],
      );
  });
  await Promise.all([a, b, tablet, c].map((d) => d.logout()));
});

test('a call that is declined, cancelled, or not answered', { timeout: 60_000 }, async (t) => {
  const [a, b] = await Promise.all([Device.login('da'), Device.login('db')]);
  const invite = async (timeout = 30) =>
    (await a.call('invite', { invitee: 'db', data: roomData('declined'), timeout })).inviteID;
  await step(t, 'reject: the caller receives onInviteeRejected', async () => {
    const inviteID = await invite();
    await b.receives('onReceiveNewInvitation', { inviteID });
    await b.call('reject', { inviteID, data: 'no' });
    assert.deepEqual([(await a.receives('onInviteeRejected', { inviteID })).data], ['no']);
  });
  await step(t, 'cancel: the callee receives onInvitationCancelled', async () => {
    const inviteID = await invite();
    await b.receives('onReceiveNewInvitation', { inviteID });
    await a.call('cancel', { inviteID, data: 'never mind' });
    const e = await b.receives('onInvitationCancelled', { inviteID });
    assert.deepEqual([e.inviter, e.data, e.inviteeList, e.over], ['da', 'never mind', ['db'], true]);
  });
  await step(t, 'no answer: both receive onInvitationTimeout with those who did not answer', async () => {
    const inviteID = await invite(1);
    for (const d of [a, b])
      assert.deepEqual((await d.receives('onInvitationTimeout', { inviteID })).inviteeList, ['db']);
  });
  await step(t, 'an accept after the decision is refused with 8010', async () => {
    const { inviteID } = (await b.received('onInvitationTimeout'))[0];
    await assert.rejects(b.call('accept', { inviteID }), /8010/);
  });
  await step(t, 'timeout 0: no device receives onInvitationTimeout', async () => {
    const inviteID = await invite(0);
    await b.receives('onReceiveNewInvitation', { inviteID });
    await quiet();
    for (const d of [a, b]) assert.deepEqual(await d.received('onInvitationTimeout', { inviteID }), []);
    await a.call('cancel', { inviteID });
  });
  await Promise.all([a.logout(), b.logout()]);
});

test('group call', { timeout: 60_000 }, async (t) => {
  const [a, b, c, d] = await Promise.all(['ga', 'gb', 'gc', 'gd'].map((u) => Device.login(u)));
  const {
    group: { groupID },
  } = await a.call('createGroup', { type: 'Work', name: 'Team', memberList: ['gb', 'gc', 'gd'] });
  const data = roomData('group-call');
  let inviteID;
  await step(t, 'step 1: the caller enters the room and invites members with inviteInGroup', async () => {
    await a.room('enterRoom', { roomID: 'group-call' });
    ({ inviteID } = await a.call('inviteInGroup', { groupID, inviteeList: ['gb', 'gc'], data, timeout: 30 }));
  });
  await step(
    t,
    'step 1: every member receives onReceiveNewInvitation and looks for itself in inviteeList',
    async () => {
      for (const x of [b, c, d]) {
        const e = await x.receives('onReceiveNewInvitation', { inviteID });
        assert.deepEqual([e.inviter, e.groupID, e.inviteeList, e.data], ['ga', groupID, ['gb', 'gc'], data]);
      }
    },
  );
  await step(t, 'step 2: an invitee that accepts enters the room; all members receive onInviteeAccepted', async () => {
    await b.call('accept', { inviteID, data: 'coming' });
    await b.room('enterRoom', { roomID: 'group-call' });
    for (const x of [a, c, d]) assert.deepEqual((await x.receives('onInviteeAccepted', { inviteID })).invitee, 'gb');
    await a.receives('onRemoteUserEnterRoom', { userID: 'gb' });
  });
  await step(
    t,
    'step 3: a busy invitee rejects; all members receive onInviteeRejected, and the invitation is over',
    async () => {
      await c.call('reject', { inviteID, reason: 'busy', data: roomData('group-call', { line_busy: 'line_busy' }) });
      for (const x of [a, b, d]) {
        const e = await x.receives('onInviteeRejected', { inviteID });
        assert.deepEqual([e.invitee, e.reason, e.over], ['gc', 'busy', true]);
      }
    },
  );
  await step(t, 'a member that was not invited may not enter the room', async () => {
    await assert.rejects(d.room('enterRoom', { roomID: 'group-call' }));
  });
  await step(t, 'step 4: a user that left may return while the call lasts', async () => {
    await b.room('exitRoom');
    await b.room('enterRoom', { roomID: 'group-call' });
  });
  await step(t, 'step 5: the last one leaves, and the end is a notice to the group', async () => {
    await Promise.all([a.room('exitRoom'), b.room('exitRoom')]);
    const end = await a.call('inviteInGroup', {
      groupID,
      everyone: true,
      data: roomData('group-call', { call_end: 3 }),
      notice: true,
    });
    for (const x of [b, c, d])
      assert.equal((await x.receives('onReceiveNewInvitation', { inviteID: end.inviteID })).notice, true);
  });
  await Promise.all([a, b, c, d].map((x) => x.logout()));
});

test('raising hands in a classroom', { timeout: 60_000 }, async (t) => {
  const [teacher, s1, s2, s3] = await Promise.all(['ct', 'cs1', 'cs2', 'cs3'].map((u) => Device.login(u)));
  const {
    group: { groupID },
  } = await teacher.call('createGroup', { type: 'Public', name: 'Class', memberList: ['cs1', 'cs2', 'cs3'] });
  const raise = JSON.stringify({ operation: 'raise hand' });
  const speak = JSON.stringify({ operation: 'speak' });
  const roomID = `group_${groupID}`;
  let hands, turn;
  await step(t, 'all are in the room of the class; the teacher speaks', async () => {
    for (const d of [teacher, s1, s2, s3]) await d.room('enterRoom', { roomID });
    await teacher.room('startLocalAudio');
    await s1.receives('onUserAudioAvailable', { userID: 'ct', available: true });
  });
  await step(t, 'step 1: the teacher asks all students to raise their hands with inviteInGroup', async () => {
    ({ inviteID: hands } = await teacher.call('inviteInGroup', {
      groupID,
      inviteeList: ['cs1', 'cs2', 'cs3'],
      data: raise,
      timeout: 60,
    }));
  });
  await step(t, 'step 2: the students receive onReceiveNewInvitation', async () => {
    for (const d of [s1, s2, s3])
      assert.deepEqual((await d.receives('onReceiveNewInvitation', { inviteID: hands })).inviteeList, [
        'cs1',
        'cs2',
        'cs3',
      ]);
  });
  await step(t, 'step 2: a student who raises a hand accepts', async () => {
    await s1.call('accept', { inviteID: hands, data: 'me' });
    await s2.call('reject', { inviteID: hands });
  });
  await step(
    t,
    'step 3: all students and the teacher receive onInviteeAccepted and see from its data that a hand was raised',
    async () => {
      for (const d of [teacher, s2, s3]) {
        const e = await d.receives('onInviteeAccepted', { inviteID: hands });
        assert.deepEqual(
          [e.invitee, e.invitationData, e.groupID, e.inviter, e.over],
          ['cs1', raise, groupID, 'ct', false],
        );
      }
    },
  );
  await step(t, 'step 4: the teacher asks one of them to speak', async () => {
    ({ inviteID: turn } = await teacher.call('inviteInGroup', {
      groupID,
      inviteeList: ['cs1'],
      data: speak,
      roomID,
      timeout: 30,
    }));
    assert.deepEqual((await s1.receives('onReceiveNewInvitation', { inviteID: turn })).inviteeList, ['cs1']);
  });
  await step(t, 'step 5: the student accepts and opens the microphone', async () => {
    await s1.call('accept', { inviteID: turn });
    await s1.room('switchRole', 'anchor');
    await s1.room('startLocalAudio');
  });
  await step(
    t,
    'step 6: all receive onInviteeAccepted with the data of the request to speak, and the audio of the student',
    async () => {
      for (const d of [teacher, s2, s3]) {
        assert.equal((await d.receives('onInviteeAccepted', { inviteID: turn })).invitationData, speak);
        await d.receives('onUserAudioAvailable', { userID: 'cs1', available: true });
      }
    },
  );
  await step(t, 'a student who logs in late finds the same list', async () => {
    await s3.stop();
    await s3.start();
    const open = await s3.receives('onReceiveNewInvitation', { inviteID: hands });
    assert.deepEqual([open.inviteeList, open.inviteeCount, open.data], [['cs1', 'cs2', 'cs3'], 3, raise]);
  });
  await step(
    t,
    'the teacher lowers the hands: all receive onInvitationCancelled, without the students that have answered',
    async () => {
      await teacher.call('cancel', { inviteID: hands });
      for (const [d, list] of [
        [s1, ['cs3']],
        [s2, ['cs3']],
        [s3, ['cs3']],
      ]) {
        const e = await d.receives('onInvitationCancelled', { inviteID: hands });
        assert.deepEqual([e.inviteeList, e.over, e.invitationData], [list, true, raise]);
      }
    },
  );
  await step(t, 'after the last answer there can be another question', async () => {
    const { inviteID } = await teacher.call('inviteInGroup', {
      groupID,
      inviteeList: ['cs1'],
      data: raise,
      timeout: 60,
    });
    await s1.call('accept', { inviteID });
    assert.equal((await teacher.receives('onInviteeAccepted', { inviteID })).over, true);
    await teacher.call('inviteInGroup', { groupID, inviteeList: ['cs1', 'cs2'], data: raise, timeout: 60 });
  });
  await Promise.all([teacher, s1, s2, s3].map((d) => d.logout()));
});

test('seats of a chat room', { timeout: 60_000 }, async (t) => {
  const [owner, l1, l2] = await Promise.all(['so', 'sl1', 'sl2'].map((u) => Device.login(u)));
  const {
    group: { groupID },
  } = await owner.call('createGroup', { type: 'AVChatRoom', name: 'Lounge' });
  const roomID = `group_${groupID}`;
  const salon = (type) => JSON.stringify({ version: 1, room_id: roomID, salon_type: type });
  let inviteID;
  await step(t, 'listeners join the group and enter the room', async () => {
    for (const d of [l1, l2]) await d.call('joinGroup', { groupID });
    for (const d of [owner, l1, l2]) await d.room('enterRoom', { roomID });
    await owner.room('startLocalAudio');
  });
  await step(t, 'a listener asks the owner for the microphone with invite', async () => {
    ({ inviteID } = await l1.call('invite', { invitee: 'so', data: salon('raiseHand'), roomID, timeout: 30 }));
    assert.equal((await owner.receives('onReceiveNewInvitation', { inviteID })).inviter, 'sl1');
  });
  await step(
    t,
    'the owner agrees with accept; the listener receives onInviteeAccepted, becomes an anchor and opens the microphone',
    async () => {
      await owner.call('accept', { inviteID, data: salon('agreeToSpeak') });
      assert.equal(JSON.parse((await l1.receives('onInviteeAccepted', { inviteID })).data).salon_type, 'agreeToSpeak');
      await l1.room('switchRole', 'anchor');
      await l1.room('startLocalAudio');
      for (const d of [owner, l2]) await d.receives('onUserAudioAvailable', { userID: 'sl1', available: true });
    },
  );
  await step(t, 'all receive the mute state', async () => {
    await l1.room('muteLocalAudio', true);
    for (const d of [owner, l2]) await d.receives('onUserAudioAvailable', { userID: 'sl1', available: false });
  });
  await step(t, 'another listener is refused', async () => {
    const ask = await l2.call('invite', { invitee: 'so', data: salon('raiseHand'), roomID, timeout: 30 });
    await owner.call('reject', { inviteID: ask.inviteID, data: salon('refuseToSpeak') });
    assert.equal(
      JSON.parse((await l2.receives('onInviteeRejected', { inviteID: ask.inviteID })).data).salon_type,
      'refuseToSpeak',
    );
  });
  await step(t, 'kickMic: the owner revokes the microphone and sends a notice', async () => {
    await owner.call('setRoomRole', { roomID, userID: 'sl1', role: 'audience' });
    await owner.call('invite', { invitee: 'sl1', data: salon('kickMic'), notice: true });
    assert.equal((await l1.receives('onReceiveNewInvitation')).notice, true);
    assert.equal((await l1.receives('onRoomRoleChanged', { userID: 'sl1', role: 'audience' })).roomID, roomID);
  });
  await Promise.all([owner, l1, l2].map((d) => d.logout()));
});

test('offline users, and users that left', { timeout: 90_000 }, async (t) => {
  const [a, b] = await Promise.all([Device.login('xa'), Device.login('xb')]);
  const invite = async (timeout, more = {}) =>
    (await a.call('invite', { invitee: 'xb', data: 'call', timeout, ...more })).inviteID;
  await step(t, 'a login before the deadline receives the invitation and may accept it', async () => {
    await b.stop();
    const inviteID = await invite(30);
    await b.start();
    const e = await b.receives('onReceiveNewInvitation', { inviteID });
    assert.deepEqual([e.inviter, e.inviteeList, e.data], ['xa', ['xb'], 'call']);
    await b.call('accept', { inviteID });
    await a.receives('onInviteeAccepted', { inviteID });
  });
  await step(t, 'a login after the deadline does not ring, and finds the missed call in the history', async () => {
    await b.stop();
    const inviteID = await invite(1);
    await a.receives('onInvitationTimeout', { inviteID });
    await b.start();
    await quiet();
    assert.deepEqual(await b.received('onReceiveNewInvitation', { inviteID }), []);
    assert.deepEqual(
      (await b.history('c2c_xa')).filter((m) => m.inviteID === inviteID).map((m) => m.actionType),
      [1, 5],
    );
  });
  await step(t, 'an online-only invitation does not reach later logins', async () => {
    await b.stop();
    const inviteID = await invite(20, { onlineUserOnly: true });
    await b.start();
    await quiet();
    assert.deepEqual(await b.received('onReceiveNewInvitation', { inviteID }), []);
    await a.call('cancel', { inviteID });
  });
  await step(t, 'an inviter that is offline at the accept receives it at the next start', async () => {
    const inviteID = await invite(30);
    await b.receives('onReceiveNewInvitation', { inviteID });
    await a.stop();
    await b.call('accept', { inviteID, data: 'yes' });
    await a.start();
    const e = await a.receives('onInviteeAccepted', { inviteID });
    assert.deepEqual([e.invitee, e.data, e.invitationData, e.over], ['xb', 'yes', 'call', true]);
    await quiet();
    assert.equal((await a.received('onInviteeAccepted', { inviteID })).length, 1);
  });
  await step(t, 'the invitee receives the timeout also when the inviter is offline at the deadline', async () => {
    const inviteID = await invite(2);
    await a.stop();
    await b.receives('onInvitationTimeout', { inviteID });
    await a.start();
    await a.receives('onInvitationTimeout', { inviteID });
  });
  await Promise.all([a.logout(), b.logout()]);
});
