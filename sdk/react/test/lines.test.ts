// The lines of a conversation: an update gives the same lines as a fresh start, and keeps those that did not change.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Entry } from 'beckon/inbox';
import { Lines } from '../src/chat/lines.js';

const message = (seq: number, text = `m${seq}`): Entry =>
  ({
    seq,
    event: { type: 'message', messageID: `m${seq}`, from: 'bob', text, time: seq },
    read: 0,
    mine: [],
  }) as object as Entry;

const signaling = (seq: number, actionType: number, inviteID: string, more: object = {}): Entry =>
  ({
    seq,
    event: {
      ...{ type: 'signaling', actionType, inviteID, inviter: 'bob', version: seq, groupID: 'g', everyone: true },
      ...{ time: seq, data: actionType === 1 ? '{"call":1,"media":"audio"}' : '', roomID: 'r' },
      ...more,
    },
    read: 0,
    mine: [],
  }) as object as Entry;

const record = (seq: number, inviteID: string): Entry =>
  ({
    seq,
    event: { type: 'message', messageID: `c${seq}`, from: 'bob', time: seq, call: { inviteID, duration: 9000 } },
    read: 0,
    mine: [],
  }) as object as Entry;

/** Returns a function that gives pseudo-random numbers from 0 to 1. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

test('random changes of the entries give the lines of a fresh start', () => {
  for (let seed = 1; seed <= 300; seed++) {
    const next = random(seed);
    const all = Array.from({ length: 40 }, (_, i) => {
      const inviteID = `i${Math.floor(next() * 4)}`;
      const kind = next();
      if (kind < 0.5) return message(i + 1);
      if (kind < 0.7) return signaling(i + 1, 1, inviteID);
      return kind < 0.9 ? signaling(i + 1, 5, inviteID) : record(i + 1, inviteID);
    });
    let [from, to] = [20, 20];
    const lines = new Lines('me');
    const hidden = new Set<number>();
    const edited = new Map<number, Entry>();
    for (let step = 0; step < 30; step++) {
      const what = next();
      if (what < 0.3) from = Math.max(0, from - Math.floor(next() * 6));
      else if (what < 0.6) to = Math.min(all.length, to + Math.floor(next() * 4));
      else if (what < 0.8) {
        // An invite that was hidden is still known to the lines of its ends.
        const seq = Math.floor(next() * 40) + 1;
        if ('text' in all[seq - 1]!.event) hidden.add(seq);
      } else {
        const seq = Math.floor(next() * 40) + 1;
        if ('text' in all[seq - 1]!.event) edited.set(seq, message(seq, `edited ${step}`));
      }
      const entries = all
        .slice(from, to)
        .filter((e) => !hidden.has(e.seq))
        .map((e) => edited.get(e.seq) ?? e);
      const shown = lines.of(entries);
      assert.deepEqual(shown, new Lines('me').of(entries), `seed ${seed}, step ${step}`);
      assert.equal(lines.of(entries), shown, 'the same entries give the same array');
    }
  }
});

test('a page of earlier entries keeps the later lines', () => {
  const lines = new Lines('me');
  const later = Array.from({ length: 100 }, (_, i) => message(i + 101));
  const before = lines.of(later);
  const after = lines.of([...Array.from({ length: 100 }, (_, i) => message(i + 1)), ...later]);
  assert.equal(after.length, 200);
  assert.ok(before.every((l, i) => after[i + 100] === l));
});
