// The calls of a React Native app on the screen of the system. The state machine in screen.ts decides; this executes.
import type { Client } from '../client.js';
import { Emitter } from '../emitter.js';
import { ackPushTest, type Push } from '../push-answer.js';
import { Answers } from './answers.js';
import type { AppState, AsyncStorage, CallKeep, NetInfo, Notifications } from './boundary.js';
import { changeScreen, listenToCallKeep } from './callkeep.js';
import { callOfPush, describeAny, type Describe } from './incoming.js';
import { follow } from './live.js';
import { checkOnChange } from './network.js';
import { conversationOfPush, notificationOf, readPush } from './payload.js';
import { listenToMessaging, listenToPushKit, type PushListener } from './pushes.js';
import { reasonOfState } from './reason.js';
import { emptyScreen, reduce, type Action, type CallEvents, type ScreenCall, type ScreenEvent } from './screen.js';
import { PushTokens, type TokenOptions } from './tokens.js';
import { uuidOf } from './uuid.js';

/** NativeOptions are the server and the native libraries, which the app imports and passes in. */
export interface NativeOptions extends TokenOptions {
  /** The server, as https://chat.example.com: calls are answered there without a client. */
  server: string;
  /** Platform.OS. */
  platform: string;
  callKeep: CallKeep;
  /** Keeps the user of this device, so that pushes for another one are ignored. */
  storage: AsyncStorage;
  /** Displays messages and missed calls on Android. Default: they are not displayed. */
  notifications?: Notifications | undefined;
  /** The name and the media of a call. Default: the title of the push or the inviter's ID; the media of beckon/call. */
  describe?: Describe | undefined;
  /** Check the connection when the app comes to the foreground, and when the network changes. */
  appState?: AppState | undefined;
  netInfo?: NetInfo | undefined;
}

/** An outgoing call to a user or a group. */
export type OutgoingCall = {
  inviteID: string;
  roomID?: string | undefined;
  name: string;
  video?: boolean | undefined;
} & ({ userID: string; groupID?: undefined } | { groupID: string; userID?: undefined });

/** The events of Native. */
export interface NativeEvents extends CallEvents {
  /** The user tapped the notification of a message or a missed call. */
  onOpenConversation: { conversationID: string; messageID: string };
  /** Something failed in the background: a registration for pushes, a decline, a native library. */
  onError: { error: unknown };
}

const names: Record<keyof NativeEvents, 1> = {
  onIncomingCall: 1,
  onAnswered: 1,
  onConnected: 1,
  onHangUp: 1,
  onCallEnded: 1,
  onMuted: 1,
  onHeld: 1,
  onOpenConversation: 1,
  onError: 1,
};

const userKey = 'beckon.native.user';

/** The longest time of setTimeout, in milliseconds. */
const longest = 2 ** 31 - 1;

/**
 * Native shows the calls of this device on the screen of the system, also when a push has started the app. Create one
 * at the start of the program, before the app is registered, and attach each client to it before it connects.
 */
export class Native extends Emitter<NativeEvents> {
  #options: NativeOptions;
  #screen = emptyScreen;
  #tokens: PushTokens;
  #answers: Answers;
  #user: Promise<string>; // the user of this device; empty when signed out
  #saved = ''; // the stored one
  #saving: Promise<void> = Promise.resolve(); // writes run one after the other
  #client: Client | undefined;
  #detach = (): void => undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #waiting: (() => void)[] = []; // for a call to be decided

