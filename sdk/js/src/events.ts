import type { InvitationEvents } from './ledger.js';
import type { Schemas, Verbs } from './schema.js';

/** A wire event: a message, or a change of a message, group, conversation, user or room. */
export type WireEvent =
  | Schemas['Signaling']
  | Schemas['Message']
  | Schemas['MessageEvent']
  | Schemas['ReactionEvent']
  | Schemas['TypingEvent']
  | Schemas['GroupEvent']
  | Schemas['ConversationEvent']
  | Schemas['PersonEvent']
  | Schemas['RoomEvent'];

/** Events under the original's names, raised in addition to ours. */
export interface OriginalEvents {
  /** Every message, and every stored signaling message: getSignalingInfo reads it. */
  onRecvNewMessage: { conversationID: string; seq: number; message: Schemas['Message'] | Schemas['Signaling'] };
  onRecvC2CTextMessage: { messageID: string; sender: string; text: string };
  onRecvC2CCustomMessage: { messageID: string; sender: string; customData: string };
  onRecvGroupTextMessage: { messageID: string; groupID: string; sender: string; text: string };
  onRecvGroupCustomMessage: { messageID: string; groupID: string; sender: string; customData: string };
  onRecvMessageRevoked: { conversationID: string; messageID: string; by: string; reason: string };
  onRecvMessageModified: { conversationID: string; message: Schemas['Message'] };
  onRecvC2CReadReceipt: { conversationID: string; seq: number };
  onRecvMessageReadReceipts: { groupID: string; receipts: Schemas['Count'][] };
  onRecvMessageReactionsChanged: { conversationID: string; changes: Schemas['ReactionChange'][] };
  onConnectSuccess: Schemas['Welcome'];
  onSelfInfoUpdated: Schemas['PersonEvent'];
  onUserSigExpired: { code: number; reason: string };
}

/** The original's names of our events. */
const originals: Partial<Record<keyof Events, keyof OriginalEvents>> = {
  onMessageRevoked: 'onRecvMessageRevoked',
  onMessageModified: 'onRecvMessageModified',
  onPeerRead: 'onRecvC2CReadReceipt',
  onGroupReadReceipts: 'onRecvMessageReadReceipts',
  onMessageReactions: 'onRecvMessageReactionsChanged',
  onConnected: 'onConnectSuccess',
  onSelfChanged: 'onSelfInfoUpdated',
  onTokenExpired: 'onUserSigExpired',
};

/** Returns the original's name of an event. */
export function originalOf(name: keyof Events): keyof OriginalEvents | undefined {
  return originals[name];
}

/** The events of a client. Names are the original's where it has one. */
export interface Events extends InvitationEvents, OriginalEvents {
  /** Each signaling event, once, before the invitation callbacks, with deadline, counts and reasons. */
  onSignaling: Schemas['Signaling'];
  /** A message; seq is its sequence in the conversation, 0 if it is not stored. */
  onReceiveMessage: { conversationID: string; seq: number; message: Schemas['Message'] };
  onMessageRevoked: { conversationID: string; messageID: string; by: string; reason: string };
  onMessageModified: { conversationID: string; message: Schemas['Message'] };
  onMessageDeleted: { conversationID: string; seqList: number[] };
  /** The read position of the other user, on this user's timeline. */
  onPeerRead: { conversationID: string; seq: number };
  onGroupReadReceipts: { groupID: string; receipts: Schemas['Count'][] };
  /** Other devices added or removed reactions to messages. */
  onMessageReactions: { conversationID: string; changes: Schemas['ReactionChange'][] };
  /** A user is typing, for 6 s or until a message of the user, or has stopped. Inbox.typing keeps the list. */
  onTyping: { conversationID: string; userID: string; typing: boolean };
  /** Another device of this user read, pinned, muted, cleared or deleted a conversation. */
  onConversationChanged: Schemas['ConversationEvent'];
  /** The record of a call, written by the server into the conversation. */
  onCallRecord: { conversationID: string; message: Schemas['Message']; call: Schemas['CallElem'] };
  /** The role of a user in a room changed: a host granted or revoked speaking. */
  onRoomRoleChanged: Schemas['RoomEvent'];

  /** Each change of a group, before the callbacks below. */
  onGroup: Schemas['GroupEvent'];
  onMemberEnter: { groupID: string; members: string[] };
  onMemberInvited: { groupID: string; opUser: string; members: string[] };
  onMemberLeave: { groupID: string; member: string };
  onMemberKicked: { groupID: string; opUser: string; members: string[] };
  onMemberInfoChanged: Schemas['GroupEvent'];
  onMemberMarkChanged: Schemas['GroupEvent'];
  onAllGroupMembersMuted: { groupID: string; muted: boolean };
  onGroupCreated: { groupID: string };
  onGroupDismissed: { groupID: string; opUser: string };
  onGroupInfoChanged: Schemas['GroupEvent'];
  onGroupAttributeChanged: { groupID: string; attributes: Record<string, string> };
  onGroupCounterChanged: { groupID: string; key: string; value: number };
  onReceiveJoinApplication: { groupID: string; member: string; reason: string };
  onApplicationProcessed: { groupID: string; opUser: string; agreed: boolean; reason: string };
  onGrantAdministrator: { groupID: string; opUser: string; members: string[] };
  onRevokeAdministrator: { groupID: string; opUser: string; members: string[] };
  onQuitFromGroup: { groupID: string };
  onReceiveRESTCustomData: { groupID: string; data: string };

