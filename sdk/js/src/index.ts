export { Client, getSignalingInfo, newID, type Options } from './client.js';
export { Emitter, type Handler } from './emitter.js';
export { BeckonError, Code } from './error.js';
export { conversationOf, type Events, type WireEvent } from './events.js';
export type { InvitationEvents, InvitationFacts } from './ledger.js';
export type { Request, Response, Schemas, Verbs } from './schema.js';
export type { Storage } from './storage.js';
