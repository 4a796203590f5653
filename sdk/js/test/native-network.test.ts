// Answers of a killed app over a network that fails, against the real server.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, test } from 'node:test';
import { nativeTests, type Scene } from './phone-scene.js';

const { scene, server } = nativeTests();

/** A network in front of the server: down, or it loses responses. */
class Network {
  mode: 'pass' | 'down' | 'loseResponse' = 'pass';
  /** The requests that arrived, as method and requestID. */
  readonly requests: { path: string; requestID: string }[] = [];
  #server: Server;

  constructor() {
    this.#server = createServer(async (req, res) => {
      const { mode } = this;
      const body = await text(req);
      const { requestID = '' } = JSON.parse(body) as { requestID?: string };
      this.requests.push({ path: req.url!, requestID });
      this.#server.emit('arrived');
      if (mode === 'down') return void req.socket.destroy();
      const { authorization = '' } = req.headers;
      const url = server.cluster.url + req.url!;
      const answer = await fetch(url, { method: 'POST', headers: { Authorization: authorization }, body });
      if (mode === 'loseResponse') {
        this.mode = 'pass';
        return void req.socket.destroy();
      }
      res.writeHead(answer.status);
      res.end(await answer.text());
    });
  }

  async start(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Waits for the n-th request to a path. */
  async arrived(path: string, n: number): Promise<void> {
    while (this.requests.filter((r) => r.path === path).length < n) await once(this.#server, 'arrived');
  }

  stop(): void {
    this.#server.close();
  }
}

let network: Network;
beforeEach(async () => {
  network = new Network();
  await network.start();
});
afterEach(() => network.stop());

/** Returns the IDs of the accepts that arrived. */
const accepts = (): string[] => network.requests.filter((r) => r.path === '/v1/accept').map((r) => r.requestID);

/** Returns a scene whose phone, behind the network, rings for alice. */
async function ringing(timeout = 60): Promise<Scene> {
  const s = await scene();
  s.phone.run(network.url);
  const rings = s.alice.once('onInviteeRinging');
  await s.alice.invite({ inviteID: s.inviteID, invitee: s.bob, timeout });
  await rings;
  return s;
}

test('without a network the answer is repeated until it is back, with one requestID', async () => {
  const { phone } = await ringing();
  network.mode = 'down';
  phone.screen.press('answerCall');
  await network.arrived('/v1/accept', 3);
  network.mode = 'pass';
  await phone.event('onAnswered');
  assert.ok(accepts().length > 3);
  assert.equal(new Set(accepts()).size, 1);
});

test('an answer whose response is lost has taken effect once', async () => {
  const { alice, phone } = await ringing();
  network.mode = 'loseResponse';
  let answers = 0;
  alice.on('onInviteeAccepted', () => answers++);
  phone.screen.press('answerCall');
  await phone.event('onAnswered');
  await alice.getConversationList({}); // responses follow events
  assert.equal(answers, 1);
  assert.equal(accepts().length, 2);
});

test('an answer that does not reach the server until the deadline has failed, and the app is told', async () => {
  const { phone } = await ringing(6); // a device that was just closed gets its push 2 s later
  network.mode = 'down';
  phone.hold.add('ended');
  phone.screen.press('answerCall');
  const { reason, error } = await phone.event('onCallEnded');
  assert.equal(reason, 'failed');
  assert.ok(error);
  assert.equal(phone.screen.log.at(-1), 'end 1');
  assert.equal(new Set(accepts()).size, 1);
});

test('hung up while the answer is sent: the app leaves the room of the answered call', async () => {
  const { phone, inviteID } = await ringing();
  network.mode = 'down';
  phone.screen.press('answerCall');
  await network.arrived('/v1/accept', 1);
  phone.screen.press('endCall');
  network.mode = 'pass';
  assert.equal((await phone.event('onHangUp')).call.inviteID, inviteID);
  assert.deepEqual(phone.names, ['onIncomingCall', 'onHangUp']);
});
