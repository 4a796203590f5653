// The session of a user: the client, the call, the inbox, and a cache of profiles, presence and groups. The hooks in
// use.ts read it.
import { BeckonError, type Client, type Schemas } from 'beckon';
import { Calls } from 'beckon/call';
import { Inbox } from 'beckon/inbox';
import { Room } from 'beckon/room';
import { oncePerFrame } from './frame.js';
import { Observable } from './observable.js';
import { en } from './text/en.js';
import { loadTexts, localeOf, Translator, type TextKey, type Texts, type TextValues } from './text/text.js';

/** The profile of a user, as far as components show it. */
export interface Profile {
  userID: string;
  nick: string;
  faceURL?: string;
}

/** The state of the connection to the server. */
export type Link = 'connecting' | 'connected' | 'lost' | 'kicked' | 'refused';

/** A short message above the page. */
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

/** A page of the application: a conversation, a classroom or a chat room; without an ID the list of them. */
export interface Place {
  kind: 'chat' | 'class' | 'room';
  id?: string;
  /** The sequence of a message to show. */
  seq?: number;
}

/** The options of a session. */
export interface SessionOptions {
  /** The user of the client's token. */
  userID: string;
  /** The name of the user, until the profile is loaded. */
  nick?: string;
  /** A BCP 47 tag. Default: that of the browser. */
  locale?: string;
  /** Texts of the application instead of those of the components. */
  strings?: Partial<Texts>;
  /** Opens a page of the application. */
  onNavigate?: (place: Place) => void;
  /** Returns the address of a page that joins a group, for invite links. */
  groupLink?: (groupID: string) => string;
}

type Group = Schemas['JoinedResponse']['groups'][number];

/** Quoted messages that are kept. */
const maxQuoted = 500;

/** Addresses of files that are kept, and the time before their end at which they are read again, in milliseconds. */
const maxFiles = 1000;
const fileMargin = 300_000;

/** Users of one request. */
const usersPerRequest = 100;

/** Interruptions of the connection that are not shown, in milliseconds. */
const shortInterruption = 700;

export class Session {
  readonly client: Client;
  readonly calls: Calls;
  readonly inbox: Inbox;
  readonly me: string;
  readonly translator: Observable<Translator>;
  readonly link = new Observable<Link>('connecting');
  readonly profiles = new Observable<Record<string, Profile>>({});
  readonly online = new Observable<Record<string, boolean>>({});
  /** undefined until they are loaded. */
  readonly conversations = new Observable<readonly Schemas['Conversation'][] | undefined>(undefined);
  readonly groups = new Observable<readonly Group[] | undefined>(undefined);
  /** The call in progress is a small window, and the page below it can be used. */
  readonly floating = new Observable(false);
  readonly toasts = new Observable<Toast[]>([]);
  /** Resolves when the texts of the first locale are loaded. */
  readonly ready: Promise<void>;
  /** Opens a page of the application. */
  readonly navigate: (place: Place) => void;
  /** Returns the address of a page that joins a group. */
  readonly groupLink: ((groupID: string) => string) | undefined;
  /** The messages for which this user's read receipts were sent. */
  readonly receipts = new Set<string>();
  #files = new Map<string, { url: string; until: number }>();
  #requested = new Set<string>();
  #quoted = new Map<string, Promise<Schemas['Message']>>();
  #refreshTimer: ReturnType<typeof setTimeout> | undefined;
  #lostTimer: ReturnType<typeof setTimeout> | undefined;
  #locale = '';
  #off: (() => void)[];

