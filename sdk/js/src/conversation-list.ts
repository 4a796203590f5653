import { conversationOf, type WireEvent } from './events.js';
import type { Schemas } from './schema.js';
import type { ReceiveOption } from './values.js';

export type Conversation = Schemas['Conversation'];
type Message = Schemas['Message'];
type Signaling = Schemas['Signaling'];

/** Action types of signaling events. */
const invite = 1;
const timeout = 5;
const ringing = 8;
const digest = 9;

/** Group types without unread counts. */
const uncounted = new Set(['Meeting', 'AVChatRoom']);

/** Group changes that are entries of its history. */
const shown = new Set([
  'memberEnter',
  'memberInvited',
  'memberLeave',
  'memberKicked',
  'administratorGranted',
  'administratorRevoked',
  'groupInfoChanged',
  'ownerChanged',
  'allMembersMuted',
]);

/** The place of an event in a conversation, and whether the server may have more of the conversation than this device. */
export interface Placed {
  conversationID: string;
  /** The event is an entry of the conversation's history. */
  entry: boolean;
  /** The conversation must be read from the server. */
  reload: boolean;
}

const nowhere: Placed = { conversationID: '', entry: false, reload: false };

/** One conversation: the state of the server up to head, and the updates after it. */
interface Box {
  v: Conversation;
  later: Set<number>; // sequences after head that count as unread
  gone: Set<number>; // deleted by this user
  own: number; // sequence on the user's own timeline of the last applied action of the user's devices
  changed: number; // number of the last update
}

/**
 * ConversationList maintains the conversations of one user in memory: a state loaded from the server, updated by events.
 * It does no I/O. The rules are those of the Go package client/internal/inbox.
 */
export class ConversationList {
  me = '';
  loaded = false;
  #boxes = new Map<string, Box>();
  #changes = 0;

  /** The number of changes. */
  get changes(): number {
    return this.#changes;
  }

