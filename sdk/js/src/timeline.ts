import type { Client } from './client.js';
import { changed } from './conversation-list.js';
import { Emitter } from './emitter.js';
import type { WireEvent } from './events.js';
import { Reactions } from './reactions.js';
import type { Schemas } from './schema.js';

type Message = Schemas['Message'];
type MessageEvent = Schemas['MessageEvent'];

/** An entry of a conversation: a message, an event of an invitation, or a change of the group. */
export interface Entry {
  /** Later actions on an invitation with a timeline of its own have the sequence of the invite. */
  seq: number;
  event: WireEvent;
  /** Number of read receipts of a group message. */
  read: number;
  /** This user's reactions to a message. */
  mine: readonly string[];
}

/** The events of a Timeline. */
export interface TimelineEvents {
  /** The entries or another property changed; once per microtask. */
  onChanged: undefined;
}

const none: readonly string[] = [];

/** Entries per page. */
const pageSize = 50;

/** Pages that a timeline reads to close a gap. With more it begins with the latest page again. */
const gapPages = 4;

/**
 * Timeline is a contiguous part of the history of one conversation, kept up to date by events. open shows the latest
 * entries, jump those around an anchor, older and newer extend it. Get one from Inbox.timeline.
 */
export class Timeline extends Emitter<TimelineEvents> {
  readonly conversationID: string;
  /** Earlier entries exist. */
  hasOlder = true;
  /** Later entries exist: after a jump. New entries are added only when it is false. */
  hasNewer = false;
  /** One-to-one: the last sequence that the other user has read. */
  peerReadSeq = 0;
  #client: Client;
  #entries = new Map<string, Entry>(); // by keyOf
  #messages = new Map<string, string>(); // keys of entries, by message
  #sorted: Entry[] = [];
  #shared = false; // the array was returned, and is copied before a change
  #changes = new Map<string, MessageEvent>(); // of messages, since the timeline was created: pages may be older
  #reads = new Map<string, number>();
  #reactions = new Reactions();
  #gone = new Set<number>();
  #clearedSeq = 0;
  #last: Promise<unknown> = Promise.resolve(); // loads run one after another
  #opened = false;
  #read = 0; // up to this sequence no entry is missing; later ones are from events
  #stale: 'no' | 'gap' | 'missed' = 'no'; // entries after #read may be missing, or anywhere
  #generation = 0;
  #announced = false;
  #onClose: () => void;
  #stored: (messageID: string) => void;

  /** For internal use. stored is called for each message that the server has. */
  constructor(client: Client, conversationID: string, onClose: () => void, stored: (messageID: string) => void) {
    super(new Set(['onChanged']));
    this.#client = client;
    this.conversationID = conversationID;
    this.#onClose = onClose;
    this.#stored = stored;
  }

  /** The entries, the oldest first. The array is replaced by each change. */
  get entries(): readonly Entry[] {
    this.#shared = true;
    return this.#sorted;
  }

  /** Reads the latest entries. */
  open(): Promise<void> {
    return this.#load(() => this.#latest());
  }

  /** Shows the latest entries again, after a jump. */
  latest(): Promise<void> {
    return this.open();
  }

