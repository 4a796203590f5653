// The lines of a conversation: one for each visible entry. Their texts are formatted when they are rendered.
import type { Schemas } from 'beckon';
import { saysBusy } from 'beckon/call';
import type { Entry } from 'beckon/inbox';
import type { TextKey, TextValues, Translator } from '../text/text.js';
import { sameDay } from '../text/text.js';
import { duration } from '../use.js';
import { readScene, type Scene } from './scene.js';

type Message = Schemas['Message'];
type Signaling = Schemas['Signaling'];
type Media = 'video' | 'audio';

/** A text with values; users become names in the values. */
export interface Note {
  key: TextKey;
  values?: TextValues;
  users?: Record<string, readonly string[]>;
  /** The value whose users are the object of the sentence. */
  object?: string;
}

/** A line of a conversation. */
export interface Line {
  /** Is unique in the conversation. */
  key: string;
  entry: Entry;
  time: number;
  /** The sender of a message, or the actor of an event. */
  from: string;
  kind: 'message' | 'note' | 'call';
  /** Of notes and calls. */
  note?: Note;
  message?: Message;
  /** A missed or busy call: it offers a call back. */
  missed?: boolean;
  media?: Media;
  /** A missed group call that may still be in progress: it offers to join. */
  late?: { roomID: string; inviteID: string; inviter: string };
}

/** Names users in texts. object: of a sentence, not its subject. */
export type Named = (userID: string, object?: boolean) => string;

/** Formats a note. */
export function noteText(t: Translator, note: Note, name: Named): string {
  const named = Object.entries(note.users ?? {}).map(([k, users]) => [
    k,
    t.list(users.map((u) => name(u, k === note.object))),
  ]);
  return t.text(note.key, { ...note.values, ...(Object.fromEntries(named) as TextValues) });
}

/** Returns the text of a message. */
export function describe(t: Translator, m: Message): string {
  if (m.revoked) return t.text('message.recalled');
  if (m.text) return m.text;
  if (m.image) return t.text('message.picture');
  if (m.sound) return t.text('message.voice');
  if (m.video) return t.text('message.video');
  if (m.file) return m.file.name || t.text('message.file');
  if (m.location) return m.location.description || t.text('message.place');
  if (m.merged) return m.merged.title;
  if (m.call) return noteText(t, recordOf(m.call), (u) => u);
  return m.custom?.description || t.text('message.other');
}

/** Returns the note of a call record. media is that of the invitation, for records without one. */
function recordOf(call: Schemas['CallElem'], media?: Media): Note {
  const kind = call.media || media;
  const key = kind === 'audio' ? 'record.voice' : kind === 'video' ? 'record.video' : 'record.call';
  return { key, values: { duration: duration(call.duration) } };
}

const tips: Partial<Record<string, (e: Schemas['GroupEvent']) => Note>> = {
  memberEnter: (e) => ({ key: 'tip.joined', users: { members: e.members ?? [] } }),
  memberInvited: (e) => ({
    key: 'tip.added',
    users: { by: [e.from ?? ''], members: e.members ?? [] },
    object: 'members',
  }),
  memberLeave: (e) => ({ key: 'tip.left', users: { members: e.members ?? [] } }),
  memberKicked: (e) => ({
    key: 'tip.removed',
    users: { by: [e.from ?? ''], members: e.members ?? [] },
    object: 'members',
  }),
  administratorGranted: (e) => ({ key: 'tip.moderates', users: { members: e.members ?? [] } }),
  administratorRevoked: (e) => ({ key: 'tip.moderatesNoLonger', users: { members: e.members ?? [] } }),
  groupInfoChanged: (e) => ({ key: 'tip.changed', users: { by: [e.from ?? ''] } }),
  ownerChanged: (e) => ({ key: 'tip.owner', users: { owner: [e.owner ?? ''] } }),
  allMembersMuted: (e) => ({ key: e.on ? 'tip.muted' : 'tip.unmuted' }),
};

/** The visible part of a signaling message; without a note it has no line. */
interface Shown {
  note?: Note;
  missed?: boolean;
}

