// Types, checked by the compiler: this file is not run. Requests that the server refuses in any case do not compile, and
// fields with fixed values have them as their types.
import type { ActionType, Client, Events, EventType, InviteeState, MessageType, Schemas } from '../src/index.js';
import type { Calls } from '../src/call.js';
import type { Inbox } from '../src/inbox.js';
import type { Native } from '../src/native/index.js';

declare const client: Client;
declare const calls: Calls;
declare const inbox: Inbox;
declare const native: Native;
declare const maybe: string | undefined;
declare const flag: boolean;

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const is = <T extends true>(...of: T[]): T[] => of;

export const values = [
  is<Equal<ActionType, 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9>>(),
  is<Equal<InviteeState, 'open' | 'accepted' | 'rejected' | 'cancelled' | 'timedOut'>>(),
  is<Equal<Schemas['UserStatus']['status'], 'online' | 'offline'>>(),
  is<Equal<Schemas['Won']['action'], 'accept' | 'reject' | 'cancel' | 'timeout'>>(),
  is<Equal<Schemas['Application']['state'], 'waiting' | 'agreed' | 'refused'>>(),
  is<Equal<Schemas['Member']['role'], 200 | 300 | 400>>(),
  is<Equal<string extends EventType ? true : false, false>>(),
  is<Equal<string extends MessageType ? true : false, false>>(),
  is<Equal<string extends Schemas['GroupEvent']['tip'] ? true : false, false>>(),
  is<Equal<string extends Events['onResponse']['method'] ? true : false, false>>(),
];

/** An event has the fields of its type. */
export function narrowed({ event }: Events['onEvent']): string | undefined {
  switch (event.type) {
    case 'message':
      return event.text;
    case 'signaling':
      return event.inviter;
    case 'group':
      return event.tip;
    // @ts-expect-error: no such type
    case 'other':
      return '';
    default:
      return undefined;
  }
}

/** undefined is a missing field, also under exactOptionalPropertyTypes. */
export function optional(): unknown[] {
  const offlinePush = { title: maybe };
  return [
    client.invite({
      invitee: 'bob',
      data: maybe,
      timeout: undefined,
      notice: undefined,
      inviteeList: undefined,
      offlinePush,
    }),
    client.sendMessage({ groupID: 'g', text: 'hello', custom: undefined, userID: undefined, replyTo: maybe }),
    client.cancel({ inviteID: 'i', data: maybe, inviteeList: undefined }),
    client.getConversationList({ limit: undefined }),
    client.listCalls({ roomID: maybe }),
  ];
}

export function invite(): unknown[] {
  return [
    client.invite({ invitee: 'bob', mergeGlare: flag, timeout: 30 }),
    client.invite({ inviteeList: ['bob', 'cid'], acceptLimit: 1 }),
    client.invite({ invitee: 'bob', notice: flag }),
    // @ts-expect-error: nobody
    client.invite({ data: 'dinner?' }),
    // @ts-expect-error: one or several
    client.invite({ invitee: 'bob', inviteeList: ['cid'] }),
    // @ts-expect-error: perhaps nobody
    client.invite({ invitee: maybe }),
    // @ts-expect-error: glare is between two users
    client.invite({ inviteeList: ['bob'], mergeGlare: true }),
    // @ts-expect-error: a notice has no deadline
    client.invite({ invitee: 'bob', notice: true, timeout: 30 }),
    // @ts-expect-error: a misspelled field
    client.invite({ invitee: 'bob', timeOut: 30 }),

    client.inviteInGroup({ groupID: 'g', everyone: true, notify: 'participants' }),
    client.inviteInGroup({ groupID: 'g', inviteeList: ['bob'], everyone: false }),
    // @ts-expect-error: all or some
    client.inviteInGroup({ groupID: 'g', everyone: true, inviteeList: ['bob'] }),
    // @ts-expect-error: nobody
    client.inviteInGroup({ groupID: 'g' }),
    // @ts-expect-error: no group
    client.inviteInGroup({ inviteeList: ['bob'] }),
    // @ts-expect-error: a notice takes no answer
    client.inviteInGroup({ groupID: 'g', everyone: true, notice: true, acceptLimit: 1 }),
  ];
}

