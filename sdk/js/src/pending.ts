import type { Schemas } from './schema.js';

const methods = new Set(['invite', 'inviteInGroup', 'accept', 'reject', 'cancel']);

/** PendingCalls delays events of an invitation while a call of this device about it is pending. */
export class PendingCalls {
  #calls = new Map<string, Promise<void>[]>(); // by invitation, and by a peer with a possible merge

  /** Adds a call. The returned function removes it. */
  add(method: string, body: Record<string, unknown>): () => void {
    const keys = methods.has(method) ? [String(body['inviteID'])] : [];
    if (method === 'invite' && body['mergeGlare']) keys.push(`by ${String(body['invitee'])}`);
    let release = (): void => {};
    const until = new Promise<void>((resolve) => {
      release = resolve;
    });
    for (const key of keys) this.#calls.set(key, [...(this.#calls.get(key) ?? []), until]);
    return () => {
      for (const key of keys) {
        const rest = (this.#calls.get(key) ?? []).filter((p) => p !== until);
        if (rest.length) this.#calls.set(key, rest);
        else this.#calls.delete(key);
      }
      release();
    };
  }

  /** Resolves when no call about the invitation of an event is pending. */
  async settled(m: Schemas['Signaling']): Promise<void> {
    for (const key of [m.inviteID, `by ${m.inviter}`]) {
      for (let calls = this.#calls.get(key); calls; calls = this.#calls.get(key)) await Promise.all(calls);
    }
  }
}