/** Returns the visible part of a signaling message, for this user. */
function shownOf(m: Signaling, d: Scene, me: string): Shown {
  const by = { by: [m.inviter] };
  const answers = (m.answers ?? []).map((a) => a.invitee);
  const note = (key: TextKey, users: Record<string, readonly string[]>): Shown => ({ note: { key, users } });
  const own = m.inviter === me;
  switch (d.scene) {
    case 'hands':
      if (m.actionType === 1) return note(own ? 'hands.youAsk' : 'hands.asks', by);
      if (m.actionType === 3) return note('hands.raised', { users: answers });
      return m.actionType === 2 ? note('hands.lowered', by) : {};
    case 'lower':
      return note('hands.lowered', by);
    case 'speak':
      if (m.actionType === 1)
        return {
          note: {
            key: own ? 'speak.youAsk' : 'speak.asks',
            users: { ...by, users: m.inviteeList ?? [] },
            object: 'users',
          },
        };
      return m.actionType === 3 ? note(answers[0] === me ? 'speak.youSpeak' : 'speak.speaks', { users: answers }) : {};
    case 'mic':
      return m.actionType === 1 ? note('mic.asked', by) : {};
  }
  if (d.join) return {};
  return callNote(m, d.call ? (d.media === 'audio' ? 'voice' : 'video') : 'other', me);
}

/** Returns the visible part of an action on a call's invitation, for this user. */
function callNote(m: Signaling, kind: 'voice' | 'video' | 'other', me: string): Shown {
  const mine = m.inviter === me;
  const several = Boolean(m.groupID) || (m.inviteeList?.length ?? 0) > 1;
  const about = m.inviteeList ?? [];
  const own = !mine && (about.includes(me) || m.everyone || (!m.groupID && about.length === 0));
  const answer = m.answers?.find((a) => a.invitee === me);
  const users = (m.answers ?? []).map((a) => a.invitee);
  const busy = m.answers?.some((a) => saysBusy(a.reason, a.data)) ?? false;
  const note = (key: TextKey, of?: Record<string, readonly string[]>, missed?: boolean): Shown => ({
    note: { key, values: { kind }, ...(of ? { users: of } : {}) },
    ...(missed ? { missed } : {}),
  });
  switch (m.actionType) {
    case 1:
      return m.groupID && kind !== 'other' ? note('call.began', { by: [m.inviter] }) : {};
    case 2:
      if (m.reason === 'answered') return own ? note('call.answeredByOther') : {};
      if (mine) return m.reason === 'left' ? {} : note('call.youCancelled');
      return own ? note('call.missed', undefined, true) : {};
    case 4:
      if (mine || !answer) return note(busy ? 'call.wasBusy' : 'call.declinedBy', { users });
      return saysBusy(answer.reason, answer.data) ? note('call.missedBusy', undefined, true) : note('call.youDeclined');
    case 5:
      if (mine) return several ? note('call.noAnswerFrom', { users: about }) : note('call.noAnswer');
      return own ? note('call.missed', undefined, true) : {};
  }
  return {};
}

/**
 * Lines keeps the lines of a timeline. The cost of an update is that of the changed entries: the lines of the same entries stay, so that a
 * conversation may hold 100,000.
 */
export class Lines {
  readonly #me: string;
  #entries: readonly Entry[] = [];
  #lines: readonly Line[] = [];
  #scenes = new Map<string, Scene & { roomID: string; version: number }>(); // by invitation
  #recorded = new Set<string>(); // invitations with a call record

  constructor(me: string) {
    this.#me = me;
  }

