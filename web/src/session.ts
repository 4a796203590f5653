// The client of this page and a cache of names, presence, conversations and groups, read with the hooks in use.ts.
import { BeckonError, Client, type Schemas } from 'beckon';
import { Calls } from 'beckon/call';
import { Inbox } from 'beckon/inbox';
import { Room } from 'beckon/room';
import { Observable } from './observable.js';
import { renewPush } from './push.js';
import { demoUsers, forget, isKeptForPush, keep, keepForPush, type Saved } from './saved.js';

export type Profile = { userID: string; nick: string };

/** The state of the connection to the server. */
export type Link = 'connecting' | 'connected' | 'lost' | 'kicked' | 'refused';

export interface Toast {
  id: number;
  text: string;
  tone: 'info' | 'error';
  action?: Action;
}

/** A button in a toast. */
export interface Action {
  label: string;
  run: () => void;
}

/** Quoted messages that are kept. */
const maxQuoted = 500;

/** Returns the server that the page names in <meta name="beckon-server">, else the page's own, without the page's name. */
function serverOfPage(): string {
  return (
    document.querySelector<HTMLMetaElement>('meta[name="beckon-server"]')?.content || new URL('.', location.href).href
  );
}

export class Session {
  readonly client: Client;
  readonly calls: Calls;
  readonly link = new Observable<Link>('connecting');
  readonly names = new Observable<Record<string, string>>({});
  readonly online = new Observable<Record<string, boolean>>({});
  readonly inbox: Inbox;
  /** undefined until they are loaded. */
  readonly conversations = new Observable<readonly Schemas['Conversation'][] | undefined>(undefined);
  readonly groups = new Observable<Schemas['JoinedResponse']['groups'] | undefined>(undefined);
  readonly toasts = new Observable<Toast[]>([]);
  #requested = new Set<string>();
  #quoted = new Map<string, Promise<Schemas['Message']>>();
  #refreshTimer: ReturnType<typeof setTimeout> | undefined;
  #lostTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(readonly saved: Saved) {
    this.client = new Client({ token: saved.token, server: serverOfPage() });
    this.calls = new Calls(this.client, new Room(this.client));
    this.inbox = new Inbox(this.client);
    this.names.set({ [saved.userID]: saved.nick });
    const { client } = this;
    client.on('onConnected', () => {
      clearTimeout(this.#lostTimer);
      if (this.link.get() !== 'connected') renewPush(this).catch(() => undefined); // retried at the next connect
      this.link.set('connected');
      void this.refresh();
    });
    client.on('onConnecting', () => {
      clearTimeout(this.#lostTimer); // interruptions under 0.7 s are not shown
      this.#lostTimer = setTimeout(() => this.link.set(this.link.get() === 'connected' ? 'lost' : 'connecting'), 700);
    });
    const over = (link: Link): void => {
      clearTimeout(this.#lostTimer);
      if (this.link.get() !== 'kicked') this.link.set(link);
    };
    client.on('onKickedOffline', () => over('kicked'));
    client.on('onDisconnected', () => over('refused'));
    client.on('onTokenWillExpire', () => void this.#renew());
    client.on('onTokenExpired', () => void this.#renew());
    client.on('onUserStatusChanged', (s) => this.online.update((o) => ({ ...o, [s.userID]: s.status === 'online' })));
    client.on('onGroup', () => this.refreshSoon());
    client.on('onReload', () => this.refreshSoon());
    client.on('onMessageRevoked', (e) => this.#quoted.delete(`${e.conversationID} ${e.messageID}`));
    client.on('onMessageModified', (e) => this.#quoted.delete(`${e.conversationID} ${e.message.messageID}`));
    this.inbox.on('onConversations', () => {
      if (!this.inbox.loaded && !this.conversations.get()) return;
      this.conversations.set(this.inbox.conversations);
      this.loadUsers(this.inbox.conversations.map((c) => c.userID ?? '').filter(Boolean));
    });
    this.inbox.on('onError', ({ error }) => {
      if (this.link.get() === 'connected') this.fail(error, 'Your conversations could not be read');
    });
    client.connect().catch((err: unknown) => {
      if (err instanceof BeckonError && (err.code === 70009 || err.code === 70001)) forget();
    });
  }

  /** Replaces the token before it expires. Only a demo server gives a new one without a sign-in. */
  async #renew(): Promise<void> {
    const token = (await demoUsers()).find((u) => u.userID === this.me)?.token;
    if (!token) return this.toast('Your sign-in expires; sign in again with a new token', 'error');
    try {
      await this.client.renew(token);
      this.saved.token = token;
      keep(this.saved);
      if (isKeptForPush(this.me)) keepForPush(this.saved);
    } catch (err) {
      this.fail(err, 'Your sign-in could not be renewed');
    }
  }

  get me(): string {
    return this.saved.userID;
  }

  /** Returns the name of a user, or the ID until the name is loaded. */
  name(userID: string): string {
    this.loadUsers([userID]);
    return this.names.get()[userID] || userID;
  }

  /** Loads names and presence of users that are not cached yet. */
  loadUsers(users: string[]): void {
    const missing = users.filter((u) => u && !this.#requested.has(u) && u !== this.me);
    if (missing.length === 0) return;
    for (const u of missing) this.#requested.add(u);
    queueMicrotask(() => {
      for (let i = 0; i < missing.length; i += 100) this.#loadUsers(missing.slice(i, i + 100));
    });
  }

  #loadUsers(userIDList: string[]): void {
    this.client.getUsersInfo({ userIDList }).then(
      ({ profiles: list }) => {
        this.names.update((n) => ({ ...n, ...Object.fromEntries(list.map((p) => [p.userID, p.nick || p.userID])) }));
      },
      () => {
        for (const u of userIDList) this.#requested.delete(u);
      },
    );
    this.client
      .subscribeUserStatus({ userIDList })
      .then(() => this.client.getUserStatus({ userIDList }))
      .then(
        ({ statuses }) => {
          this.online.update((o) => ({
            ...o,
            ...Object.fromEntries(statuses.map((s) => [s.userID, s.status === 'online'])),
          }));
        },
        () => undefined,
      );
  }

  refreshSoon(): void {
    clearTimeout(this.#refreshTimer);
    this.#refreshTimer = setTimeout(() => void this.refresh(), 120);
  }

  /** Reads the groups of this user. */
  async refresh(): Promise<void> {
    try {
      this.groups.set((await this.client.getJoinedGroupList({ limit: 200 })).groups);
    } catch (err) {
      if (this.link.get() === 'connected') this.fail(err, 'Your groups could not be read');
    }
  }

  /** Returns the address of a file, which expires. */
  async fileURL(fileID: string): Promise<string> {
    return this.client.server + (await this.client.getFile({ fileID })).url;
  }

  /** Returns a message that another one quotes. */
  quoted(conversationID: string, messageID: string): Promise<Schemas['Message']> {
    const key = `${conversationID} ${messageID}`;
    let load = this.#quoted.get(key);
    if (!load) {
      load = this.client.getMessage({ conversationID, messageID }).then((r) => r.message);
      load.catch(() => this.#quoted.delete(key));
      if (this.#quoted.size >= maxQuoted) this.#quoted.delete(this.#quoted.keys().next().value!);
      this.#quoted.set(key, load);
    }
    return load;
  }

  group(groupID: string): Schemas['JoinedResponse']['groups'][number] | undefined {
    return this.groups.get()?.find((g) => g.groupID === groupID);
  }

  toast(text: string, tone: Toast['tone'] = 'info', action?: Action): void {
    if (this.toasts.get().at(-1)?.text === text) return; // the same failure, reported twice
    const id = Date.now() + Math.random();
    this.toasts.update((t) => [...t.slice(-2), { id, text, tone, ...(action ? { action } : {}) }]);
    setTimeout(() => this.toasts.update((t) => t.filter((x) => x.id !== id)), tone === 'error' ? 8000 : 4000);
  }

  /** Shows an error as a toast. */
  fail(err: unknown, failure: string): void {
    this.toast(`${failure}: ${reason(err)}`, 'error');
  }

  close(): void {
    this.inbox.dispose();
    void this.calls.dispose().finally(() => this.client.close());
  }
}

/** Returns the text of an error for the user. Codes without a text here show the message of the server. */
export function reason(err: unknown): string {
  if (!(err instanceof BeckonError)) return err instanceof Error ? err.message : String(err);
  const words: Record<number, string> = {
    7013: 'there is no media server, or it cannot be reached',
    8001: 'it is too long',
    8010: 'it is over already',
    8013: 'that is up to its host',
    8014: 'another call has this room',
    9506: 'too many at once; wait a moment',
    9508: 'the server cannot be reached',
    9520: 'the server did not answer in time',
    10007: 'you are not in this group, or may not do that there',
    10010: 'there is no such group',
    10017: 'you may not write here at the moment',
    20007: 'they do not take messages or calls from you',
  };
  if (err.code === 6017 && /^(userID|invitee|conversationID|memberList|groupID)$/.test(err.field ?? ''))
    return 'there is no such person or group, or it is you';
  if (err.field === 'media') return err.message; // the network of this user passes no audio and video
  return words[err.code] ?? err.message;
}
