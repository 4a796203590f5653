// React Native: calls on the screen of the system, pushes, storage. See README.md of the SDK.
export type {
  AppState,
  AsyncStorage,
  CallKeep,
  CallKeepEvents,
  InitialEvent,
  Messaging,
  NetInfo,
  Notification,
  Notifications,
  RemoteMessage,
  VoipPush,
  VoipPushEvents,
} from './boundary.js';
export type { Describe, IncomingInvitation } from './incoming.js';
export { Native, type NativeEvents, type NativeOptions, type OutgoingCall } from './native.js';
export type { Reason } from './reason.js';
export type { CallEvents, ScreenCall } from './screen.js';
export { LoadedStorage } from './storage.js';
export type { TokenOptions } from './tokens.js';
export { uuidOf } from './uuid.js';
