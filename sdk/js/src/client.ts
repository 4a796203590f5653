import type { Centrifuge, ServerPublicationContext, ServerSubscribedContext } from 'centrifuge';
import { abortable } from './abort.js';
import { checkOnChange, ping } from './alive.js';
import { Emitter } from './emitter.js';
import { deviceOfTab } from './device.js';
import { BeckonError, Code } from './error.js';
import { eventNames, originalOf, raiseEvent, type Events, type WireEvent } from './events.js';
import { post, upload, type HTTP, type Upload } from './http.js';
import { newID } from './id.js';
import { Ledger, maxNamed, type Notice } from './ledger.js';
import type { CallOptions, Options } from './options.js';
import { PendingCalls } from './pending.js';
import { PositionWriter, keyOf, ownerOf, readSaved } from './position.js';
import { CallQueue, disconnected, notConnected, positional } from './queue.js';
import { maxRepeats, pause, repeatDelay } from './repeat.js';
import { methods, type Request, type Response, type Schemas, type Verbs } from './schema.js';
import { storageOf, type Storage } from './storage.js';
import { TokenKeeper, expiredText } from './token.js';
import { connect, expiredCode, openLink, refusal } from './transport.js';

/** A received event, not yet processed. */
interface Arrival {
  timeline: string;
  seq: number;
  event: WireEvent;
}

/** Timeouts for facts of unknown invitations and for missed events of ended ones, in milliseconds. */
const factsTime = 3000;
const endedTime = 2000;

type Welcome = Schemas['Welcome'];

/**
 * Client is one device of one user. It has the methods of the server, and raises events.
 * Calls are retried until callTimeout when the connection is lost; their request IDs make that safe.
 */
// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging -- the methods are defined below
export class Client extends Emitter<Events> {
  /** The user, set on connect. */
  userID = '';
  /** The device, set on connect. */
  deviceID = '';
  readonly server: string;
  #options: Options;
  #link: Centrifuge | undefined;
  #opening: Promise<Centrifuge> | undefined;
  #closes = 0; // calls of close, so that a connect before one of them ends
  #check: (() => Promise<boolean>) | undefined;
  #calls: CallQueue | undefined;
  #ledger = new Ledger();
  #welcome: Welcome | undefined;
  #clock = { server: 0, local: 0 }; // server time and the monotonic clock at connect
  #queue: (Arrival | (() => unknown))[] = [];
  #pumping = false;
  #pending = new PendingCalls();
  #ended: Schemas['Invitation'][] = []; // of the last welcome; their events may be outstanding
  #positions: Record<string, number> = {};
  #writer: PositionWriter | undefined;
  #storage: Storage | undefined;
  #token: TokenKeeper;
  #closed = new AbortController(); // aborted when the client disconnects for good