  /** Returns the listed conversations: pinned ones first, then by the latest entry. */
  list(): Conversation[] {
    return [...this.#boxes.values()]
      .filter(listed)
      .map((b) => ({ ...b.v, unread: b.v.unread + b.later.size }))
      .sort(
        (a, b) =>
          Number(b.pinned ?? false) - Number(a.pinned ?? false) ||
          (b.lastTime ?? 0) - (a.lastTime ?? 0) ||
          (a.conversationID < b.conversationID ? -1 : 1),
      );
  }

  /** Starts a load of all conversations, and returns the argument for load. Until load the list is not loaded. */
  ask(): number {
    this.loaded = false;
    return this.#changes;
  }

  /**
   * Applies the complete list of the server, read when the user's own timeline was at own. Conversations that are not in
   * it are empty or no longer this user's, and are hidden until a newer entry, unless this device has updates after ask.
   */
  load(list: Conversation[], asked: number, own: number): void {
    const present = new Set(list.map((v) => v.conversationID));
    for (const v of list) this.replace(v, own);
    this.loaded = true;
    this.#changes++;
    for (const [id, b] of this.#boxes) {
      // A one-to-one conversation is on the user's own timeline, so this is exact.
      const before = b.v.groupID ? b.changed <= asked : Math.max(b.own, b.v.lastSeq ?? 0) <= own;
      if (present.has(id) || !before) continue;
      b.v.hiddenSeq = Math.max(b.v.hiddenSeq ?? 0, b.v.lastSeq ?? 0, 1);
      b.v.pinned = false;
    }
  }

  /** Replaces a conversation by the state of the server, read when the user's own timeline was at own. */
  replace(v: Conversation, own: number): void {
    this.#change(v.conversationID, true, (b) => {
      const old = { ...b, v: b.v };
      b.v = { ...v, peerReadSeq: Math.max(v.peerReadSeq ?? 0, old.v.peerReadSeq ?? 0) };
      b.own = Math.max(own, old.own);
      if (old.own > own) {
        // later actions of the user's devices are not included
        const { readSeq = 0, pinned = false, unread, head } = old.v;
        b.v = { ...b.v, readSeq, pinned, unread, head };
        setOption(b.v, old.v.receiveOption);
      }
      read(b, b.v.unread, b.v.head);
      clear(b, old.v.clearedSeq ?? 0);
      if ((old.v.lastSeq ?? 0) > v.head) last(b, old.v.lastSeq ?? 0, old.v.lastTime ?? 0, old.v.last);
      b.v.hiddenSeq = Math.max(b.v.hiddenSeq ?? 0, old.v.hiddenSeq ?? 0);
    });
  }

  /** Removes a conversation that is no longer this user's. */
  drop(id: string): void {
    if (this.#boxes.delete(id)) this.#changes++;
  }

  /** Records messages that this user deleted: their events may follow, if the deletion overtook them. */
  deleted(id: string, seqs: number[]): void {
    this.#change(id, false, (b) => seqs.forEach((s) => b.gone.add(s)));
  }

  /** Applies a message that this device sent, and reports whether the conversation must be read. */
  sent(id: string, seq: number, m: Message): boolean {
    if (m.excludeFromLastMessage || m.receiverList?.length) return false;
    return this.#change(id, false, (b) => last(b, seq, m.time, m));
  }

  /** Applies an action of this device on a conversation, and reports whether the conversation must be read. */
  adjusted(v: Conversation, own: number): boolean {
    return this.#change(v.conversationID, true, (b) => {
      b.v.peerReadSeq = Math.max(b.v.peerReadSeq ?? 0, v.peerReadSeq ?? 0);
      b.v.hiddenSeq = Math.max(b.v.hiddenSeq ?? 0, v.hiddenSeq ?? 0);
      did(b, own, v);
      if (own < b.own) return; // responses may arrive out of order
      b.v.pinned = v.pinned ?? false;
      setOption(b.v, v.receiveOption);
      b.own = own;
    });
  }

  /** Applies an event. */
  event(timeline: string, seq: number, event: WireEvent): Placed {
    switch (event.type) {
      case 'message':
        return seq ? this.#message(seq, event as Message) : nowhere;
      case 'signaling':
        return seq ? this.#signaling(timeline, seq, event as Signaling) : nowhere;
      case 'conversationRead':
      case 'conversationChanged':
        return this.#action(event as Schemas['ConversationEvent'], seq);
      case 'group':
        return this.#tip(timeline, seq, event as Schemas['GroupEvent']);
      case 'messageReactions':
        return { ...nowhere, conversationID: conversationOf(this.me, event as Schemas['ReactionEvent']) };
      case 'messageRevoked':
      case 'messageModified':
      case 'messageDeleted':
      case 'readReceipt':
        return this.#messageChange(event as Schemas['MessageEvent']);
    }
    return nowhere;
  }

  #message(seq: number, m: Message): Placed {
    const conversationID = conversationOf(this.me, m);
    const reload = this.#change(conversationID, false, (b) => {
      const targeted = Boolean(m.receiverList?.length);
      if (m.from !== this.me && !m.excludeFromUnread && !targeted) count(b, seq);
      if (!m.excludeFromLastMessage && !targeted) last(b, seq, m.time, m);
    });
    return { conversationID, entry: true, reload };
  }

  #signaling(timeline: string, seq: number, m: Signaling): Placed {
    if (m.actionType === digest || m.actionType === ringing) return nowhere;
    const mine = timeline.startsWith('user:');
    const answers = m.answers ?? [];
    const own = answers.some((a) => a.invitee === this.me);
    const ofOthers = answers.length > 0 && !own;
    let id: string;
    if (timeline.startsWith('group:')) id = `group_${timeline.slice('group:'.length)}`;
    else if (mine && !m.groupID && m.to)
      id = `c2c_${m.inviter !== this.me ? m.inviter : m.from && m.from !== this.me ? m.from : m.to}`;
    else if (mine && !m.groupID && m.inviter !== this.me)
      id = `c2c_${m.inviter}`; // one of several invitees
    else if (m.groupID && m.inviter !== this.me && m.actionType !== timeout && !ofOthers)
      return { conversationID: `group_${m.groupID}`, entry: false, reload: true }; // on the invitation's own timeline
    else if (own) return { conversationID: `c2c_${m.inviter}`, entry: false, reload: true };
    else return nowhere;
    const fresh = this.#change(id, false, (b) => {
      if (m.actionType === invite && m.inviter !== this.me) count(b, seq);
      last(b, seq, m.time, m);
    });
    return { conversationID: id, entry: true, reload: fresh || own }; // an answer marks the invite as read
  }

  #action(e: Schemas['ConversationEvent'], own: number): Placed {
    const reload = this.#change(e.conversationID, true, (b) => {
      did(b, own, e);
      if (own >= b.own) {
        b.v.pinned = e.pinned ?? false;
        setOption(b.v, e.receiveOption);
      }
      b.own = Math.max(b.own, own);
      b.v.hiddenSeq = Math.max(b.v.hiddenSeq ?? 0, e.hiddenSeq ?? 0);
    });
    return { conversationID: e.conversationID, entry: false, reload };
  }

  #tip(timeline: string, seq: number, e: Schemas['GroupEvent']): Placed {
    const conversationID = `group_${e.groupID}`;
    switch (e.tip) {
      case 'groupCreated':
      case 'groupJoined':
        return { conversationID, entry: false, reload: true };
      case 'quitFromGroup':
      case 'groupDismissed':
        this.drop(conversationID);
        return { conversationID, entry: false, reload: false };
    }
    if (!shown.has(e.tip) || !timeline.startsWith('group:')) return nowhere;
    const reload = this.#change(conversationID, false, (b) => {
      last(b, seq, e.time, e);
      if (e.info) b.v.name = e.info.name ?? '';
    });
    return { conversationID, entry: true, reload };
  }

  #messageChange(e: Schemas['MessageEvent']): Placed {
    const conversationID = e.conversationID || conversationOf(this.me, e);
    if (e.type === 'readReceipt') {
      if (e.conversationID)
        this.#change(conversationID, false, (b) => {
          b.v.peerReadSeq = Math.max(b.v.peerReadSeq ?? 0, e.peerReadSeq ?? 0);
        });
      return { conversationID, entry: false, reload: false };
    }
    if (e.type === 'messageDeleted') {
      this.deleted(conversationID, e.seqList ?? []);
      return { conversationID, entry: false, reload: true };
    }
    this.#change(conversationID, false, (b) => {
      const m = b.v.last as Message | undefined;
      if (m?.messageID === e.messageID && m?.type === 'message') b.v.last = changed(m, e);
    });
    return { conversationID, entry: false, reload: e.type === 'messageRevoked' }; // the count may be lower
  }

  /**
   * Updates a conversation. An unknown one-to-one conversation is created; that of a group must be loaded, because events
   * of a group may follow after its member has left. It reports whether the conversation is new here.
   */
  #change(id: string, loaded: boolean, update: (b: Box) => void): boolean {
    let b = this.#boxes.get(id);
    const fresh = !b;
    if (!b) {
      const group = id.startsWith('group_');
      if (group && !loaded) return true;
      const of = id.slice(id.indexOf('_') + 1);
      const v: Conversation = { conversationID: id, type: group ? 'group' : 'c2c', unread: 0, head: 0 };
      if (group) v.groupID = of;
      else v.userID = of;
      b = { v, later: new Set(), gone: new Set(), own: 0, changed: 0 };
      this.#boxes.set(id, b);
    }
    b.v = { ...b.v }; // lists that were returned before do not change
    update(b);
    b.changed = ++this.#changes;
    return fresh;
  }
}

