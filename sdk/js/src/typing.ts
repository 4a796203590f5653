import type { Client } from './client.js';
import { conversationOf } from './events.js';
import { Emitter } from './emitter.js';

/** The events of Typing. */
export interface TypingEvents {
  /** The users who are typing in a conversation changed. */
  onChanged: { conversationID: string };
}

/**
 * Times of the protocol, in milliseconds: a typing event holds for holds, and is repeated every repeats. The server sends
 * at most one every pause.
 */
const holds = 6000;
const repeats = 4000;
const pause = 2000;

/** Typing holds who is typing in which conversation, and reports that this user is. Nothing of it is stored. */
export class Typing extends Emitter<TypingEvents> {
  #client: Client;
  #users = new Map<string, Map<string, ReturnType<typeof setTimeout>>>(); // by conversation and user
  #sent = new Map<string, number>(); // times of the last events of this user, by conversation
  #off: (() => void)[];

  /** For internal use: Inbox.typing is one. */
  constructor(client: Client) {
    super(new Set(['onChanged']));
    this.#client = client;
    this.#off = [
      client.on('onTyping', ({ conversationID, userID, typing }) => this.#set(conversationID, userID, typing)),
      client.on('onReceiveMessage', ({ conversationID, message }) => this.#set(conversationID, message.from, false)),
      client.on('onResponse', ({ method, request }) => {
        const { userID = '', groupID = '' } = request as { userID?: string; groupID?: string };
        if (method === 'sendMessage') this.#sent.delete(conversationOf('', { from: '', to: userID, groupID }));
      }),
    ];
  }

  /** The other users who are typing in a conversation. */
  users(conversationID: string): string[] {
    return [...(this.#users.get(conversationID)?.keys() ?? [])];
  }

  /** Call it with each change of the text that this user writes: empty = stopped. It sends what is needed. */
  report(conversationID: string, text: string): void {
    const now = performance.now();
    const last = this.#sent.get(conversationID);
    if (text ? last !== undefined && now - last < repeats : last === undefined) return;
    if (!this.#client.connected) return;
    if (text) this.#sent.set(conversationID, now);
    else this.#sent.delete(conversationID);
    this.#client.sendTyping({ conversationID, ...(text ? {} : { stopped: true }) }).then(
      ({ sent }) => {
        // too soon after the last one: with a change of the text after the pause of the server
        if (text && !sent && this.#sent.get(conversationID) === now)
          this.#sent.set(conversationID, now - repeats + pause);
      },
      () => undefined, // muted, blocked or too often: nobody waits for it
    );
  }

  /** Ends the updates. For internal use. */
  dispose(): void {
    for (const off of this.#off.splice(0)) off();
    for (const users of this.#users.values()) for (const timer of users.values()) clearTimeout(timer);
    this.#users.clear();
  }

  #set(conversationID: string, userID: string, typing: boolean): void {
    const users = this.#users.get(conversationID) ?? new Map<string, ReturnType<typeof setTimeout>>();
    const before = users.has(userID);
    clearTimeout(users.get(userID));
    if (typing) {
      const timer = setTimeout(() => this.#set(conversationID, userID, false), holds);
      (timer as { unref?: () => void }).unref?.();
      users.set(userID, timer);
    } else users.delete(userID);
    if (users.size) this.#users.set(conversationID, users);
    else this.#users.delete(conversationID);
    if (before !== typing) this.emit('onChanged', { conversationID });
  }
}