  constructor(options: Options) {
    super(eventNames);
    const page = typeof location === 'undefined' ? undefined : location.origin;
    const server = options.server ?? page;
    if (!server)
      throw new BeckonError({
        code: 6017,
        field: 'server',
        message: 'server is missing: outside of a page there is no default',
      });
    this.server = server.replace(/\/+$/, '');
    this.#options = options;
    this.#token = new TokenKeeper(
      options.token,
      () => this.now(),
      (name, e) => this.emit(name, e),
    );
  }

  /** Reports whether the client is connected. */
  get connected(): boolean {
    return this.#link?.state === 'connected';
  }

  /** Returns the server time in milliseconds. It advances with a monotonic clock, independent of the local date. */
  now(): number {
    return this.#clock.server ? this.#clock.server + performance.now() - this.#clock.local : Date.now();
  }

  /**
   * Connects. It resolves with the welcome of the server and rejects if it refuses. An unreachable server is retried until
   * close or signal ends it, and so is a token function that fails: see onTokenError.
   */
  async connect(options: CallOptions = {}): Promise<Schemas['Welcome']> {
    const closes = this.#closes;
    const link = await (this.#opening ??= this.#open());
    if (closes !== this.#closes || options.signal?.aborted) throw refusal(0, '');
    if (this.#welcome && this.connected) return this.#welcome;
    const ended = new AbortController();
    try {
      const [welcome] = await Promise.all([
        this.once('onConnected', () => true, ended.signal),
        connect(link, ended, options.signal),
      ]);
      return welcome;
    } finally {
      ended.abort();
    }
  }

  async #open(): Promise<Centrifuge> {
    const { storage } = this.#options;
    const device = this.#options.deviceID
      ? { id: this.#options.deviceID, storage: storageOf('localStorage') }
      : await deviceOfTab(`web-${newID().slice(-12)}`);
    this.#storage = storage === undefined ? device.storage : storage || undefined;
    const platform = this.#options.platform ?? (typeof window === 'undefined' ? 'node' : 'web');
    const link = openLink(this.server, {
      ...(this.#token.current ? { token: this.#token.current } : {}),
      getToken: () => this.#token.next(this.connected),
      getData: async () => ({ deviceID: device.id, platform, ...(await this.#connectData(device.id)) }),
      minReconnectDelay: 200,
      maxServerPingDelay: 5000, // a dead connection is noticed within 15 s
      maxReconnectDelay: 5000,
      ...(this.#options.websocket ? { websocket: this.#options.websocket } : {}),
    });
    this.#listen(link);
    this.#calls = new CallQueue(link);
    this.#check = checkOnChange(link);
    return (this.#link = link);
  }

  /** Returns the connect data: positions saved by an earlier run of the program, and the open invitations. */
  async #connectData(deviceID: string): Promise<object> {
    const more: { epoch?: string; positions?: Record<string, number>; held?: string[] } = {};
    if (!this.#welcome && this.#storage) {
      const owner = await ownerOf(this.#token.current);
      const saved = owner.userID
        ? readSaved(this.#storage, keyOf(this.server, owner.userID, owner.deviceID ?? deviceID))
        : undefined;
      if (saved) {
        Object.assign(more, { epoch: saved.epoch, positions: saved.positions });
        this.#positions = { ...saved.positions };
        this.#ledger.restore(saved.held);
      }
    }
    const held = Object.keys(this.#ledger.held());
    return held.length ? { ...more, held } : more;
  }

  /** Reports whether the server answers on the connection, within 3 s. */
  async ping(): Promise<boolean> {
    return this.#link !== undefined && ping(this.#link);
  }

  /**
   * Pings the server, and reconnects if it does not answer within 3 s. It reports whether it did. In a browser it runs by
   * itself when the page becomes online or visible, or its network changes. Elsewhere call it then.
   */
  async checkConnection(): Promise<boolean> {
    return this.#check?.() ?? false;
  }

  /** Closes the connection, also one that is being made. Pending calls reject. */
  close(): void {
    this.#closes++;
    this.#writer?.close();
    this.#writer = undefined;
    this.#link?.disconnect();
  }

  #listen(link: Centrifuge): void {
    link.on('connected', (c) => this.#connected(c.data as Welcome));
    link.on('connecting', (c) => this.emit('onConnecting', c));
    link.on('disconnected', (c) => {
      this.#closed.abort();
      this.#closed = new AbortController();
      if (c.code === 4502) this.emit('onKickedOffline', { reason: c.reason });
      const reason = c.code === expiredCode ? expiredText : c.reason;
      this.#token.ended(c.code === expiredCode);
      this.emit('onDisconnected', { code: c.code, reason });
      this.#writer?.close();
      this.#writer = undefined;
    });
    link.on('message', (c) => {
      const notice = c.data as { type?: string; timelines?: string[] };
      if (notice.type === 'reload') this.#enqueue(() => this.#reload(notice.timelines ?? []));
    });
    link.on('error', () => {}); // reported by connecting and disconnected
    link.on('publication', (c: ServerPublicationContext) =>
      this.#enqueue({ timeline: c.channel, seq: c.offset ?? 0, event: c.data as WireEvent }),
    );
    link.on('subscribed', (c: ServerSubscribedContext) => {
      const from = c.streamPosition?.offset;
      if (from !== undefined && !c.hasRecoveredPublications) this.#enqueue(() => this.#processed(c.channel, from));
      if (c.wasRecovering && !c.recovered) this.#enqueue(() => this.#reload([c.channel]));
    });
    link.on('unsubscribed', (c) =>
      this.#enqueue(() => {
        delete this.#positions[c.channel];
        this.#writer?.touch();
      }),
    );
  }

  #connected(w: Welcome): void {
    const first = !this.#welcome;
    this.#welcome = w;
    this.userID = this.#ledger.me = w.userID;
    this.deviceID = w.deviceID;
    this.#clock = { server: w.serverTime, local: performance.now() };
    this.#token.watch(w.expireAt);
    for (const t of Object.keys(this.#positions)) if (first && !(t in w.positions)) delete this.#positions[t];
    if (this.#storage) {
      this.#writer ??= new PositionWriter(this.#storage, keyOf(this.server, w.userID, w.deviceID), () => ({
        epoch: this.#welcome?.epoch ?? '',
        positions: this.#positions,
        held: this.#ledger.held(),
      }));
    }
    const ended = w.ended ?? [];
    this.#enqueue(async () => {
      const todo = this.#ledger.snapshot(w.invitations, w.more ?? false, ended);
      this.emit('onConnected', w);
      for (const s of w.statuses ?? []) this.emit('onUserStatusChanged', s);
      this.#raise(todo);
      for (const v of ended) if (v.onlineUserOnly || (first && w.reload?.length)) this.#raise(this.#ledger.catchUp(v));
      this.#ended = ended;
      if (ended.length) setTimeout(() => this.#enqueue(() => this.#catchUp()), endedTime);
      if (w.reload?.length) this.emit('onReload', { timelines: w.reload });
      const uncertain = first ? [] : this.#ledger.uncertain();
      if (uncertain.length) for (const v of await this.#fetch(uncertain)) this.#raise(this.#ledger.catchUp(v));
    });
  }

  /** Raises the outcomes of ended invitations whose events were missed. */
  #catchUp(): void {
    for (const v of this.#ended.splice(0)) this.#raise(this.#ledger.catchUp(v));
  }

  /** Advances the position of a timeline. */
  #processed(timeline: string, seq: number): void {
    if (seq <= (this.#positions[timeline] ?? -1)) return;
    this.#positions[timeline] = seq;
    this.#writer?.touch();
  }

  /** Fetches invitations, as many as arrive within factsTime. */
  async #fetch(inviteIDs: string[]): Promise<Schemas['Invitation'][]> {
    const list: Schemas['Invitation'][] = [];
    const ask = async (rest: string[]): Promise<void> => {
      const { data } = (await this.#link!.rpc('listInvitations', { inviteIDs: rest })) as {
        data: Response<'listInvitations'>;
      };
      const some = data.invitations ?? [];
      list.push(...some);
      // Responses are limited in size.
      if (data.more && some.length) await ask(rest.filter((id) => !some.some((v) => v.inviteID === id)));
    };
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, factsTime);
    });
    await Promise.race([ask(inviteIDs).catch(() => undefined), late]).finally(() => clearTimeout(timer));
    return [...list];
  }

  /** Fetches the facts of unknown invitations, for this event and those queued behind it. */
  async #learn(m: Schemas['Signaling']): Promise<void> {
    const asked = new Map<string, Schemas['Signaling']>();
    for (const a of [{ event: m }, ...this.#queue]) {
      if (asked.size === maxNamed || typeof a === 'function' || a.event.type !== 'signaling') continue;
      const s = a.event;
      if (!asked.has(s.inviteID) && this.#ledger.unknown(s)) asked.set(s.inviteID, s);
    }
    for (const v of await this.#fetch([...asked.keys()])) {
      const s = asked.get(v.inviteID);
      if (s) this.#ledger.learn(v, s.time - 1);
      asked.delete(v.inviteID);
    }
    for (const s of asked.values()) this.#ledger.assumeKnown(s);
  }

  #reload(timelines: string[]): void {
    this.#catchUp();
    this.#raise(this.#ledger.reload(this.#welcome?.invitations ?? [], this.#welcome?.more ?? false));
    this.emit('onReload', { timelines });
  }

  /** Queues an event. Events run in order; those of an invitation wait for this device's pending calls about it. */
  #enqueue(arrival: Arrival | (() => unknown)): void {
    this.#queue.push(arrival);
    if (!this.#pumping) {
      this.#pumping = true;
      void this.#pump();
    }
  }

  async #pump(): Promise<void> {
    for (let next = this.#queue.shift(); next; next = this.#queue.shift()) {
      if (typeof next === 'function') {
        await next();
        continue;
      }
      if (next.event.type === 'signaling') {
        const m = next.event;
        await this.#pending.settled(m);
        if (this.#ledger.unknown(m)) await this.#learn(m);
      }
      this.#deliver(next);
      if (next.seq) this.#processed(next.timeline, next.seq);
    }
    this.#pumping = false;
  }

  override emit<K extends keyof Events>(name: K, event: Events[K]): void {
    super.emit(name, event);
    const original = originalOf(name);
    if (original) super.emit(original, event as never);
  }

  #deliver({ timeline, seq, event }: Arrival): void {
    this.emit('onEvent', { timeline, seq, event });
    if (event.type !== 'signaling') return raiseEvent(this.userID, seq, event, (name, e) => this.emit(name, e));
    const m = event;
    const first = this.#ledger.first(m);
    const stale = seq !== 0 && seq <= (this.#welcome?.positions[timeline] ?? 0) && !this.#welcome?.more;
    const todo = this.#ledger.event(m, stale);
    if (first) {
      this.emit('onSignaling', m);
      const peer =
        m.inviter === this.userID ? (m.to ?? m.inviteeList?.[0] ?? m.answers?.[0]?.invitee ?? '') : m.inviter;
      const conversationID = m.groupID ? `group_${m.groupID}` : `c2c_${peer}`;
      if (seq && m.actionType <= 7) this.emit('onRecvNewMessage', { conversationID, seq, message: m });
    }
    this.#raise(todo);
  }

  #raise(todo: Notice[]): void {
    for (const n of todo) this.emit(n.name, n.event as never);
  }

  /** Calls a method by name. Prefer the methods of the same names. */
  async call<M extends keyof Verbs>(method: M, request: Request<M>, options: CallOptions = {}): Promise<Response<M>> {
    return abortable(this.#perform(method, request, options.signal), options.signal);
  }

  async #perform<M extends keyof Verbs>(method: M, request: Request<M>, signal?: AbortSignal): Promise<Response<M>> {
    if (!request || typeof request !== 'object' || Array.isArray(request)) throw positional(method);
    const body: Record<string, unknown> = { ...request };
    if (methods[method]) body['requestID'] ??= newID();
    if (method === 'invite' || method === 'inviteInGroup') body['inviteID'] ??= newID();
    if (method === 'sendMessage') body['messageID'] ??= newID();
    const deadline = performance.now() + (this.#options.callTimeout ?? 20_000);
    const closed = this.#closed.signal;
    for (let n = 0; ; n++) {
      const release = this.#pending.add(method, body);
      try {
        const answer = await this.#send(method, body, deadline, signal);
        this.#record(method, body, answer);
        this.emit('onResponse', { method, request: body, response: answer });
        return answer as Response<M>;
      } catch (err) {
        const delay = this.#options.repeat === false || n === maxRepeats ? 0 : repeatDelay(method, body, err);
        if (!delay || performance.now() + delay > deadline) throw err;
        release(); // events do not wait for the repeat
        if (!(await pause(delay, closed, signal))) throw err;
      } finally {
        release();
      }
    }
  }

  async #send(method: string, body: object, deadline: number, signal?: AbortSignal): Promise<unknown> {
    await this.#opening;
    if (!this.#calls) throw disconnected(method, notConnected);
    return this.#calls.send(method, body, deadline, signal);
  }

  /** Records an action of this device in the ledger: a device gets no events of its own actions. */
  #record(method: string, body: Record<string, unknown>, answer: unknown): void {
    const id = String(body['inviteID']);
    const { over = false, serverTime = 0 } = answer as { over?: boolean; serverTime?: number };
    switch (method) {
      case 'invite':
      case 'inviteInGroup': {
        const a = answer as Response<'invite'>;
        const invitees = body['invitee']
          ? [String(body['invitee'])]
          : ((body['inviteeList'] as string[] | undefined) ?? []);
        if (a.invitation) this.#ledger.opened(a.invitation, invitees, a.merged ?? false);
        return;
      }
      case 'accept':
        return this.#ledger.acted(id, 'accepted', over, serverTime);
      case 'reject':
        return this.#ledger.acted(id, 'rejected', over, serverTime);
      case 'cancel':
        if (over) this.#ledger.acted(id, 'cancelled', true, serverTime);
    }
    this.#writer?.touch();
  }

  /**
   * Adds an invitation received outside of the connection, as by push. If it is open for this user,
   * onReceiveNewInvitation follows; else it rejects with 8010 and the current invitation.
   */
  async addInvitedSignaling(info: { inviteID: string }): Promise<Schemas['Invitation']> {
    const { invitation, mine } = await this.call('getInvitation', { inviteID: info.inviteID, limit: 1 });
    if (!invitation || mine?.state !== 'open') {
      throw new BeckonError({
        code: Code.Over,
        message: 'the invitation is no longer open for this user',
        ...(invitation ? { invitation } : {}),
      });
    }
    this.#enqueue(() => this.#raise(this.#ledger.snapshot([{ ...invitation, invitees: [mine] }], true)));
    return invitation;
  }

  /** Uploads a file for sendMessage. */
  async uploadFile(file: Upload): Promise<Schemas['UploadResponse']> {
    return upload(this.#http(await this.#token.fresh()), file);
  }

  /**
   * Replaces the token of the session, without a reconnect. The server refuses a token that is not valid, or of another
   * user; the session goes on with the old one then. A session that has ended because its token expired is connected
   * again.
   */
  async renew(token: string): Promise<void> {
    await this.#opening;
    const send = (): Promise<unknown> =>
      this.#send('renewToken', { token }, performance.now() + (this.#options.callTimeout ?? 20_000));
    if (await this.#token.renew(token, this.userID, this.#link, send)) await this.connect();
  }

  /** Sends a call on page unload. Internal. */
  callOnLeave<M extends keyof Verbs>(method: M, request: Request<M>): void {
    post(this.#http(this.#token.current), method, { ...(methods[method] ? { requestID: newID() } : {}), ...request });
  }

  #http(token: string): HTTP {
    return { server: this.server, token, deviceID: this.deviceID };
  }
}

// Define a client method for each method of the server.
for (const method of Object.keys(methods) as (keyof Verbs)[]) {
  Object.defineProperty(Client.prototype, method, {
    configurable: true,
    writable: true,
    value(this: Client, request: unknown = {}, options: unknown = {}, ...rest: unknown[]) {
      if (typeof options !== 'object' || rest.length) return Promise.reject(positional(method));
      return this.call(method, (request ?? {}) as Request<typeof method>, options ?? {});
    },
  });
}
// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging -- every method of Verbs is defined above
export interface Client extends Verbs {}