  /** Reads a page of earlier entries, and resolves with false when there are none. */
  older(): Promise<boolean> {
    return this.#load(async (current) => {
      if (!this.hasOlder) return false;
      const page = await this.#page('older', this.entries[0]?.seq);
      if (current()) this.hasOlder = !page.complete;
      return page.entries.length > 0;
    });
  }

  /** Reads a page of later entries, after a jump, and resolves with false when there are none. */
  newer(): Promise<boolean> {
    return this.#load(async (current) => {
      if (!this.hasNewer) return false;
      const page = await this.#page('newer', this.entries.at(-1)?.seq);
      if (current() && page.complete) await this.#reachEnd();
      return page.entries.length > 0;
    });
  }

  /** Shows the entries around a sequence, instead of those that were shown. */
  jump(seq: number): Promise<void> {
    return this.#load(async () => {
      const current = this.#reset();
      this.hasNewer = true;
      const before = await this.#page('older', seq + 1);
      const after = current() ? await this.#page('newer', seq) : undefined;
      if (!after || !current()) return;
      this.hasOlder = !before.complete;
      if (after.complete) await this.#reachEnd();
    });
  }

  /** Ends the updates. */
  close(): void {
    this.#generation++;
    this.#onClose();
  }

  /** Applies an entry. For internal use. */
  add(seq: number, event: WireEvent): void {
    if (this.hasNewer) return;
    this.#put(seq, event, 0);
    this.#announce();
  }

  /** Applies a later action on an invitation, if its invite is an entry. For internal use. */
  act(event: Schemas['Signaling']): void {
    const seq = this.#seqOf(event.inviteID);
    if (!seq) return;
    this.#put(seq, event, 0);
    this.#announce();
  }

  /** Applies a change of a message or of read receipts. For internal use. */
  change(e: MessageEvent): void {
    for (const seq of e.seqList ?? []) this.#remove(seq);
    for (const r of e.receipts ?? []) this.#reads.set(r.messageID, Math.max(r.read, this.#reads.get(r.messageID) ?? 0));
    this.peerReadSeq = Math.max(this.peerReadSeq, e.peerReadSeq ?? 0);
    if (e.messageID) {
      const before = this.#changes.get(e.messageID);
      const newer =
        before?.type !== 'messageRevoked' && (e.message?.version ?? Infinity) >= (before?.message?.version ?? 0);
      if (newer) this.#changes.set(e.messageID, e);
    }
    this.#refresh([e.messageID ?? '', ...(e.receipts ?? []).map((r) => r.messageID)]);
  }

  /** Applies the known changes to messages. A timeline may have very many entries: only these are read. */
  #refresh(messageIDs: Iterable<string>): void {
    for (const id of messageIDs) {
      const entry = this.#entries.get(this.#messages.get(id) ?? '');
      if (entry) this.#put(entry.seq, entry.event, entry.read);
    }
    this.#announce();
  }

  /** Applies changes of reactions. For internal use. */
  react(changes: readonly Schemas['ReactionChange'][]): void {
    this.#reactions.apply(changes, this.#client.userID);
    this.#refresh(new Set(changes.map((c) => c.messageID)));
  }

  /** Removes entries up to a sequence. For internal use. */
  clear(upTo: number): void {
    if (upTo <= this.#clearedSeq) return;
    this.#clearedSeq = upTo;
    this.#drop(0, this.#place(upTo + 1));
    this.#announce();
  }

  /** Removes entries of this user. For internal use. */
  hide(seqs: number[]): void {
    for (const seq of seqs) this.#remove(seq);
    this.#announce();
  }

  /** Notes that entries may be missing: after the last page, or anywhere. For internal use. */
  expire(where: 'gap' | 'missed'): void {
    if (this.#opened && this.#stale !== 'missed') this.#stale = where;
  }

  /**
   * Reads the missing entries, if there may be any: this device receives no event of its own actions. With an invitation
   * it also reads the actions that have the sequence of the invite. For internal use.
   */
  sync(inviteID = ''): Promise<void> {
    return this.#load(async () => {
      const stale = this.#stale;
      if (stale === 'no' || this.hasNewer) return;
      this.#stale = 'no';
      try {
        if (stale === 'missed') return await this.#latest();
        const seq = this.#seqOf(inviteID);
        await this.#closeGap();
        if (seq) await this.#page('older', seq + 1);
      } catch (err) {
        this.expire(stale); // repeated by the next sync
        throw err;
      }
    });
  }

  /** Empties the timeline: the user left the conversation. For internal use. */
  empty(): void {
    this.#reset();
    this.hasOlder = this.hasNewer = false;
    this.#announce();
  }

  /** Adds new entries from now on, and those since the last page was read. */
  async #reachEnd(): Promise<void> {
    this.hasNewer = false;
    await this.#closeGap();
  }

  /** Reads the entries after the last page. With too many of them the timeline begins with the latest page again. */
  async #closeGap(): Promise<void> {
    const current = this.#current();
    for (let n = 0; this.#read && n < gapPages; n++) {
      const page = await this.#page('newer', this.#read);
      if (!current() || page.complete) return;
    }
    await this.#latest();
  }

  async #latest(): Promise<void> {
    const before = this.#sorted.at(-1)?.seq ?? 0;
    const atGap = this.hasNewer; // then events are not added before the page has come
    const current = this.#current();
    const page = await this.#page('older');
    if (!current()) return;
    this.hasOlder = !page.complete;
    this.hasNewer = false;
    // Entries before the page may have a gap to it. Those that came during the load are newer.
    const first = page.entries[0]?.seq ?? Infinity;
    this.#drop(0, this.#place(Math.min(first, before + 1)));
    this.#announce();
    if (atGap) await this.#closeGap();
  }

  /** Reads a page and adds its entries. */
  async #page(direction: 'older' | 'newer', seq?: number): Promise<{ entries: Entry[]; complete: boolean }> {
    const current = this.#current();
    const entries: Entry[] = [];
    this.#opened = true;
    for (let from = seq; ;) {
      const res = await this.#client.getHistoryMessageList({
        conversationID: this.conversationID,
        direction,
        limit: pageSize,
        ...(from === undefined ? {} : { seq: from }),
      });
      if (!current()) return { entries: [], complete: false };
      this.peerReadSeq = Math.max(this.peerReadSeq, res.peerReadSeq ?? 0);
      for (const m of res.messages) {
        const event = m.event as WireEvent;
        if (event.type === 'message') this.#reactions.read(event as Message, m.mine ?? []);
        this.#put(m.seq, event, m.read ?? 0);
        entries.push({ seq: m.seq, event, read: m.read ?? 0, mine: m.mine ?? [] });
      }
      this.#announce();
      // A page of events for other users only is empty, and has the start of the next one.
      if (res.complete || entries.length || !res.next) {
        entries.sort(inOrder);
        const end = entries.at(-1)?.seq ?? 0;
        this.#read = Math.max(this.#read, end);
        return { entries, complete: res.complete };
      }
      from = res.next;
    }
  }

  #put(seq: number, event: WireEvent, read: number): void {
    if (seq <= this.#clearedSeq || this.#gone.has(seq)) return;
    const key = keyOf(seq, event);
    const known = this.#entries.get(key);
    let shown = event;
    let mine = known?.mine ?? none;
    let count = Math.max(read, known?.read ?? 0);
    if (event.type === 'message') {
      let m = event as Message;
      if (known?.event.type === 'message') {
        const before = known.event as Message;
        if (before.revoked || (before.version ?? 0) > (m.version ?? 0)) m = before;
      }
      const change = this.#changes.get(m.messageID);
      if (change) m = changed(m, change);
      this.#reactions.read(m, undefined);
      ({ message: shown, mine } = this.#reactions.shown(m));
      count = Math.max(count, this.#reads.get(m.messageID) ?? 0);
      this.#stored(m.messageID);
    }
    if (known && known.event === shown && known.read === count && known.mine === mine) return;
    const entry = { seq, event: shown, read: count, mine };
    this.#entries.set(key, entry);
    if (shown.type === 'message') this.#messages.set((shown as Message).messageID, key);
    this.#own().splice(this.#place(seq, versionOf(shown)), known ? 1 : 0, entry);
  }

  /** Returns the array of the entries, to change it. */
  #own(): Entry[] {
    if (this.#shared) this.#sorted = [...this.#sorted];
    this.#shared = false;
    return this.#sorted;
  }

  /** Returns the index of the first entry with this sequence and version, or after them. */
  #place(seq: number, version = -1): number {
    const list = this.#sorted;
    let [low, high] = [0, list.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const e = list[middle]!;
      if (e.seq < seq || (e.seq === seq && versionOf(e.event) < version)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Removes the entries with indices from start up to end, without end. */
  #drop(start: number, end: number): void {
    for (const e of this.#own().splice(start, end - start)) {
      this.#entries.delete(keyOf(e.seq, e.event));
      if (e.event.type === 'message') this.#messages.delete((e.event as Message).messageID);
    }
  }

  #remove(seq: number): void {
    this.#gone.add(seq);
    this.#drop(this.#place(seq), this.#place(seq + 1));
  }

  #reset(): () => boolean {
    this.#generation++;
    this.#drop(0, this.#sorted.length);
    this.#read = 0;
    this.#announce();
    return this.#current();
  }

  /** Returns a function that reports whether the entries were not reset since. */
  #current(): () => boolean {
    const generation = this.#generation;
    return () => this.#generation === generation;
  }

  #load<T>(run: (current: () => boolean) => T | Promise<T>): Promise<T> {
    const next = this.#last.catch(() => undefined).then(() => run(this.#current()));
    this.#last = next.catch(() => undefined);
    return next;
  }

  /** Returns the sequence of the invite of an invitation; 0 if it is no entry. */
  #seqOf(inviteID: string): number {
    const invite = (e: WireEvent): boolean =>
      e.type === 'signaling' && (e as Schemas['Signaling']).inviteID === inviteID;
    return this.entries.find((e) => invite(e.event))?.seq ?? 0;
  }

  /** Raises onChanged once per microtask. */
  #announce(): void {
    if (this.#announced) return;
    this.#announced = true;
    queueMicrotask(() => {
      this.#announced = false;
      this.emit('onChanged', undefined);
    });
  }
}

/** Returns the key of an entry: several actions on an invitation may have one sequence. */
function keyOf(seq: number, event: WireEvent): string {
  return `${seq}:${versionOf(event)}`;
}

function versionOf(event: WireEvent): number {
  return event.type === 'signaling' ? (event as Schemas['Signaling']).version : 0;
}

function inOrder(a: Entry, b: Entry): number {
  return a.seq - b.seq || versionOf(a.event) - versionOf(b.event);
}
