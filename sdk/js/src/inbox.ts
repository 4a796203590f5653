import type { Client } from './client.js';
import { kindOf, targetOf, type Content } from './content.js';
import { ConversationList, type Conversation, type Placed } from './conversation-list.js';
import { Emitter } from './emitter.js';
import { BeckonError, Code } from './error.js';
import type { WireEvent } from './events.js';
import { newID } from './id.js';
import { readJSON, storageOf, writeJSON, type Storage } from './storage.js';
import { Timeline } from './timeline.js';
import { Typing } from './typing.js';
import type { Request, Response, Schemas } from './schema.js';

export { forward, forwardMerged, previewOf, type Content } from './content.js';
export { Timeline, type Entry, type TimelineEvents } from './timeline.js';
export { Typing, type TypingEvents } from './typing.js';
export type { Conversation } from './conversation-list.js';

/** A message that the server has not acknowledged. */
export interface Unsent {
  messageID: string;
  conversationID: string;
  content: Content;
  /** Time of the first attempt, by the clock of the server. */
  time: number;
  /** failed: retry sends it again with the same ID, which the server stores at most once. */
  state: 'sending' | 'failed';
  error?: BeckonError;
}

/** The events of an Inbox. */
export interface InboxEvents {
  /** The list of conversations changed; once per microtask. */
  onConversations: undefined;
  /** The unsent messages or the draft of a conversation changed. */
  onUnsent: { conversationID: string };
  /** A reload failed. It is repeated by itself, or with the next connect. */
  onError: { error: unknown };
}

/** Options of an Inbox. */
export interface InboxOptions {
  /** Storage of drafts and unsent messages. Default: localStorage and sessionStorage; false = memory only. */
  storage?: Storage | false | undefined;
}

/** Conversations per page, and invitations with a remembered conversation. */
const pageSize = 1000;
const maxRemembered = 1000;

/** Pause before a failed load is repeated, in milliseconds. */
const retryDelay = 1000;

/** Methods that change this user's state of a conversation and return it. */
const adjusting = new Set([
  'markConversationRead',
  'pinConversation',
  'setReceiveOption',
  'deleteConversation',
  'clearHistory',
]);

const reacting = new Set(['addMessageReaction', 'removeMessageReaction']);

/** Methods of invitations that write an entry of a conversation. */
const inviting = new Set(['invite', 'inviteInGroup', 'addInvitees', 'accept', 'reject', 'cancel', 'modifyInvitation']);

/**
 * Inbox holds the conversations of a user, their unread counts and drafts, the open timelines and the unsent messages.
 * It is loaded once, and kept up to date by events and by the responses to this client's calls.
 */
export class Inbox extends Emitter<InboxEvents> {
  readonly client: Client;
  /** Who is typing where. */
  readonly typing: Typing;
  #list = new ConversationList();
  #sorted: readonly Conversation[] | undefined;
  #timelines = new Map<string, Set<Timeline>>();
  #unsent = new Map<string, Unsent>();
  #drafts: Record<string, string> = {};
  #places = new Map<string, string>(); // conversations of invitations
  #last: Promise<void> = Promise.resolve(); // events and loads run in order
  #announced = false;
  #announcedChanges = 0; // of the list, when onConversations was last scheduled
  #stores: { drafts?: Storage | undefined; unsent?: Storage | undefined };
  #restored = false;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #off: (() => void)[];