export function message(call: Schemas['CallElem']): unknown[] {
  return [
    client.sendMessage({ userID: 'bob', text: 'hello' }),
    client.sendMessage({ groupID: 'g', image: { fileID: 'f' }, mentions: ['bob'] }),
    client.sendMessage({ userID: 'bob', location: { latitude: 1, longitude: 2 }, priority: 'low' }),
    // @ts-expect-error: no target
    client.sendMessage({ text: 'hello' }),
    // @ts-expect-error: two targets
    client.sendMessage({ userID: 'bob', groupID: 'g', text: 'hello' }),
    // @ts-expect-error: no content
    client.sendMessage({ userID: 'bob' }),
    // @ts-expect-error: two contents
    client.sendMessage({ userID: 'bob', text: 'hello', face: { index: 1 } }),
    // @ts-expect-error: two contents
    client.sendMessage({ userID: 'bob', custom: { data: '' }, merged: { title: 't', messages: [] } }),
    // @ts-expect-error: two contents
    client.sendMessage({ userID: 'bob', sound: { fileID: 'f' }, video: { fileID: 'f' } }),
    // @ts-expect-error: call records are the server's
    client.sendMessage({ userID: 'bob', call }),
    // @ts-expect-error: mentions are for groups
    client.sendMessage({ userID: 'bob', text: 'hello', mentions: ['bob'] }),
    // @ts-expect-error: no such priority
    client.sendMessage({ userID: 'bob', text: 'hello', priority: 'urgent' }),

    client.modifyMessage({ conversationID: 'c2c_bob', messageID: 'm', text: 'hi', customData: maybe }),
    client.modifyMessage({ conversationID: 'c2c_bob', messageID: 'm', customData: '' }),
    // @ts-expect-error: nothing to modify
    client.modifyMessage({ conversationID: 'c2c_bob', messageID: 'm' }),
    // @ts-expect-error: two contents
    client.modifyMessage({ conversationID: 'c2c_bob', messageID: 'm', text: 'hi', face: { index: 1 } }),

    inbox.send('group_g', { text: 'hello', mentionAll: true }),
    // @ts-expect-error: no content
    inbox.send('c2c_bob', { replyTo: 'm' }),
    // @ts-expect-error: two contents
    inbox.send('c2c_bob', { text: 'hello', file: { fileID: 'f' } }),
  ];
}

export function others(subscription: { endpoint: string; keys: { p256dh: string; auth: string } }): unknown[] {
  return [
    client.setPushToken({ provider: 'webPush', subscription }),
    client.setPushToken({ provider: 'fcm', token: 't' }),
    // @ts-expect-error: Web Push has a subscription
    client.setPushToken({ provider: 'webPush', token: 't' }),
    // @ts-expect-error: FCM has a token
    client.setPushToken({ provider: 'fcm', subscription }),

    client.setDoNotDisturb({ dailyFrom: '22:00', dailyUntil: '07:00', zoneOffset: 60 }),
    client.setDoNotDisturb({}),
    // @ts-expect-error: a period has two ends
    client.setDoNotDisturb({ dailyFrom: '22:00' }),

    client.accept({ inviteID: 'i' }, { signal: AbortSignal.timeout(1000) }),
    client.listCalls(undefined, { signal: undefined }),
    // @ts-expect-error: fields have names
    client.accept('i'),
    // @ts-expect-error: fields have names
    client.accept({ inviteID: 'i' }, 'yes'),

    // @ts-expect-error: the owner is changed by transferGroupOwner
    client.setGroupMemberRole({ groupID: 'g', userID: 'bob', role: 400 }),

    calls.call({ userID: 'bob' }),
    calls.call({ userIDs: ['bob', 'cid'], groupID: 'g' }),
    // @ts-expect-error: nobody is called
    calls.call({ groupID: 'g' }),
    // @ts-expect-error: one or several
    calls.call({ userID: 'bob', userIDs: ['cid'] }),
    // @ts-expect-error: which call?
    calls.rejoin({}),
    native.startCall({ inviteID: 'i', userID: 'bob', name: 'Bob' }),
    // @ts-expect-error: to whom?
    native.startCall({ inviteID: 'i', name: 'Bob' }),
    // @ts-expect-error: no such event
    client.on('onInviteAccepted', () => undefined),
  ];
}
