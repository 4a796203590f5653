// iOS: PushKit starts the app, native code shows the call, and buttons are pressed before JavaScript runs.
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { uuidOf, type InitialEvent, type NativeOptions, type VoipPushEvents } from '../src/native/index.js';
import type { Client, Schemas } from '../src/index.js';
import { Fake } from './fake.js';
import type { Data } from './fcm.js';
import { FakeScreen, FakeStorage, type Phone } from './phone.js';
import { Native } from '../src/native/index.js';
import { nativeTests } from './phone-scene.js';

const { scene, server } = nativeTests();

/** A stand-in of react-native-voip-push-notification. */
class PushKit {
  #handlers: { [K in keyof VoipPushEvents]?: (event: VoipPushEvents[K]) => void } = {};
  addEventListener<K extends keyof VoipPushEvents>(type: K, handler: (event: VoipPushEvents[K]) => void): void {
    this.#handlers = { ...this.#handlers, [type]: handler };
  }
  registerVoipToken(): void {}
  raise<K extends keyof VoipPushEvents>(type: K, event: VoipPushEvents[K]): void {
    this.#handlers[type]!(event);
  }
}

/** Returns the dictionary of a PushKit push with the content of an FCM push. */
function dictionary(data: Data): object {
  const { title, body } = data;
  return { beckon: { ...(JSON.parse(data['beckon']!) as object), title, body } };
}

/** Starts the app by a push of PushKit, whose call native code has shown. */
function startedBy(
  push: object,
  phone: Phone,
  inviteID: string,
  buttons: InitialEvent[],
  options: Partial<NativeOptions> = {},
): void {
  const voipPush = new PushKit();
  const uuid = uuidOf(inviteID);
  phone.screen.calls.set(uuid, { uuid, handle: 'alice', name: 'Alice', video: false });
  phone.run(server.cluster.url, { platform: 'ios', voipPush, ...options });
  phone.screen.raise('didLoadWithEvents', buttons);
  voipPush.raise('didLoadWithEvents', [{ name: 'RNVoipPushRemoteNotificationReceivedEvent', data: push }]);
}

for (const [button, event] of [
  ['Answer', 'onInviteeAccepted'],
  ['End', 'onInviteeRejected'],
] as const)
  test(`${button} before JavaScript runs`, async () => {
    const { alice, phone, bob, inviteID } = await scene();
    phone.hold.add('invitation');
    await alice.invite({ inviteID, invitee: bob, timeout: 60 });
    const push = dictionary(await phone.heldPush('invitation'));
    const answer = alice.once(event);
    const data = { callUUID: uuidOf(inviteID) };
    startedBy(push, phone, inviteID, [{ name: `RNCallKeepPerform${button}CallAction`, data }]);
    assert.equal((await answer).invitee, bob);
    if (button === 'Answer') await phone.event('onAnswered');
    assert.equal(phone.screen.log.filter((l) => l.startsWith('show')).length, 0); // native code did
  });

test('a call that native code has shown is taken away by the connection, as iOS gets no push of the end', async () => {
  const { alice, phone, bob, inviteID, phoneClient } = await scene();
  phone.hold.add('invitation').add('ended');
  const ringing = alice.once('onInviteeRinging');
  await alice.invite({ inviteID, invitee: bob, timeout: 60 });
  startedBy(dictionary(await phone.heldPush('invitation')), phone, inviteID, []);
  await ringing;
  await alice.cancel({ inviteID });
  const client = phoneClient();
  phone.native.attach(client);
  await client.connect();
  await phone.screen.logged('end 2');
});

let fake: Fake | undefined;
let client: Client | undefined;
afterEach(async () => {
  client?.close();
  await fake?.stop();
});

type Token = Schemas['SetPushTokenRequest'];

/** Starts an app on iOS with a server that has some providers. tokens resolves when n were registered. */
async function signedIn(providers: string[]): Promise<{ pushKit: PushKit; tokens: (n: number) => Promise<Token[]> }> {
  fake = await Fake.start();
  const registered = (): Token[] =>
    fake!.calls.filter((c) => c.method === 'setPushToken').map((c) => c.data as unknown as Token);
  fake.answer = (c) => c.reply(c.method === 'getPushConfig' ? { providers } : { serverTime: 1 });
  client = fake.client();
  const pushKit = new PushKit();
  const messaging: NativeOptions['messaging'] = {
    getMessaging: () => 'app',
    getToken: async () => 'fcm-token',
    getAPNSToken: async () => 'apns-token',
    onTokenRefresh: () => () => undefined,
    onMessage: () => () => undefined,
    onNotificationOpenedApp: () => () => undefined,
    getInitialNotification: async () => null,
    setBackgroundMessageHandler: () => undefined,
  };
  const phone = { platform: 'ios', callKeep: new FakeScreen(), storage: new FakeStorage(), sandbox: true };
  new Native({ server: fake.url, ...phone, voipPush: pushKit, messaging }).attach(client);
  pushKit.raise('register', 'voip-token');
  await client.connect();
  const tokens = async (n: number): Promise<Token[]> => {
    for (let calls = fake!.calls.length; registered().length < n; calls++) await fake!.nthCall(calls + 1);
    return registered();
  };
  return { pushKit, tokens };
}

test('iOS registers the tokens of PushKit and APNs, and a changed one again', async () => {
  const { pushKit, tokens } = await signedIn(['apns', 'apnsVoIP', 'fcm', 'webPush']);
  assert.deepEqual(await tokens(2), [
    { provider: 'apnsVoIP', token: 'voip-token', sandbox: true },
    { provider: 'apns', token: 'apns-token', sandbox: true },
  ]);
  pushKit.raise('register', 'new-token');
  assert.deepEqual((await tokens(3))[2], { provider: 'apnsVoIP', token: 'new-token', sandbox: true });
});

test('iOS registers with FCM where the server has no APNs', async () => {
  const { tokens } = await signedIn(['fcm', 'webPush']);
  assert.deepEqual(await tokens(1), [{ provider: 'fcm', token: 'fcm-token' }]);
});

test('a registration that failed is repeated with the next connect', async () => {
  const { tokens } = await signedIn(['apnsVoIP']);
  await tokens(1);
  let refuse = true;
  fake!.answer = (c) => {
    if (c.method === 'getPushConfig') return c.reply({ providers: ['fcm'] });
    c.reply(refuse ? { code: 6017, message: 'refused' } : { serverTime: 1 });
    refuse = false;
  };
  fake!.cut();
  await tokens(2);
  fake!.cut();
  assert.equal((await tokens(3))[2]!.token, 'fcm-token');
});

test('a call that native code has shown for an unreadable push, or that the app cannot describe, is ended', async () => {
  const { alice, phone, bob, inviteID } = await scene();
  startedBy({ beckon: 'no object' }, phone, '', []);
  await phone.screen.logged('end 1');
  phone.hold.add('invitation');
  await alice.invite({ inviteID, invitee: bob, timeout: 60 });
  const push = dictionary(await phone.heldPush('invitation'));
  const describe = (): never => {
    throw new Error('of the app');
  };
  startedBy(push, phone, inviteID, [], { describe });
  await phone.event('onError');
  assert.deepEqual(phone.screen.log, ['end 1', 'end 1']);
});