  /** Returns the lines of the entries, the oldest first. The array is replaced when it changes. */
  of(entries: readonly Entry[]): readonly Line[] {
    if (entries === this.#entries) return this.#lines;
    const before = this.#entries;
    let head = 0;
    while (head < before.length && head < entries.length && before[head] === entries[head]) head++;
    let tail = 0;
    const most = Math.min(before.length, entries.length) - head;
    while (tail < most && before[before.length - 1 - tail] === entries[entries.length - 1 - tail]) tail++;
    const changed = entries.slice(head, entries.length - tail);
    const again = this.#learn(changed);
    const kept = { head: countOf(this.#lines, before, head), tail: countOfTail(this.#lines, before, tail) };
    let lines = [
      ...this.#lines.slice(0, kept.head),
      ...changed.flatMap((e) => this.#line(e) ?? []),
      ...this.#lines.slice(this.#lines.length - kept.tail),
    ];
    // An invite that was loaded after its ends, or a record after them, changes their lines.
    if (again.size)
      lines = mergeByEntry(
        lines,
        entries.filter((e) => again.has(inviteOf(e))),
        (e) => this.#line(e),
      );
    this.#entries = entries;
    this.#lines = lines;
    return lines;
  }

  /** Learns from entries, and returns the invitations of which something new is known. */
  #learn(entries: readonly Entry[]): Set<string> {
    const learned = new Set<string>();
    for (const { event } of entries) {
      const m = event as Signaling;
      if (event.type === 'signaling' && (m.actionType === 1 || m.actionType === 7)) {
        const known = this.#scenes.get(m.inviteID);
        if (!known || known.version < m.version) {
          // a modification may be known before its invite
          this.#scenes.set(m.inviteID, {
            ...readScene(m.data),
            roomID: m.roomID ?? known?.roomID ?? '',
            version: m.version,
          });
          learned.add(m.inviteID);
        } else if (!known.roomID && m.roomID) known.roomID = m.roomID;
      }
      const inviteID = (event as Message).call?.inviteID;
      if (inviteID && !this.#recorded.has(inviteID)) {
        this.#recorded.add(inviteID);
        learned.add(inviteID);
      }
    }
    return learned;
  }

  /** Returns the line of an entry, if it has one. */
  #line(entry: Entry): Line | undefined {
    const event = entry.event as { type: string; time: number; version?: number };
    const version = event.type === 'signaling' ? (event.version ?? 0) : 0;
    const base = { key: `${entry.seq}:${version}`, entry, time: event.time };
    switch (event.type) {
      case 'message': {
        const m = entry.event as Message;
        if (!m.call) return { ...base, from: m.from, kind: 'message', message: m };
        if (m.call.duration === 0) return undefined; // never connected
        const media = this.#scenes.get(m.call.inviteID ?? '')?.media;
        return {
          ...base,
          ...{ from: m.from, kind: 'call', note: recordOf(m.call, media), message: m },
          media: (m.call.media || media) === 'audio' ? 'audio' : 'video',
        };
      }
      case 'signaling': {
        const m = entry.event as Signaling;
        const invite = this.#scenes.get(m.inviteID);
        const d = invite ?? readScene(m.data);
        const { note, missed = false } = shownOf(m, d, this.#me);
        if (!note) return undefined;
        const late =
          missed && m.groupID && invite?.roomID && m.actionType === 5 && !this.#recorded.has(m.inviteID)
            ? { late: { roomID: invite.roomID, inviteID: m.inviteID, inviter: m.inviter } }
            : {};
        const kind = d.scene ? 'note' : 'call';
        return { ...base, from: m.from ?? m.inviter, kind, note, missed, media: d.media ?? 'video', ...late };
      }
      case 'group': {
        const g = entry.event as Schemas['GroupEvent'];
        const note = tips[g.tip]?.(g);
        return note && { ...base, from: g.from ?? '', kind: 'note', note };
      }
    }
    return undefined;
  }
}

/** Returns the invitation of an action or a call record. */
function inviteOf({ event }: Entry): string {
  return (event.type === 'signaling' ? (event as Signaling).inviteID : (event as Message).call?.inviteID) ?? '';
}

/** Returns the number of lines of the first n entries. */
function countOf(lines: readonly Line[], entries: readonly Entry[], n: number): number {
  if (n === entries.length) return lines.length;
  return place(lines, entries[n]!);
}

/** Returns the number of lines of the last n entries. */
function countOfTail(lines: readonly Line[], entries: readonly Entry[], n: number): number {
  if (n === 0) return 0;
  return lines.length - place(lines, entries[entries.length - n]!);
}

/** Returns the index of the first line that is not before an entry. */
function place(lines: readonly Line[], e: Entry): number {
  let [low, high] = [0, lines.length];
  while (low < high) {
    const mid = (low + high) >> 1;
    if (inOrder(lines[mid]!.entry, e) < 0) low = mid + 1;
    else high = mid;
  }
  return low;
}

function inOrder(a: Entry, b: Entry): number {
  const version = (e: Entry): number => (e.event.type === 'signaling' ? (e.event as Signaling).version : 0);
  return a.seq - b.seq || version(a) - version(b);
}

/** Replaces the lines of some entries. */
function mergeByEntry(
  lines: readonly Line[],
  entries: readonly Entry[],
  lineOf: (e: Entry) => Line | undefined,
): Line[] {
  const list = [...lines];
  for (const e of entries) {
    const line = lineOf(e);
    const i = place(list, e);
    list.splice(i, list[i]?.entry === e ? 1 : 0, ...(line ? [line] : []));
  }
  return list;
}

/** Reports whether a line begins a day. */
export function beginsDay(line: Line, before: Line | undefined): boolean {
  return !before || !sameDay(before.time, line.time);
}

/** Returns a short text of the last entry of a conversation. */
export function preview(t: Translator, me: string, name: Named, last: unknown): string {
  if (!last) return '';
  const event = last as { type: string; from?: string };
  if (event.type === 'message') {
    const m = last as Message;
    const text = describe(t, m);
    return m.from === me && !m.call ? t.text('preview.own', { text }) : text;
  }
  if (event.type === 'signaling') {
    const d = readScene((last as Signaling).data);
    return t.text(d.scene === 'mic' ? 'preview.mic' : d.scene ? 'preview.hands' : 'preview.call');
  }
  const g = last as Schemas['GroupEvent'];
  const note = tips[g.tip]?.(g);
  return note ? noteText(t, note, name) : '';
}
