export { Client } from './client.js';
export { Emitter, type Handler } from './emitter.js';
export { BeckonError, Code } from './error.js';
export { conversationOf, type Events, type WireEvent } from './events.js';
export type { FileKind, Upload } from './http.js';
export { newID } from './id.js';
export type { InvitationEvents, InvitationFacts } from './ledger.js';
export type { CallOptions, Options } from './options.js';
export type { Content } from './requests.js';
export type { Request, Response, Schemas, Verbs } from './schema.js';
export { getSignalingInfo, type SignalingInfo } from './signaling.js';
export type { Storage } from './storage.js';
export type {
  ActionType,
  EventType,
  GroupTip,
  GroupType,
  InviteeState,
  MessageType,
  ReachStatus,
  ReceiveOption,
  RoomRole,
  UserState,
} from './values.js';
