import type { Schemas } from './schema.js';

type Message = Schemas['Message'];
type Change = Schemas['ReactionChange'];

/** The state of the reactions to one message: as read at a version, and later changes. */
interface Known {
  version: number;
  counts: readonly Schemas['ReactionCount'][];
  /** This user's reactions, as read at mineVersion. */
  mine: readonly string[];
  mineVersion: number;
  changes: Map<string, Change>; // the latest by reaction
  own: Map<string, Change>; // likewise, of this user
  shown?: Shown & { of: Message };
}

/** A message with its present reactions, and those of this user. */
interface Shown {
  message: Message;
  mine: readonly string[];
}

const none: readonly string[] = [];

/**
 * Reactions merges the reactions of messages from pages, events and responses, which may arrive in any order: each
 * change has the version of its message and the count after it.
 */
export class Reactions {
  #known = new Map<string, Known>();

  /** Applies a message as read from the server; mine is undefined if the reader's reactions are not known. */
  read(m: Message, mine: readonly string[] | undefined): void {
    const version = m.reactionVersion ?? 0;
    if (!version) return;
    const k = this.#of(m.messageID);
    if (version > k.version) {
      k.version = version;
      k.counts = m.reactions ?? [];
      delete k.shown;
    }
    if (mine && version >= k.mineVersion) {
      k.mineVersion = version;
      k.mine = mine;
      delete k.shown;
    }
  }

  /** Applies changes; me is this user. */
  apply(changes: readonly Change[], me: string): void {
    for (const c of changes) {
      if (!c.reaction) continue; // of an erased user
      const k = this.#of(c.messageID);
      for (const map of c.userID === me ? [k.changes, k.own] : [k.changes])
        if ((map.get(c.reaction)?.version ?? 0) < c.version) map.set(c.reaction, c);
      delete k.shown;
    }
  }

  /** Returns a message with its present reactions: the same object until they change. */
  shown(m: Message): Shown {
    const k = this.#known.get(m.messageID);
    if (!k || m.revoked) return { message: m, mine: none };
    if (k.shown && (k.shown.of === m || k.shown.message === m)) return k.shown;
    const counts = new Map(k.counts.map((c) => [c.reaction, c.count]));
    for (const c of k.changes.values()) if (c.version > k.version) counts.set(c.reaction, c.count);
    const mine = new Set(k.mine);
    for (const c of k.own.values()) {
      if (c.version <= k.mineVersion) continue;
      if (c.removed) mine.delete(c.reaction);
      else mine.add(c.reaction);
    }
    const reactions = [...counts].filter(([, n]) => n > 0).map(([reaction, count]) => ({ reaction, count }));
    const message = { ...m };
    delete message.reactions;
    const shown = { of: m, message: reactions.length ? { ...message, reactions } : message, mine: [...mine] };
    k.shown = shown;
    return shown;
  }

  #of(messageID: string): Known {
    let k = this.#known.get(messageID);
    if (!k) {
      k = { version: 0, counts: [], mine: [], mineVersion: 0, changes: new Map(), own: new Map() };
      this.#known.set(messageID, k);
    }
    return k;
  }
}
