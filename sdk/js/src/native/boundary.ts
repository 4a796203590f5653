// The parts of native libraries that this module uses. The app imports the libraries and passes them in; the example
// app checks these types against the real packages.

/** The events of CallKeep that are used here. */
export interface CallKeepEvents {
  answerCall: { callUUID: string };
  endCall: { callUUID: string };
  didPerformSetMutedCallAction: { callUUID: string; muted: boolean };
  didToggleHoldCallAction: { callUUID: string; hold: boolean };
  didDisplayIncomingCall: { callUUID: string; errorCode?: string };
  createIncomingConnectionFailed: { callUUID: string };
  didLoadWithEvents: InitialEvent[];
}

/** InitialEvent is an event of a native module from before JavaScript ran. */
export interface InitialEvent {
  name: string;
  data: unknown;
}

/** CallKeep is the default export of react-native-callkeep. */
export interface CallKeep {
  addEventListener<K extends keyof CallKeepEvents>(type: K, handler: (event: CallKeepEvents[K]) => void): unknown;
  displayIncomingCall(uuid: string, handle: string, name?: string, handleType?: 'generic', hasVideo?: boolean): void;
  startCall(uuid: string, handle: string, name?: string, handleType?: 'generic', hasVideo?: boolean): void;
  reportConnectingOutgoingCallWithUUID(uuid: string): void;
  reportConnectedOutgoingCallWithUUID(uuid: string): void;
  reportEndCallWithUUID(uuid: string, reason: number): void;
  endCall(uuid: string): void;
  setCurrentCallActive(uuid: string): void;
  backToForeground(): void;
}

/** The events of the PushKit module that are used here. */
export interface VoipPushEvents {
  register: string;
  notification: object;
  didLoadWithEvents: InitialEvent[];
}

/** VoipPush is the default export of react-native-voip-push-notification, for iOS. */
export interface VoipPush {
  addEventListener<K extends keyof VoipPushEvents>(type: K, handler: (event: VoipPushEvents[K]) => void): void;
  registerVoipToken(): void;
}

/** RemoteMessage is a push of Firebase Cloud Messaging. */
export interface RemoteMessage {
  data?: Record<string, unknown>;
}

/** Messaging is the module @react-native-firebase/messaging: `import * as messaging from …`. */
export interface Messaging {
  getMessaging(): unknown;
  getToken(messaging: unknown): Promise<string>;
  getAPNSToken(messaging: unknown): Promise<string | null>;
  onTokenRefresh(messaging: unknown, listener: (token: string) => unknown): () => void;
  onMessage(messaging: unknown, listener: (message: RemoteMessage) => unknown): () => void;
  onNotificationOpenedApp(messaging: unknown, listener: (message: RemoteMessage) => unknown): () => void;
  getInitialNotification(messaging: unknown): Promise<RemoteMessage | null>;
  setBackgroundMessageHandler(messaging: unknown, handler: (message: RemoteMessage) => Promise<unknown>): void;
}

/** AsyncStorage is the default export of @react-native-async-storage/async-storage. */
export interface AsyncStorage {
  getItem(key: string): Promise<string | null>;
  setItem(key: string, value: string): Promise<void>;
  removeItem(key: string): Promise<void>;
  getAllKeys(): Promise<readonly string[]>;
}

/** AppState is AppState of react-native. */
export interface AppState {
  addEventListener(type: 'change', listener: (state: string) => void): { remove(): void };
}

/** NetInfo is the default export of @react-native-community/netinfo. */
export interface NetInfo {
  addEventListener(listener: (state: { type: string; isConnected: boolean | null }) => void): () => void;
}

/** Notifications displays notifications of messages and missed calls, with a library that the app chooses. */
export interface Notifications {
  /** Shows a notification; one with the same ID is replaced. When it is tapped, pass its data to `Native.opened`. */
  show(notification: Notification): unknown;
  /** Removes notifications. */
  remove(ids: string[]): unknown;
}

/** Notification is a message, or a missed call. */
export interface Notification {
  /** The messageID, or the inviteID. */
  id: string;
  conversationID: string;
  title: string;
  body: string;
  data: Record<string, string>;
}