  constructor(options: NativeOptions) {
    super(new Set(Object.keys(names)));
    this.#options = { ...options, server: options.server.replace(/\/+$/, '') };
    this.#user = options.storage.getItem(userKey).then((u) => (this.#saved = u ?? ''));
    this.#user.catch((error) => this.emit('onError', { error }));
    this.#tokens = new PushTokens(options, (error) => this.emit('onError', { error }));
    this.#answers = new Answers({
      server: this.#options.server,
      client: () => this.#client,
      call: (inviteID) => this.#find(inviteID),
      dispatch: (e) => this.#dispatch(e),
      failed: (error) => this.emit('onError', { error }),
      done: () => this.#wake(),
    });
    listenToCallKeep(options.callKeep, {
      pressed: (type, uuid) => this.#dispatch({ type, uuid }),
      notShown: (uuid) => this.#dispatch({ type: 'notShown', uuid }),
      muted: (uuid, muted) => this.#withCall(uuid, (call) => this.emit('onMuted', { call, muted })),
      held: (uuid, held) => this.#withCall(uuid, (call) => this.emit('onHeld', { call, held })),
    });
    const pushes: PushListener = {
      received: (payload, onScreen) => this.received(payload, onScreen),
      registered: (token) => this.#tokens.setVoIP(token),
      opened: (payload) => this.opened(payload),
    };
    if (options.voipPush && options.platform === 'ios') listenToPushKit(options.voipPush, pushes);
    if (options.messaging) listenToMessaging(options.messaging, pushes);
  }

  /** The calls on the screen, as for a view that is mounted after an event. */
  get calls(): readonly ScreenCall[] {
    return this.#screen.calls;
  }

  /**
   * Follows the invitations of a client, registers this device for pushes when it connects, and stores its user. Call it
   * before connect. An earlier client is detached; the returned function detaches this one.
   */
  attach(client: Client): () => void {
    this.#detach();
    const { appState, netInfo } = this.#options;
    const offs = [
      client.on('onConnected', ({ userID }) => void this.#signedIn(userID)),
      follow(
        client,
        this.#options.describe ?? describeAny,
        () => this.calls,
        (e) => this.#dispatch(e),
        (error) => this.emit('onError', { error }),
      ),
      this.#tokens.attach(client),
      checkOnChange(client, appState, netInfo),
    ];
    this.#client = client;
    if (client.connected) void this.#signedIn(client.userID);
    return (this.#detach = () => {
      for (const off of offs.splice(0)) off();
      if (this.#client === client) this.#client = undefined;
    });
  }

  /** Forgets the user of this device, takes ringing calls off the screen, and deletes the push tokens on the server. */
  async signOut(): Promise<void> {
    const client = this.#client;
    this.#detach();
    await this.#user.catch(() => undefined); // the stored user is known
    this.#user = Promise.resolve('');
    this.#clearScreen();
    await this.#saveUser();
    if (client) await this.#tokens.remove(client);
  }

  /**
   * Reports an outgoing call to the system, before the invite: propose its inviteID. It is connected with the first
   * accept, and leaves the screen when the invitation is over without one, or with hangUp.
   */
  startCall(call: OutgoingCall): void {
    const { inviteID, userID = '', groupID = '', roomID = '', name, video = false } = call;
    const conversationID = groupID ? `group_${groupID}` : `c2c_${userID}`;
    const inviter = this.#client?.userID ?? '';
    const common = { inviteID, uuid: uuidOf(inviteID), inviter, groupID, conversationID, roomID, name, video };
    const outgoing = { outgoing: true, phase: 'calling', data: '', cut: false, deadline: 0, answerToken: '' } as const;
    this.#dispatch({ type: 'calling', call: { ...common, ...outgoing } });
  }

  /** Takes a call of the app off the screen: hung up by the app, or ended by the other side. A ringing one is declined. */
  hangUp(inviteID: string, reason: 'hungUp' | 'remoteEnded' | 'failed' = 'hungUp'): void {
    this.#dispatch({ type: 'ended', inviteID, reason });
  }

  /**
   * Processes the payload of a push that another library received; onScreen: native code has shown its call. It resolves
   * when the call is decided: Android ends the app's background task then. Pushes of Firebase and PushKit are processed
   * without it.
   */
  async received(payload: unknown, onScreen = false): Promise<void> {
    const push = readPush(payload);
    const inviteID = push?.signaling?.inviteID ?? '';
    try {
      if (push) return await this.#process(push, onScreen);
    } catch (error) {
      this.emit('onError', { error }); // as of the app's describe
    }
    if (onScreen) this.#dispatch({ type: 'over', inviteID, uuid: uuidOf(inviteID), reason: 'failed', onScreen });
  }

  async #process(push: Push, onScreen: boolean): Promise<void> {
    const now = performance.now();
    const inviteID = push.signaling?.inviteID ?? '';
    const uuid = uuidOf(inviteID);
    if (push.userID !== (await this.#user.catch(() => '')))
      return onScreen ? this.#dispatch({ type: 'over', inviteID, uuid, reason: 'failed', onScreen }) : undefined;
    const { notifications } = this.#options;
    switch (push.kind) {
      case 'invitation': {
        const call = callOfPush(push, this.#options.describe ?? describeAny, now);
        if (!call && onScreen) this.#dispatch({ type: 'over', inviteID, uuid, reason: 'failed', onScreen });
        if (!call) return;
        this.#dispatch({ type: 'invited', call, onScreen });
        return this.#decided(call.inviteID);
      }
      case 'ended': {
        const reason = reasonOfState(push.state);
        this.#dispatch({ type: 'over', inviteID, uuid, reason, onScreen });
        if (push.title && (reason === 'unanswered' || reason === 'remoteEnded'))
          await notifications?.show(notificationOf(push));
        return;
      }
      case 'message':
        await notifications?.show(notificationOf(push));
        return;
      case 'test':
        await notifications?.show(notificationOf(push));
        await ackPushTest(push, this.#options.server).catch((error: unknown) => this.emit('onError', { error }));
        return;
      case 'read':
      case 'revoked':
        await notifications?.remove(push.messageIDList ?? []);
    }
  }

  /** Opens the conversation of a tapped notification, or shows the call of a tapped alert; data is that of the push. */
  opened(data: unknown): void {
    const push = readPush(data);
    if (!push) return;
    if (push.kind === 'invitation') return void this.received(data);
    if (push.kind === 'test') return;
    this.emit('onOpenConversation', { conversationID: conversationOfPush(push), messageID: push.messageID ?? '' });
  }

  /** Notes the user of this device. The ringing calls of an earlier one leave the screen. */
  async #signedIn(userID: string): Promise<void> {
    const before = this.#user;
    this.#user = Promise.resolve(userID);
    const earlier = await before.catch(() => '');
    if (earlier && earlier !== userID) this.#clearScreen();
    await this.#saveUser();
  }

  #clearScreen(): void {
    for (const { inviteID, uuid } of this.calls)
      this.#dispatch({ type: 'over', inviteID, uuid, reason: 'hungUp', onScreen: false });
  }

  /** Stores the present user: the last of several writes is the last change. */
  #saveUser(): Promise<void> {
    const { storage } = this.#options;
    return (this.#saving = this.#saving.then(async () => {
      try {
        const userID = await this.#user;
        if (userID === this.#saved) return;
        await (userID ? storage.setItem(userKey, userID) : storage.removeItem(userKey));
        this.#saved = userID;
      } catch (error) {
        this.emit('onError', { error });
      }
    }));
  }

  #find(inviteID: string): ScreenCall | undefined {
    return this.calls.find((c) => c.inviteID === inviteID);
  }

  #withCall(uuid: string, run: (call: ScreenCall) => void): void {
    const call = this.calls.find((c) => c.uuid === uuid);
    if (call) run(call);
  }

  #dispatch(event: ScreenEvent): void {
    const [next, actions] = reduce(this.#screen, event);
    this.#screen = next;
    for (const action of actions) {
      try {
        this.#execute(action);
      } catch (error) {
        this.emit('onError', { error }); // of a native library
      }
    }
    this.#schedule();
    this.#wake();
  }

  #execute(action: Action): void {
    switch (action.type) {
      case 'ring':
      case 'accept':
      case 'reject':
        return this.#answers[action.type](action.call);
      case 'emit':
        return this.emit(action.name, action.event);
      default:
        changeScreen(this.#options.callKeep, this.#options.platform, action);
    }
  }

  /** Sets the timer for the next deadline of a ringing call. */
  #schedule(): void {
    clearTimeout(this.#timer);
    const next = Math.min(...this.calls.filter((c) => c.phase === 'ringing' && c.deadline).map((c) => c.deadline));
    if (next === Infinity) return;
    const wait = Math.min(Math.max(next - performance.now(), 0), longest);
    this.#timer = setTimeout(() => this.#dispatch({ type: 'time', now: performance.now() }), wait);
  }

  /** Resolves when a call is answered or gone, and its requests are done. */
  async #decided(inviteID: string): Promise<void> {
    const open = (): boolean => {
      const phase = this.#find(inviteID)?.phase;
      return (phase !== undefined && phase !== 'active') || this.#answers.pending(inviteID);
    };
    while (open()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #wake(): void {
    for (const resume of this.#waiting.splice(0)) resume();
  }
}
