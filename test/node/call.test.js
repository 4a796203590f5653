// A complete call in plain JavaScript, with the stock Centrifugo client (JSON over WebSocket) and no code of Beckon.
// It shows that PROTOCOL.md is sufficient: ringing, answering, one winner among the devices of a user, busy, cancel,
// timeout, missed events delivered exactly once after a lost connection, and calls over HTTP. It starts its own server
// on a free port of 127.0.0.1 with a temporary data directory. Run it with: node --test

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Centrifuge } from 'centrifuge';
import WebSocket from 'ws';

const TIME_LIMIT = 10_000; // milliseconds for any single wait
const INVITE = 1,
  CANCEL = 2,
  ACCEPT = 3,
  REJECT = 4,
  TIMEOUT = 5,
  RINGING = 8; // actionType, PROTOCOL.md section 3

const root = fileURLToPath(new URL('../..', import.meta.url));
const beckon = join(root, 'bin', 'beckon');
// Every flag of beckon is also an environment variable: drop those of the developer.
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('BECKON_')));

let dataDir, server, address, tokens, apiKey;
let alice, bob, bobsTablet;

// A device of a user. It keeps all received signaling events.
class Device {
  events = [];
  welcome = null; // the data of the last connect reply

  constructor(user, deviceID) {
    this.name = `${user} on ${deviceID}`;
    this.link = new Centrifuge(`ws://${address}/connection/websocket`, {
      token: tokens[user],
      data: { deviceID, platform: 'node' },
      websocket: WebSocket,
    });
    this.link.on('connected', ({ data }) => {
      this.welcome = data;
    });
    this.link.on('publication', ({ data }) => {
      if (data.type === 'signaling') this.events.push(data);
    });
  }

  async connect() {
    this.link.connect();
    await this.link.ready(TIME_LIMIT);
    return this;
  }

  // Calls a method that must succeed, and returns the response.
  async call(method, fields) {
    const { data } = await this.link.rpc(method, fields);
    assert.ok(!('code' in data), `${method} by ${this.name} was refused: ${JSON.stringify(data)}`);
    return data;
  }

  // Calls a method that must be refused, and returns the error. Other responses never have a field code.
  async refused(method, fields) {
    const { data } = await this.link.rpc(method, fields);
    assert.ok('code' in data, `${method} by ${this.name} was not refused: ${JSON.stringify(data)}`);
    return data;
  }

  received(actionType, inviteID) {
    return this.events.filter((event) => event.actionType === actionType && event.inviteID === inviteID);
  }

  // Returns an event, received already or awaited.
  async receives(actionType, inviteID) {
    const signal = AbortSignal.timeout(TIME_LIMIT);
    while (this.received(actionType, inviteID).length === 0) {
      await once(this.link, 'publication', { signal }).catch((cause) => {
        const events = JSON.stringify(this.events);
        throw new Error(`${this.name} did not receive actionType ${actionType} of ${inviteID}, but ${events}`, {
          cause,
        });
      });
    }
    return this.received(actionType, inviteID)[0];
  }
}

async function freePort() {
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address();
  listener.close();
  await once(listener, 'close');
  return port;
}

