// A stand-in of a phone: the native libraries at the boundary of beckon/native, and an app that can be killed.
import { EventEmitter, once } from 'node:events';
import { Native, type NativeEvents, type NativeOptions } from '../src/native/index.js';
import { kindOf, type Data, type FCM } from './fcm.js';

/** A call on the screen of the system. */
export interface Shown {
  uuid: string;
  handle: string;
  name: string | undefined;
  video: boolean | undefined;
}

/** The screen of the system. It survives the app. */
export class FakeScreen {
  /** The calls on the screen. */
  readonly calls = new Map<string, Shown>();
  /** All that happened, as "show alice" or "end 4". */
  readonly log: string[] = [];
  readonly changes = new EventEmitter();
  #handlers = new Map<string, ((event: never) => void)[]>();

  addEventListener(type: string, handler: (event: never) => void): void {
    this.#handlers.set(type, [...(this.#handlers.get(type) ?? []), handler]);
  }

  raise(type: string, event: unknown): void {
    for (const handler of this.#handlers.get(type) ?? []) handler(event as never);
  }

  /** Removes the handlers, as the end of the app does. */
  reset(): void {
    this.#handlers.clear();
  }

  displayIncomingCall(uuid: string, handle: string, name?: string, _type?: string, video?: boolean): void {
    this.calls.set(uuid, { uuid, handle, name, video });
    this.#note(`show ${handle}`);
  }
  startCall(uuid: string, handle: string, name?: string, _type?: string, video?: boolean): void {
    this.calls.set(uuid, { uuid, handle, name, video });
    this.#note(`start ${handle}`);
  }
  reportConnectingOutgoingCallWithUUID(): void {}
  reportConnectedOutgoingCallWithUUID(): void {
    this.#note('connected');
  }
  reportEndCallWithUUID(uuid: string, reason: number): void {
    this.calls.delete(uuid);
    this.#note(`end ${reason}`);
  }
  /** The real library reports its own end as if the user had pressed the button. */
  endCall(uuid: string): void {
    if (!this.calls.delete(uuid)) return;
    this.#note('end');
    this.raise('endCall', { callUUID: uuid });
  }
  setCurrentCallActive(): void {
    this.#note('active');
  }
  backToForeground(): void {}

  /** Presses a button of the only call. */
  press(button: 'answerCall' | 'endCall'): void {
    const [call] = this.calls.values();
    if (button === 'endCall') this.calls.delete(call!.uuid);
    this.raise(button, { callUUID: call!.uuid.toUpperCase() });
  }

  #note(line: string): void {
    this.log.push(line);
    this.changes.emit('change');
  }

  /** Waits until something happened. */
  async logged(line: string): Promise<void> {
    while (!this.log.includes(line)) await once(this.changes, 'change');
  }
}

/** The asynchronous storage of a phone. */
export class FakeStorage {
  readonly values = new Map<string, string>();
  async getItem(key: string): Promise<string | null> {
    return this.values.get(key) ?? null;
  }
  async setItem(key: string, value: string): Promise<void> {
    this.values.set(key, value);
  }
  async removeItem(key: string): Promise<void> {
    this.values.delete(key);
  }
  async getAllKeys(): Promise<string[]> {
    return [...this.values.keys()];
  }
}

type Background = (message: { data?: Data }) => Promise<unknown>;

/** An Android phone with an FCM token. */
export class Phone {
  readonly screen = new FakeScreen();
  readonly storage = new FakeStorage();
  /** The notifications on the phone, by ID. */
  readonly notifications = new Map<string, { title: string; conversationID: string; data: Data }>();
  /** Raised with each push, after it was processed. */
  readonly pushes = new EventEmitter();
  /** Pushes of these kinds are kept, for deliver. */
  readonly hold = new Set<string>();
  readonly held: Data[] = [];
  native!: Native;
  /** The events of the running app. */
  events: { name: string; event: unknown }[] = [];
  #token: string;
  #tokenChanged: (token: string) => unknown = () => undefined;
  #background: Background = async () => undefined;

  constructor(fcm: FCM, token: string) {
    this.#token = token;
    this.listenTo(fcm, token);
  }

  listenTo(fcm: FCM, token: string): void {
    fcm.register(token, (data) => {
      if (this.hold.has(kindOf(data))) {
        this.held.push(data);
        this.pushes.emit('held');
      } else void this.deliver(data);
    });
  }

  /** Starts the app anew: of an earlier run only the storage and the screen are left. */
  run(server: string, options: Partial<NativeOptions> = {}): Native {
    this.screen.reset();
    this.events = [];
    const { storage, screen: callKeep } = this;
    const native = new Native({
      server,
      platform: 'android',
      storage,
      callKeep,
      messaging: {
        getMessaging: () => 'app',
        getToken: async () => this.#token,
        getAPNSToken: async () => null,
        onTokenRefresh: (_m, listener) => {
          this.#tokenChanged = listener;
          return () => undefined;
        },
        onMessage: () => () => undefined,
        onNotificationOpenedApp: () => () => undefined,
        getInitialNotification: async () => null,
        setBackgroundMessageHandler: (_m, handler) => {
          this.#background = handler as Background;
        },
      },
      notifications: {
        show: (n) => this.notifications.set(n.id, n),
        remove: (ids) => ids.forEach((id) => this.notifications.delete(id)),
      },
      ...options,
    });
    const names = [
      'onIncomingCall',
      'onAnswered',
      'onConnected',
      'onHangUp',
      'onCallEnded',
      'onMuted',
      'onHeld',
    ] as const;
    for (const name of [...names, 'onOpenConversation', 'onError'] as const)
      native.on(name, (event) => this.events.push({ name, event }));
    return (this.native = native);
  }

  /** Delivers a push to the background handler. */
  async deliver(data: Data): Promise<void> {
    await this.#background({ data });
    this.pushes.emit(kindOf(data), data);
  }

  /** Waits for a held push of a kind, and takes it. */
  async heldPush(kind: string): Promise<Data> {
    for (;;) {
      const at = this.held.findIndex((data) => kindOf(data) === kind);
      if (at >= 0) return this.held.splice(at, 1)[0]!;
      await once(this.pushes, 'held');
    }
  }

  changeToken(token: string): void {
    this.#token = token;
    this.#tokenChanged(token);
  }

  /** The names of the events so far. */
  get names(): string[] {
    return this.events.map((e) => e.name);
  }

  /** Waits for an event, and returns it. An earlier event counts. */
  async event<K extends keyof NativeEvents>(name: K): Promise<NativeEvents[K]> {
    const past = this.events.find((e) => e.name === name);
    return past ? (past.event as NativeEvents[K]) : this.native.once(name);
  }
}