  /** The presence of a subscribed user changed; also raised for each subscribed user on connect. */
  onUserStatusChanged: Schemas['UserStatus'];
  /** Another device of this user changed profile, block list, do-not-disturb or subscriptions. */
  onSelfChanged: Schemas['PersonEvent'];

  /** Each event as received, before all others. */
  onEvent: { timeline: string; seq: number; event: WireEvent };
  /** A call of this client succeeded. A device receives no events of its own actions. */
  onResponse: { method: keyof Verbs; request: Record<string, unknown>; response: unknown };
  /** Connected, also after a reconnect. */
  onConnected: Schemas['Welcome'];
  /** The connection is lost; the client reconnects. */
  onConnecting: { code: number; reason: string };
  /** The connection is closed; the client does not reconnect. */
  onDisconnected: { code: number; reason: string };
  /** The session was replaced by another device, or kicked. The client does not reconnect. */
  onKickedOffline: { reason: string };
  /** The token expires soon: give a new one to renew. Not raised if token is a function. expireAt is in server time. */
  onTokenWillExpire: { expireAt: number; remaining: number };
  /** The token has expired (code 70001): the session ends 20 s, or half of a shorter life, later, unless renew is called. */
  onTokenExpired: { code: number; reason: string };
  /** The function that gets tokens has failed. It is called again with the next attempt to connect. */
  onTokenError: { error: Error };
  /** Too many events were missed to be delivered: reload the displayed data of these timelines. */
  onReload: { timelines: string[] };
}

/** Returns the conversation of a message: c2c_<the other user>, or group_<ID>. */
export function conversationOf(me: string, e: { from?: string; to?: string; groupID?: string }): string {
  if (e.groupID) return `group_${e.groupID}`;
  return `c2c_${e.from === me ? e.to : e.from}`;
}

type Emit = <K extends keyof Events>(name: K, event: Events[K]) => void;

/** Raises a group change under the original's names. */
function raiseGroup(e: Schemas['GroupEvent'], emit: Emit): void {
  const { groupID } = e;
  const opUser = e.from ?? '';
  const members = e.members ?? [];
  const member = members[0] ?? '';
  switch (e.tip) {
    case 'groupCreated':
      return emit('onGroupCreated', { groupID });
    case 'groupJoined':
      return emit('onGroupCreated', { groupID });
    case 'quitFromGroup':
      return emit('onQuitFromGroup', { groupID });
    case 'joinApplication':
      for (const applicant of members) {
        emit('onReceiveJoinApplication', { groupID, member: applicant, reason: e.reason ?? '' });
      }
      return;
    case 'applicationProcessed':
      return emit('onApplicationProcessed', { groupID, opUser, agreed: e.agreed ?? false, reason: e.reason ?? '' });
    case 'memberEnter':
      return emit('onMemberEnter', { groupID, members });
    case 'memberInvited':
      return emit('onMemberInvited', { groupID, opUser, members });
    case 'memberLeave':
      return emit('onMemberLeave', { groupID, member });
    case 'memberKicked':
      return emit('onMemberKicked', { groupID, opUser, members });
    case 'memberInfoChanged':
      return emit('onMemberInfoChanged', e);
    case 'memberMarkChanged':
      return emit('onMemberMarkChanged', e);
    case 'administratorGranted':
      return emit('onGrantAdministrator', { groupID, opUser, members });
    case 'administratorRevoked':
      return emit('onRevokeAdministrator', { groupID, opUser, members });
    case 'groupInfoChanged':
    case 'ownerChanged':
      return emit('onGroupInfoChanged', e);
    case 'allMembersMuted':
      return emit('onAllGroupMembersMuted', { groupID, muted: e.on ?? false });
    case 'attributesChanged':
      return emit('onGroupAttributeChanged', { groupID, attributes: e.attributes ?? {} });
    case 'counterChanged':
      return emit('onGroupCounterChanged', { groupID, key: e.key ?? '', value: e.value ?? 0 });
    case 'customData':
      return emit('onReceiveRESTCustomData', { groupID, data: e.data ?? '' });
    case 'groupDismissed':
      return emit('onGroupDismissed', { groupID, opUser });
  }
}

/** Raises a change of a message. */
function raiseMessage(me: string, e: Schemas['MessageEvent'], emit: Emit): void {
  const conversationID = e.conversationID || conversationOf(me, e);
  switch (e.type) {
    case 'messageRevoked':
      return emit('onMessageRevoked', {
        conversationID,
        messageID: e.messageID ?? '',
        by: e.by ?? '',
        reason: e.reason ?? '',
      });
    case 'messageModified':
      if (e.message) emit('onMessageModified', { conversationID, message: e.message });
      return;
    case 'messageDeleted':
      return emit('onMessageDeleted', { conversationID, seqList: e.seqList ?? [] });
    case 'readReceipt':
      if (e.groupID) emit('onGroupReadReceipts', { groupID: e.groupID, receipts: e.receipts ?? [] });
      else emit('onPeerRead', { conversationID, seq: e.peerReadSeq ?? 0 });
  }
}