/** Returns a message after a change. */
export function changed(m: Message, e: Schemas['MessageEvent']): Message {
  if (m.revoked || (e.message && (e.message.version ?? 0) < (m.version ?? 0))) return m;
  if (e.message) return e.message;
  const { type, messageID, messageType, from, time, version = 0 } = m;
  const place = m.groupID ? { groupID: m.groupID } : { to: m.to ?? '' };
  return {
    ...{ type, messageID, messageType, from, time, version, ...place, revoked: true },
    ...{ revokedBy: e.by ?? '', revokeReason: e.reason ?? '' },
  };
}

/** Reports whether a conversation is in the list: it has an entry newer than its deletion. */
function listed({ v }: Box): boolean {
  if (!v.lastSeq) return Boolean(v.pinned) || (v.type === 'group' && !v.hiddenSeq);
  return Boolean(v.pinned) || v.lastSeq > (v.hiddenSeq ?? 0);
}

/** Counts an entry as unread. */
function count(b: Box, seq: number): void {
  if (seq > b.v.head && seq > (b.v.readSeq ?? 0) && !uncounted.has(b.v.groupType ?? '')) b.later.add(seq);
}

/** Applies the unread count of the server at the sequence head. */
function read(b: Box, unread: number, head: number): void {
  if (head < b.v.head) return;
  b.v.unread = unread;
  b.v.head = head;
  for (const seq of b.later) if (seq <= head) b.later.delete(seq);
}

/** Applies an entry as the last one, if it is newer. */
function last(b: Box, seq: number, time: number, event: unknown): void {
  if (seq <= Math.max(b.v.lastSeq ?? 0, b.v.clearedSeq ?? 0) || b.gone.has(seq)) return;
  Object.assign(b.v, { lastSeq: seq, lastTime: time, last: event });
}

/** Hides entries up to a sequence. */
function clear(b: Box, upTo: number): void {
  b.v.clearedSeq = Math.max(b.v.clearedSeq ?? 0, upTo);
  if ((b.v.lastSeq ?? 0) > b.v.clearedSeq) return;
  for (const key of ['lastSeq', 'lastTime', 'last'] as const) delete b.v[key];
}

/** Applies the read and cleared positions of the user's devices, which only increase. */
function did(b: Box, own: number, e: { readSeq?: number; unread: number; head?: number; clearedSeq?: number }): void {
  if (own >= b.own) read(b, e.unread, e.head ?? 0);
  b.v.readSeq = Math.max(b.v.readSeq ?? 0, e.readSeq ?? 0);
  clear(b, e.clearedSeq ?? 0);
}

function setOption(v: Conversation, option: ReceiveOption | undefined): void {
  if (option && option !== 'notify') v.receiveOption = option;
  else delete v.receiveOption;
}
