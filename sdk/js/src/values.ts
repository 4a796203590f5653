// Names for the values of fields. A newer server may send further values.
import type { WireEvent } from './events.js';
import type { Schemas } from './schema.js';

/** The action of a signaling message: 1 invite, 2 cancel, 3 accept, 4 reject, 5 timeout, 6 modify, 7 add, 8 ringing, 9 digest. */
export type ActionType = Schemas['Signaling']['actionType'];
/** The type of an event. */
export type EventType = WireEvent['type'];
/** The change of a group. */
export type GroupTip = Schemas['GroupEvent']['tip'];
export type GroupType = Schemas['Group']['type'];
/** The state of an invitee. */
export type InviteeState = Schemas['Invitee']['state'];
/** The kind of content of a message. */
export type MessageType = Schemas['Message']['messageType'];
/** How an invitation reached an invitee. */
export type ReachStatus = Schemas['Reach']['status'];
/** The delivery of the messages of a conversation. */
export type ReceiveOption = Schemas['ReceiveOptionRequest']['receiveOption'];
/** The role of a user in a room. */
export type RoomRole = Schemas['RoomSeat']['role'];
/** The presence of a user. */
export type UserState = Schemas['UserStatus']['status'];