/** Raises the original's callbacks for one message. */
function raiseOriginal(m: Schemas['Message'], emit: Emit): void {
  const common = { messageID: m.messageID, sender: m.from };
  const groupID = m.groupID ?? '';
  if (m.text) {
    if (groupID) emit('onRecvGroupTextMessage', { ...common, groupID, text: m.text });
    else emit('onRecvC2CTextMessage', { ...common, text: m.text });
  } else if (m.custom) {
    const customData = m.custom.data ?? '';
    if (groupID) emit('onRecvGroupCustomMessage', { ...common, groupID, customData });
    else emit('onRecvC2CCustomMessage', { ...common, customData });
  }
}

/** Raises the events for one record that is not about an invitation. */
export function raiseEvent(me: string, seq: number, event: WireEvent, emit: Emit): void {
  switch (event.type) {
    case 'message': {
      const message = event;
      const conversationID = conversationOf(me, message);
      emit('onReceiveMessage', { conversationID, seq, message });
      emit('onRecvNewMessage', { conversationID, seq, message });
      raiseOriginal(message, emit);
      if (message.call) emit('onCallRecord', { conversationID, message, call: message.call });
      return;
    }
    case 'messageRevoked':
    case 'messageModified':
    case 'messageDeleted':
    case 'readReceipt':
      return raiseMessage(me, event, emit);
    case 'messageReactions': {
      const e = event;
      return emit('onMessageReactions', { conversationID: conversationOf(me, e), changes: e.changes });
    }
    case 'typing': {
      const e = event;
      if (e.from === me) return; // another device of this user
      return emit('onTyping', { conversationID: conversationOf(me, e), userID: e.from, typing: !e.stopped });
    }
    case 'conversationRead':
    case 'conversationChanged':
      return emit('onConversationChanged', event);
    case 'userStatus': {
      const { status } = event;
      if (status) emit('onUserStatusChanged', status);
      return;
    }
    case 'userChanged':
      return emit('onSelfChanged', event);
    case 'roomRole':
      return emit('onRoomRoleChanged', event);
    case 'group':
      emit('onGroup', event);
      return raiseGroup(event, emit);
  }
}

// All names, for the check of names in on(). The type requires completeness.
const every: Record<keyof Events, 1> = {
  onReceiveNewInvitation: 1,
  onInviteeAccepted: 1,
  onInviteeRejected: 1,
  onInvitationCancelled: 1,
  onInvitationTimeout: 1,
  onInvitationModified: 1,
  onInviteeRinging: 1,
  onInvitationHandledByOtherDevice: 1,
  onSignaling: 1,
  onReceiveMessage: 1,
  onMessageRevoked: 1,
  onMessageModified: 1,
  onMessageDeleted: 1,
  onPeerRead: 1,
  onGroupReadReceipts: 1,
  onMessageReactions: 1,
  onTyping: 1,
  onConversationChanged: 1,
  onCallRecord: 1,
  onRoomRoleChanged: 1,
  onGroup: 1,
  onMemberEnter: 1,
  onMemberInvited: 1,
  onMemberLeave: 1,
  onMemberKicked: 1,
  onMemberInfoChanged: 1,
  onMemberMarkChanged: 1,
  onAllGroupMembersMuted: 1,
  onGroupCreated: 1,
  onGroupDismissed: 1,
  onGroupInfoChanged: 1,
  onGroupAttributeChanged: 1,
  onGroupCounterChanged: 1,
  onReceiveJoinApplication: 1,
  onApplicationProcessed: 1,
  onGrantAdministrator: 1,
  onRevokeAdministrator: 1,
  onQuitFromGroup: 1,
  onReceiveRESTCustomData: 1,
  onUserStatusChanged: 1,
  onSelfChanged: 1,
  onEvent: 1,
  onResponse: 1,
  onConnected: 1,
  onConnecting: 1,
  onDisconnected: 1,
  onKickedOffline: 1,
  onTokenWillExpire: 1,
  onTokenExpired: 1,
  onTokenError: 1,
  onUserSigExpired: 1,
  onReload: 1,
  onRecvNewMessage: 1,
  onRecvC2CTextMessage: 1,
  onRecvC2CCustomMessage: 1,
  onRecvGroupTextMessage: 1,
  onRecvGroupCustomMessage: 1,
  onRecvMessageRevoked: 1,
  onRecvMessageModified: 1,
  onRecvC2CReadReceipt: 1,
  onRecvMessageReadReceipts: 1,
  onRecvMessageReactionsChanged: 1,
  onConnectSuccess: 1,
  onSelfInfoUpdated: 1,
};

/** The names of all events. */
export const eventNames: ReadonlySet<string> = new Set(Object.keys(every));