  constructor(client: Client, { userID, nick, locale, strings, onNavigate, groupLink }: SessionOptions) {
    this.client = client;
    this.me = userID;
    this.navigate = onNavigate ?? (() => undefined);
    this.groupLink = groupLink;
    this.calls = new Calls(client, new Room(client));
    this.inbox = new Inbox(client);
    this.translator = new Observable(new Translator('en', en));
    this.ready = this.setLocale(locale, strings);
    this.profiles.set({ [userID]: { userID, nick: nick ?? '' } });
    const over = (link: Link): void => {
      clearTimeout(this.#lostTimer);
      if (this.link.get() !== 'kicked') this.link.set(link);
    };
    this.#off = [
      client.on('onConnected', () => {
        clearTimeout(this.#lostTimer);
        this.link.set('connected');
        this.loadUsers([this.me]);
        void this.refresh();
      }),
      client.on('onConnecting', () => {
        clearTimeout(this.#lostTimer);
        const lost = (): void => this.link.set(this.link.get() === 'connected' ? 'lost' : 'connecting');
        this.#lostTimer = setTimeout(lost, shortInterruption);
      }),
      client.on('onKickedOffline', () => over('kicked')),
      client.on('onDisconnected', () => over('refused')),
      client.on('onUserStatusChanged', (s) => this.online.update((o) => ({ ...o, [s.userID]: s.status === 'online' }))),
      client.on('onGroup', () => this.refreshSoon()),
      client.on('onReload', () => this.refreshSoon()),
      client.on('onMessageRevoked', (e) => this.#quoted.delete(`${e.conversationID} ${e.messageID}`)),
      client.on('onMessageModified', (e) => this.#quoted.delete(`${e.conversationID} ${e.message.messageID}`)),
      oncePerFrame(
        () => {
          if (!this.inbox.loaded && !this.conversations.get()) return;
          this.conversations.set(this.inbox.conversations);
          this.loadUsers(this.inbox.conversations.map((c) => c.userID ?? '').filter(Boolean));
        },
        (changed) => this.inbox.on('onConversations', changed),
      ),
      this.inbox.on('onError', ({ error }) => {
        if (this.link.get() === 'connected') this.fail(error, 'failed.conversations');
      }),
    ];
    if (client.connected) {
      this.link.set('connected');
      this.loadUsers([this.me]);
      void this.refresh();
    }
  }

  /** Changes the locale and the texts of the application. */
  setLocale(locale?: string, strings?: Partial<Texts>): Promise<void> {
    const next = localeOf(locale || globalThis.navigator?.language || 'en', Boolean(strings));
    this.#locale = next;
    return loadTexts(next, strings).then(
      (texts) => {
        if (this.#locale === next) this.translator.set(new Translator(next, texts));
      },
      (err: unknown) => this.fail(err, 'failed.texts'),
    );
  }

  /** Returns a text of the locale. */
  text = (key: TextKey, values?: TextValues): string => this.translator.get().text(key, values);

  /** Returns the name of a user, or the ID until the name is loaded. */
  name(userID: string): string {
    this.loadUsers([userID]);
    return this.profiles.get()[userID]?.nick || userID;
  }

  /** Loads profiles and presence of users that are not cached yet. */
  loadUsers(users: readonly string[]): void {
    const missing = users.filter((u) => u && !this.#requested.has(u));
    if (missing.length === 0) return;
    for (const u of missing) this.#requested.add(u);
    queueMicrotask(() => {
      for (let i = 0; i < missing.length; i += usersPerRequest) this.#load(missing.slice(i, i + usersPerRequest));
    });
  }

  /** Stores a profile that was read or written elsewhere. */
  setProfile(p: Profile): void {
    this.profiles.update((all) => ({ ...all, [p.userID]: { ...all[p.userID], ...p } }));
  }

  #load(userIDList: string[]): void {
    this.client.getUsersInfo({ userIDList }).then(
      ({ profiles: list }) => {
        const loaded = list.map(({ userID, nick, faceURL }) => [
          userID,
          { userID, nick: nick || this.profiles.get()[userID]?.nick || '', ...(faceURL ? { faceURL } : {}) },
        ]);
        this.profiles.update((all) => ({ ...all, ...(Object.fromEntries(loaded) as Record<string, Profile>) }));
      },
      () => {
        for (const u of userIDList) this.#requested.delete(u);
      },
    );
    const others = userIDList.filter((u) => u !== this.me);
    if (others.length === 0) return;
    this.client
      .subscribeUserStatus({ userIDList: others })
      .then(() => this.client.getUserStatus({ userIDList: others }))
      .then(
        ({ statuses }) => {
          const loaded = Object.fromEntries(statuses.map((s) => [s.userID, s.status === 'online']));
          this.online.update((o) => ({ ...o, ...loaded }));
        },
        () => undefined, // shown as away
      );
  }

  /** Reads the groups after a burst of changes. */
  refreshSoon(): void {
    clearTimeout(this.#refreshTimer);
    this.#refreshTimer = setTimeout(() => void this.refresh(), 120);
  }

  /** Reads the groups of this user. */
  async refresh(): Promise<void> {
    try {
      this.groups.set((await this.client.getJoinedGroupList({ limit: 200 })).groups);
    } catch (err) {
      if (this.link.get() === 'connected') this.fail(err, 'failed.groups');
    }
  }

  /** Returns the address of a file, which expires. */
  async fileURL(fileID: string): Promise<string> {
    const known = this.knownURL(fileID);
    if (known) return known;
    const { url, expireAt } = await this.client.getFile({ fileID });
    this.#files.set(fileID, { url: this.client.server + url, until: expireAt - fileMargin });
    if (this.#files.size > maxFiles) this.#files.delete(this.#files.keys().next().value!);
    return this.client.server + url;
  }

  /** Returns the address of a file if it was read before and is valid; an empty string otherwise. */
  knownURL(fileID: string): string {
    const known = this.#files.get(fileID);
    return known && known.until > this.client.now() ? known.url : '';
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

  /** Returns a group of this user. */
  group(groupID: string): Group | undefined {
    return this.groups.get()?.find((g) => g.groupID === groupID);
  }

  /** Shows a short message. */
  toast(text: string, tone: Toast['tone'] = 'info', action?: Action): void {
    if (this.toasts.get().at(-1)?.text === text) return; // the same failure, reported twice
    const id = Date.now() + Math.random();
    this.toasts.update((t) => [...t.slice(-2), { id, text, tone, ...(action ? { action } : {}) }]);
    setTimeout(() => this.toasts.update((t) => t.filter((x) => x.id !== id)), tone === 'error' ? 8000 : 4000);
  }

  /** Shows an error as a toast. */
  fail(err: unknown, failure: TextKey, values?: TextValues): void {
    this.toast(this.text('failure', { failure: this.text(failure, values), reason: this.reason(err) }), 'error');
  }

  /** Returns the text of an error for the user. Codes without a text here show the message of the server. */
  reason(err: unknown): string {
    if (!(err instanceof BeckonError)) return err instanceof Error ? err.message : String(err);
    if (err.code === 6017 && /^(userID|invitee|conversationID|memberList|groupID)$/.test(err.field ?? ''))
      return this.text('error.unknownTarget');
    if (err.field === 'media') return err.message; // the network of this user passes no audio and video
    const key = errors[err.code];
    return key ? this.text(key) : err.message;
  }

  /** Ends the call and the connection. */
  dispose(): Promise<void> {
    clearTimeout(this.#lostTimer);
    clearTimeout(this.#refreshTimer);
    for (const off of this.#off.splice(0)) off();
    this.inbox.dispose();
    return this.calls.dispose().finally(() => this.client.close());
  }
}

/** The texts of errors, by the codes of the server. */
const errors: Record<number, TextKey> = {
  7013: 'error.noMedia',
  8001: 'error.tooLong',
  8010: 'error.over',
  8013: 'error.hostOnly',
  8014: 'error.roomInUse',
  9506: 'error.tooMany',
  9508: 'error.disconnected',
  9520: 'error.noAnswer',
  10007: 'error.notMember',
  10010: 'error.noGroup',
  10017: 'error.muted',
  20007: 'error.blocked',
};