  constructor(client: Client, options: InboxOptions = {}) {
    super(new Set(['onConversations', 'onUnsent', 'onError']));
    this.client = client;
    this.typing = new Typing(client);
    const { storage } = options;
    this.#stores =
      storage === undefined
        ? { drafts: storageOf('localStorage'), unsent: storageOf('sessionStorage') }
        : { drafts: storage || undefined, unsent: storage || undefined };
    this.#off = [
      client.on('onConnected', () => this.#connected()),
      client.on('onEvent', ({ timeline, seq, event }) => this.#enqueue(() => this.#event(timeline, seq, event))),
      client.on('onReload', () => this.#enqueue(() => this.#reload(true))),
      client.on('onResponse', ({ method, request, response }) => this.#response(method, request, response)),
    ];
    if (client.connected) this.#connected();
  }

  /** Reports whether the conversations were loaded. */
  get loaded(): boolean {
    return this.#list.loaded;
  }

  /** The conversations: pinned ones first, then by the latest entry. The array is replaced by each change. */
  get conversations(): readonly Conversation[] {
    return (this.#sorted ??= this.#list.list());
  }

  /** The unread messages of all conversations, without those with the receive option nothing. */
  get totalUnread(): number {
    return this.conversations.reduce((n, v) => n + (v.receiveOption === 'nothing' ? 0 : v.unread), 0);
  }

  /** Returns a timeline of a conversation, which is empty until its open or jump. Close it after use. */
  timeline(conversationID: string): Timeline {
    const set = this.#timelines.get(conversationID) ?? new Set<Timeline>();
    const close = (): void => {
      set.delete(t);
      if (!set.size && this.#timelines.get(conversationID) === set) this.#timelines.delete(conversationID);
    };
    const t = new Timeline(this.client, conversationID, close, (messageID) => this.#acknowledged(messageID));
    this.#timelines.set(conversationID, set.add(t));
    return t;
  }

  /** The draft of a conversation; empty = none. */
  draft(conversationID: string): string {
    return Object.hasOwn(this.#drafts, conversationID) ? this.#drafts[conversationID]! : '';
  }

  /** Keeps the draft of a conversation; empty removes it. */
  setDraft(conversationID: string, text: string): void {
    if (this.#restored) this.#drafts = { ...this.#storedDrafts() }; // with those of other tabs
    if (text) this.#drafts[conversationID] = text;
    else delete this.#drafts[conversationID];
    this.#save();
    this.emit('onUnsent', { conversationID });
  }

  /** The messages of a conversation that the server has not acknowledged, the oldest first. */
  unsent(conversationID: string): Unsent[] {
    return [...this.#unsent.values()].filter((m) => m.conversationID === conversationID);
  }

  /** Sends a message. Until the server acknowledges it, it is in unsent; after an error as failed. */
  send(conversationID: string, content: Content): Promise<Response<'sendMessage'>> {
    const messageID = newID();
    this.#unsent.set(messageID, { messageID, conversationID, content, time: this.client.now(), state: 'sending' });
    return this.#send(messageID);
  }

  /** Sends a failed message again. */
  retry(messageID: string): Promise<Response<'sendMessage'>> {
    const m = this.#unsent.get(messageID);
    if (m?.state !== 'failed')
      return Promise.reject(
        new BeckonError({ code: 6017, field: 'messageID', message: 'no message with this ID failed' }),
      );
    return this.#send(messageID);
  }

  /** Removes a failed message. If its failure was a missing response, the server may have it. */
  discard(messageID: string): void {
    const m = this.#unsent.get(messageID);
    if (m?.state === 'failed') this.#acknowledged(messageID);
  }

  /** Ends the updates. */
  dispose(): void {
    clearTimeout(this.#retry);
    this.typing.dispose();
    for (const off of this.#off.splice(0)) off();
    for (const set of [...this.#timelines.values()]) for (const t of [...set]) t.close();
  }

  async #send(messageID: string): Promise<Response<'sendMessage'>> {
    const m: Unsent = { ...this.#unsent.get(messageID)!, state: 'sending' };
    delete m.error;
    this.#setUnsent(m);
    try {
      const target = { ...targetOf(m.conversationID), messageID };
      return await this.client.sendMessage({ ...m.content, ...target } as Request<'sendMessage'>);
    } catch (err) {
      const error =
        err instanceof BeckonError ? err : new BeckonError({ code: Code.BadParameter, message: String(err) });
      const content = { ...m.content };
      if (error.field === 'replyTo') delete content.replyTo; // that message is gone: retry sends it without
      if (this.#unsent.has(messageID)) this.#setUnsent({ ...m, content, state: 'failed', error });
      throw err;
    }
  }

  #setUnsent(m: Unsent): void {
    this.#unsent.set(m.messageID, m);
    this.#save();
    this.emit('onUnsent', { conversationID: m.conversationID });
  }

  #acknowledged(messageID: string): void {
    const m = this.#unsent.get(messageID);
    if (!m) return;
    this.#unsent.delete(messageID);
    this.#save();
    this.emit('onUnsent', { conversationID: m.conversationID });
  }

  #key(name: string): string {
    return `beckon.${name} ${this.client.server} ${this.client.userID}`;
  }

  /** Stores drafts and unsent messages. Before the first connect the user is not known, and they are in memory. */
  #save(): void {
    if (!this.#restored) return;
    writeJSON(this.#stores.drafts, this.#key('drafts'), this.#drafts);
    writeJSON(this.#stores.unsent, this.#key('unsent'), [...this.#unsent.values()]);
  }

  #storedDrafts(): Record<string, string> {
    return this.#stores.drafts ? (readJSON(this.#stores.drafts, this.#key('drafts')) ?? {}) : this.#drafts;
  }

  /** Reads the drafts and unsent messages of this user. Messages of an earlier page are failed: retry is safe. */
  #restore(): void {
    if (this.#restored) return;
    this.#drafts = { ...this.#storedDrafts(), ...this.#drafts };
    const unsent = readJSON<Unsent[]>(this.#stores.unsent, this.#key('unsent')) ?? [];
    for (const m of Array.isArray(unsent) ? unsent : [])
      if (!this.#unsent.has(m.messageID)) this.#unsent.set(m.messageID, failedBefore(m));
    this.#restored = true;
    this.#save();
    const changed = [...Object.keys(this.#drafts), ...[...this.#unsent.values()].map((m) => m.conversationID)];
    for (const conversationID of new Set(changed)) this.emit('onUnsent', { conversationID });
  }

  #connected(): void {
    this.#list.me = this.client.userID;
    this.#restore();
    this.#enqueue(async () => {
      if (!this.#list.loaded) await this.#reload(false);
      this.#syncAll();
    });
  }

  /** Reads the missing entries of the open timelines. */
  #syncAll(): void {
    for (const t of this.#open()) this.#background(t.sync());
  }

  #open(conversationID?: string): Timeline[] {
    const sets = conversationID === undefined ? [...this.#timelines.values()] : [this.#timelines.get(conversationID)];
    return sets.flatMap((s) => [...(s ?? [])]);
  }

  /** Queues an event or a load. */
  #enqueue(run: () => void | Promise<void>): void {
    this.#last = this.#last.then(run).catch((error: unknown) => this.emit('onError', { error }));
  }

  async #event(timeline: string, seq: number, event: WireEvent): Promise<void> {
    const placed = this.#list.event(timeline, seq, event);
    if (event.type === 'signaling') this.#remember((event as Schemas['Signaling']).inviteID, placed.conversationID);
    this.#apply(placed, seq, event);
    if (timeline.startsWith('invitation:')) for (const t of this.#open()) t.act(event as Schemas['Signaling']);
    this.#announce();
    if (placed.reload) await this.#refresh(placed.conversationID, !placed.entry && event.type === 'signaling');
  }

  /** Applies an event to the open timelines. */
  #apply({ conversationID, entry }: Placed, seq: number, event: WireEvent): void {
    for (const t of this.#open(conversationID)) {
      if (entry) t.add(seq, event);
      else if (event.type === 'messageReactions') t.react((event as Schemas['ReactionEvent']).changes);
      else if (event.type === 'group') {
        const { tip } = event as Schemas['GroupEvent'];
        if (tip === 'quitFromGroup' || tip === 'groupDismissed') t.empty();
        if (tip === 'groupCreated' || tip === 'groupJoined') {
          t.expire('missed');
          this.#background(t.sync());
        }
      } else if (event.type === 'conversationRead' || event.type === 'conversationChanged')
        t.clear((event as Schemas['ConversationEvent']).clearedSeq ?? 0);
      else if (event.type !== 'signaling') t.change(event as Schemas['MessageEvent']);
    }
    if (entry && event.type === 'message') this.#acknowledged((event as Schemas['Message']).messageID);
  }

  #background(load: Promise<unknown>): void {
    load.catch((error: unknown) => this.emit('onError', { error }));
  }

  #remember(inviteID: string, conversationID: string): void {
    if (!conversationID) return;
    this.#places.delete(inviteID);
    this.#places.set(inviteID, conversationID);
    if (this.#places.size > maxRemembered) this.#places.delete(this.#places.keys().next().value!);
  }

  /** Applies the response to a call of this device, which receives no event of it. */
  #response(method: string, request: Record<string, unknown>, response: unknown): void {
    const conversationID = String(request['conversationID'] ?? '');
    let refresh: string[] = [];
    if (method === 'sendMessage') refresh = this.#sent(request, response as Response<'sendMessage'>);
    else if (adjusting.has(method)) {
      const { conversation, seq } = response as Response<'pinConversation'>;
      if (this.#list.adjusted(conversation, seq)) refresh = [conversationID];
      for (const t of this.#open(conversationID)) t.clear(conversation.clearedSeq ?? 0);
    } else if (method === 'deleteMessages') {
      const seqs = request['seqList'] as number[];
      this.#list.deleted(conversationID, seqs);
      for (const t of this.#open(conversationID)) t.hide(seqs);
      refresh = [conversationID];
    } else if (method === 'revokeMessage' || method === 'modifyMessage') {
      this.#messageChanged(method, (response as Response<'modifyMessage'>).message);
      refresh = [conversationID];
    } else if (reacting.has(method)) {
      for (const t of this.#open(conversationID)) t.react([response as Response<'addMessageReaction'>]);
    } else if (inviting.has(method)) return this.#invited(method, request, response);
    else if (!/^(get|list|search)/.test(method)) {
      const { group } = response as { group?: { groupID?: string } };
      if (group?.groupID) refresh = [`group_${group.groupID}`];
    }
    this.#announce();
    for (const id of refresh) this.#enqueue(() => this.#refresh(id, method !== 'sendMessage'));
  }

  #sent(request: Record<string, unknown>, { conversationID, messageID, seq, time }: Response<'sendMessage'>): string[] {
    this.#acknowledged(messageID);
    if (!seq) return [];
    const { userID, ...body } = request as Request<'sendMessage'>;
    delete body.requestID;
    const message = {
      ...body,
      ...{ type: 'message', messageID, messageType: kindOf(body), from: this.client.userID, time },
      ...(userID ? { to: userID } : {}),
    } as object as Schemas['Message'];
    for (const t of this.#open(conversationID)) t.add(seq, message);
    return this.#list.sent(conversationID, seq, message) ? [conversationID] : [];
  }

  #messageChanged(method: string, message: Schemas['Message']): void {
    const { messageID, from, to = '', groupID = '' } = message;
    const e = {
      type: method === 'revokeMessage' ? 'messageRevoked' : 'messageModified',
      ...{ messageID, from, to, groupID, message, time: message.time },
    } as Schemas['MessageEvent'];
    const { conversationID } = this.#list.event('', 0, e);
    for (const t of this.#open(conversationID)) t.change(e);
  }

  /** Reads the conversations of an invitation: the entries of this device's actions are only there. */
  #invited(method: string, request: Record<string, unknown>, response: unknown): void {
    const { invitation } = response as Response<'invite'>;
    const inviteID = String((response as { inviteID?: string }).inviteID ?? request['inviteID']);
    let places = this.#places.has(inviteID) ? [this.#places.get(inviteID)!] : [];
    if (invitation?.groupID) places = [`group_${invitation.groupID}`];
    else if (method === 'invite')
      places = [request['invitee'], ...((request['inviteeList'] as string[]) ?? [])]
        .filter(Boolean)
        .map((u) => `c2c_${String(u)}`);
    else if (invitation && invitation.inviter !== this.client.userID) places = [`c2c_${invitation.inviter}`];
    if (places[0]) this.#remember(inviteID, places[0]);
    if (!places.length) return this.#enqueue(() => this.#reload(true));
    for (const id of places) this.#enqueue(() => this.#refresh(id, true, inviteID));
  }

  /** Reads one conversation; with entries = true also the missing entries of its open timelines. */
  async #refresh(conversationID: string, entries: boolean, inviteID = ''): Promise<void> {
    if (entries) for (const t of this.#open(conversationID)) t.expire('gap');
    try {
      const res = await this.client.getConversation({ conversationID });
      this.#list.replace(res.conversation, res.seq);
    } catch (err) {
      if (!(err instanceof BeckonError) || (err.code !== 10007 && err.code !== 10010)) return this.#failed(err);
      this.#list.drop(conversationID);
      for (const t of this.#open(conversationID)) t.empty();
    }
    this.#announce();
    if (entries) for (const t of this.#open(conversationID)) this.#background(t.sync(inviteID));
  }

  /** Reads all conversations; after missed events also the open timelines. */
  async #reload(missed: boolean): Promise<void> {
    if (missed) for (const t of this.#open()) t.expire('missed');
    const asked = this.#list.ask();
    const list: Conversation[] = [];
    let own = 0; // of the first page: events between the pages are newer
    try {
      for (let offset = 0; ;) {
        const res = await this.client.getConversationList({ limit: pageSize, offset });
        list.push(...res.conversations);
        if (!offset) own = res.seq;
        if (!res.next) break;
        offset = res.next;
      }
    } catch (err) {
      return this.#failed(err);
    }
    this.#list.load(list, asked, own);
    this.#announce();
    this.#syncAll();
  }

  /** Repeats a failed load, unless the client is disconnected: then the next connect does. */
  #failed(error: unknown): void {
    this.#list.ask();
    this.emit('onError', { error });
    clearTimeout(this.#retry);
    const pause = error instanceof BeckonError ? Math.max(retryDelay, error.retryAfter ?? 0) : retryDelay;
    this.#retry = setTimeout(
      () =>
        this.#enqueue(async () => {
          if (this.client.connected && !this.#list.loaded) await this.#reload(false);
        }),
      pause,
    );
    (this.#retry as { unref?: () => void }).unref?.();
  }

  /** Raises onConversations once per microtask, if the list has changed. */
  #announce(): void {
    if (this.#list.changes === this.#announcedChanges) return;
    this.#announcedChanges = this.#list.changes;
    this.#sorted = undefined;
    if (this.#announced) return;
    this.#announced = true;
    queueMicrotask(() => {
      this.#announced = false;
      this.emit('onConversations', undefined);
    });
  }
}

/** Returns an unsent message of an earlier page. Its outcome is unknown. */
function failedBefore({ messageID, conversationID, content, time }: Unsent): Unsent {
  const error = new BeckonError({ code: Code.Timeout, message: 'the page was closed before the server had answered' });
  return { messageID, conversationID, content, time, state: 'failed', error };
}