async function startServer() {
  if (!existsSync(beckon)) execFileSync('make', ['build'], { cwd: root, stdio: 'inherit' });
  dataDir = mkdtempSync(join(tmpdir(), 'beckon-node-'));
  address = `127.0.0.1:${await freePort()}`;
  server = spawn(beckon, ['serve', '--listen', address, '--data', dataDir], {
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  server.stderr.on('data', (chunk) => {
    log += chunk;
  });
  const tooLate = Date.now() + TIME_LIMIT;
  for (;;) {
    const reply = await fetch(`http://${address}/readyz`, { signal: AbortSignal.timeout(1000) }).catch(() => null);
    await reply?.text();
    if (reply?.ok) return;
    assert.equal(server.exitCode, null, `the server ended: ${log}`);
    assert.ok(Date.now() < tooLate, `the server is not ready: ${log}`);
    await pause(20);
  }
}

async function stopServer() {
  if (server?.exitCode !== null || server.signalCode !== null) return;
  server.kill();
  await once(server, 'exit', { signal: AbortSignal.timeout(TIME_LIMIT) }).catch(() => server.kill('SIGKILL'));
}

// Invites Bob from Alice, and waits until both his devices have received it.
async function invite(fields) {
  const answer = await alice.call('invite', { invitee: 'bob', timeout: 30, requestID: randomUUID(), ...fields });
  await Promise.all([bob, bobsTablet].map((device) => device.receives(INVITE, answer.inviteID)));
  return answer;
}

// Calls a method over HTTP as an app server.
async function post(method, headers, fields) {
  const reply = await fetch(`http://${address}/v1/${method}`, {
    method: 'POST',
    headers,
    body: JSON.stringify(fields),
    signal: AbortSignal.timeout(TIME_LIMIT),
  });
  return { status: reply.status, data: await reply.json() };
}

process.on('exit', () => server?.kill('SIGKILL')); // also after a failure

before(async () => {
  await startServer();
  const token = (user) => execFileSync(beckon, ['token', user, '--data', dataDir], { env, encoding: 'utf8' }).trim();
  tokens = { alice: token('alice'), bob: token('bob') };
  apiKey = JSON.parse(readFileSync(join(dataDir, 'keys.json'), 'utf8')).apiKey;
  alice = await new Device('alice', 'alice-phone').connect();
  bob = await new Device('bob', 'bob-phone').connect();
  bobsTablet = await new Device('bob', 'bob-tablet').connect();
});

after(async () => {
  for (const device of [alice, bob, bobsTablet]) device?.link.disconnect();
  await stopServer();
  if (dataDir) rmSync(dataDir, { recursive: true, force: true });
});

test('the connect reply has the identity of the device and the open invitations', () => {
  assert.equal(bob.welcome.userID, 'bob');
  assert.equal(bob.welcome.deviceID, 'bob-phone');
  assert.deepEqual(bob.welcome.invitations, []);
  assert.equal(typeof bob.welcome.serverTime, 'number');
});

test('ring, accept, and one winner among the devices of a user', async () => {
  const { inviteID, reach } = await invite({ data: 'dinner?' });
  assert.deepEqual(reach, [{ userID: 'bob', devices: 2, status: 'connected' }]);
  const invitation = await bob.receives(INVITE, inviteID);
  assert.equal(invitation.inviter, 'alice');
  assert.deepEqual(invitation.inviteeList, ['bob']);
  assert.equal(invitation.data, 'dinner?');
  assert.equal(invitation.remaining, 30_000);

  await bob.call('ring', { inviteID });
  const ringing = await alice.receives(RINGING, inviteID);
  assert.equal(ringing.from, 'bob');

  await bob.call('accept', { inviteID, data: 'at eight', requestID: randomUUID() });
  const accepted = await alice.receives(ACCEPT, inviteID);
  assert.equal(accepted.over, true);
  assert.equal(accepted.answers.length, 1);
  assert.equal(accepted.answers[0].invitee, 'bob');
  assert.equal(accepted.answers[0].data, 'at eight');

  const elsewhere = await bobsTablet.receives(ACCEPT, inviteID);
  assert.equal(elsewhere.answers[0].invitee, 'bob');
  const late = await bobsTablet.refused('accept', { inviteID, data: 'me too', requestID: randomUUID() });
  assert.equal(late.code, 8010);
  assert.equal(late.won.action, 'accept');
  assert.equal(late.won.userID, 'bob');
  assert.equal(late.won.device, 'bob-phone');
  assert.equal(late.invitation.counts.accepted, 1);
});

test('reject as busy, then cancel', async () => {
  const rejected = await invite();
  await bob.call('reject', { inviteID: rejected.inviteID, reason: 'busy', requestID: randomUUID() });
  const { answers } = await alice.receives(REJECT, rejected.inviteID);
  assert.equal(answers[0].invitee, 'bob');
  assert.equal(answers[0].reason, 'busy');
  await bobsTablet.receives(REJECT, rejected.inviteID);

  const cancelled = await invite();
  const answer = await alice.call('cancel', { inviteID: cancelled.inviteID, requestID: randomUUID() });
  assert.deepEqual(answer.inviteeList, ['bob']);
  for (const device of [bob, bobsTablet]) {
    assert.deepEqual((await device.receives(CANCEL, cancelled.inviteID)).inviteeList, ['bob']);
  }
  // Events are ordered, so all events of the rejection have arrived: the acting device got only its response.
  assert.equal(bob.received(REJECT, rejected.inviteID).length, 0);
});

test('a timeout is announced by the server to both', async () => {
  const { inviteID } = await invite({ timeout: 1 });
  for (const device of [alice, bob, bobsTablet]) {
    const timeout = await device.receives(TIMEOUT, inviteID);
    assert.deepEqual(timeout.inviteeList, ['bob']);
    assert.equal(timeout.from, undefined);
  }
  assert.equal((await bob.refused('accept', { inviteID })).won.action, 'timeout');
});

test('events missed during a lost connection are delivered once', async () => {
  bob.link.disconnect();
  const { inviteID } = await alice.call('invite', { invitee: 'bob', timeout: 30, requestID: randomUUID() });
  await bobsTablet.receives(INVITE, inviteID);
  assert.equal(bob.received(INVITE, inviteID).length, 0);

  await bob.connect();
  await bob.receives(INVITE, inviteID);
  assert.deepEqual(
    bob.welcome.invitations.map((invitation) => invitation.inviteID),
    [inviteID],
  );
  await alice.call('cancel', { inviteID, requestID: randomUUID() });
  await bob.receives(CANCEL, inviteID); // a second copy of the invitation would precede this
  assert.equal(bob.received(INVITE, inviteID).length, 1);
});

test('an app server invites for alice over HTTP', async () => {
  const headers = { authorization: `Bearer ${apiKey}`, 'beckon-user': 'alice' };
  const { status, data } = await post('invite', headers, { invitee: 'bob', timeout: 30, data: 'from the app' });
  assert.equal(status, 200);
  assert.equal((await bob.receives(INVITE, data.inviteID)).data, 'from the app');
  await alice.receives(INVITE, data.inviteID); // not invited from this device
  await bob.call('accept', { inviteID: data.inviteID, requestID: randomUUID() });
  await alice.receives(ACCEPT, data.inviteID);

  const stranger = await post('invite', { ...headers, authorization: 'Bearer nonsense' }, { invitee: 'bob' });
  assert.equal(stranger.status, 401);
  assert.equal(stranger.data.code, 70003);
});
