// The values of fields for which the server's description has only string or integer. A description with values of its
// own has precedence. A newer server may send further values.
const kinds = ['text', 'custom', 'image', 'sound', 'video', 'file', 'location', 'face', 'merged'];
const groupTypes = ['Work', 'Public', 'Meeting', 'AVChatRoom', 'Community'];
const options = ['free', 'approval', 'forbidden'];
const receive = ['nothing', 'quiet', 'mentions']; // absent: notify
const roomRoles = ['anchor', 'audience', 'none'];
const states = ['open', 'accepted', 'rejected', 'cancelled', 'timedOut'];
const media = ['audio', 'video'];
const callReasons = ['hangup', 'left', 'removed', 'dismissed', 'mediaLost'];
const providers = ['apns', 'apnsVoIP', 'fcm', 'webPush', 'unifiedPush'];
const files = ['image', 'sound', 'video', 'file'];
const notify = ['members', 'participants'];
const genders = [0, 1, 2];

export const words = {
  Answer: { actionType: [3, 4] },
  Application: { state: ['waiting', 'agreed', 'refused'] },
  Call: { media, reason: callReasons },
  CallElem: { media, reason: callReasons },
  CallPerson: { reason: [...callReasons, 'replaced'] },
  Conversation: { type: ['c2c', 'group'], groupType: groupTypes, receiveOption: receive },
  ConversationEvent: { type: ['conversationRead', 'conversationChanged'], receiveOption: receive },
  EnterRoomResponse: { role: roomRoles, granted: roomRoles },
  FileResponse: { kind: files },
  Group: { type: groupTypes },
  GroupEvent: {
    type: ['group'],
    tip: [
      'groupCreated',
      'groupJoined',
      'quitFromGroup',
      'joinApplication',
      'applicationProcessed',
      'memberEnter',
      'memberInvited',
      'memberLeave',
      'memberKicked',
      'memberInfoChanged',
      'memberMarkChanged',
      'administratorGranted',
      'administratorRevoked',
      'groupInfoChanged',
      'ownerChanged',
      'allMembersMuted',
      'attributesChanged',
      'counterChanged',
      'customData',
      'groupDismissed',
    ],
  },
  Invitation: { notify },
  Invitee: { state: states, reach: ['acknowledged'] },
  Member: { role: [200, 300, 400] },
  Message: { type: ['message'], messageType: [...kinds, 'call'] },
  MessageEvent: { type: ['messageRevoked', 'messageModified', 'messageDeleted', 'readReceipt'] },
  PersonEvent: { type: ['userChanged', 'userStatus'] },
  Profile: { gender: genders },
  PushHealth: { provider: providers },
  PushNotice: {
    kind: ['invitation', 'ended', 'message', 'read', 'revoked', 'test'],
    state: states.filter((s) => s !== 'open'),
  },
  PushTestResult: { provider: providers },
  Quoted: { messageType: [...kinds, 'call'] },
  Reach: { status: ['connected', 'unreachable', 'push', 'doNotDisturb'] },
  ReactionEvent: { type: ['messageReactions'] },
  RoomEvent: { type: ['roomRole'], role: roomRoles },
  RoomResponse: { role: roomRoles },
  RoomSeat: { role: roomRoles },
  SetGroupInfoRequest: { inviteOption: options, joinOption: options },
  SetRoleRequest: { role: [200, 300] },
  SetSelfInfoRequest: { gender: genders },
  Signaling: { type: ['signaling'], actionType: [1, 2, 3, 4, 5, 6, 7, 8, 9], notify },
  TypingEvent: { type: ['typing'] },
  UploadResponse: { kind: files },
  UserStatus: { status: ['online', 'offline'] },
  Won: { action: ['accept', 'reject', 'cancel', 'timeout'] },
};

/** Adds the values to a description. */
export function addWords({ components: { schemas } }) {
  for (const [name, fields] of Object.entries(words)) {
    for (const [field, values] of Object.entries(fields)) {
      const property = schemas[name]?.properties?.[field];
      if (!property) throw new Error(`words.mjs: the description has no ${name}.${field}`);
      const plain = property.type === 'string' || property.type === 'integer';
      if (plain && !property.enum && property.const === undefined) property.enum = values;
    }
  }
  // Any JSON in the description: what a conversation contains.
  const contents = ['Message', 'Signaling', 'GroupEvent'].map((name) => ({ $ref: `#/components/schemas/${name}` }));
  for (const property of [schemas.Entry.properties.event, schemas.Conversation.properties.last]) {
    if (!property.type && !property.$ref && !property.oneOf && !property.anyOf) property.oneOf = contents;
  }
}
