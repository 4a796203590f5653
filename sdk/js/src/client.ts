import { Centrifuge, type ServerPublicationContext, type ServerSubscribedContext } from 'centrifuge';
import { Emitter } from './emitter.js';
import { deviceOfTab } from './device.js';
import { BeckonError, Code } from './error.js';
import { eventNames, originalOf, tellEvent, type Events, type WireEvent } from './events.js';
import { post, upload, type FileKind, type HTTP } from './http.js';
import { newID } from './id.js';
import { Ledger, maxNamed, type Notice } from './ledger.js';
import type { Options } from './options.js';
import { PendingCalls } from './pending.js';
import { Keeper, keyOf, ownerOf, readKept } from './position.js';
import { verbs, type Request, type Response, type Schemas, type Verbs } from './schema.js';
import { spared, storageOf, type Storage } from './storage.js';

/** One event on its way to the program. */
interface Arrival {
  timeline: string;
  seq: number;
  event: WireEvent;
}

/** How long the facts of an unknown invitation may take, and how long missed events of ended ones are waited for, in milliseconds. */
const factsTime = 3000;
const endedTime = 2000;

type Welcome = Schemas['Welcome'];

/** The transport's code for a token that has expired, when there is no function to get another. */
const unauthorized = 1;
const expired = 'the token has expired; give a new one, or a function that gets one';

/** Errors of the transport after which a call is sent again: its time was over, or the connection closed. */
const passing = new Set([1, 11]);

/**
 * Client is one device of one user. Every verb of the server is a method; what happens comes as events.
 * A call that meets a lost connection is sent again until callTimeout, which is harmless: it carries a request id.
 */
// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging -- the methods are defined below
export class Client extends Emitter<Events> {
  /** This user, once connected. */
  userID = '';
  /** This device, once connected. */
  deviceID = '';
  readonly server: string;
  #options: Options;
  #link: Centrifuge | undefined;
  #opening: Promise<Centrifuge> | undefined;
  #ledger = new Ledger();
  #welcome: Welcome | undefined;
  #clock = { server: 0, local: 0 }; // the server's clock at a moment of this device's monotonic clock
  #queue: (Arrival | (() => unknown))[] = [];
  #pumping = false;
  #pending = new PendingCalls();
  #ended: Schemas['Invitation'][] = []; // of the last welcome, as far as their events may still come
  #positions: Record<string, number> = {};
  #keeper: Keeper | undefined;
  #storage: Storage | undefined;
  #token = '';

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
  }

  /** Whether the connection stands now. */
  get connected(): boolean {
    return this.#link?.state === 'connected';
  }

  /** The server's clock now, in milliseconds. It goes on with a monotonic clock: whoever sets the local date changes nothing. */
  now(): number {
    return this.#clock.server ? this.#clock.server + performance.now() - this.#clock.local : Date.now();
  }

  /** Connects. It resolves when the server has answered, and rejects when it refuses; a server that is away is waited for. */
  async connect(): Promise<Schemas['Welcome']> {
    await (this.#opening ??= this.#open());
    if (this.#welcome && this.connected) return this.#welcome;
    const ended = new AbortController();
    try {
      const [welcome] = await Promise.all([
        this.once('onConnected', () => true, ended.signal),
        new Promise<void>((resolve, reject) => {
          this.#link!.once('connected', () => resolve());
          this.#link!.once('disconnected', (c) => {
            const code =
              c.code === unauthorized ? Code.TokenExpired : c.code === 4500 ? Code.TokenRefused : Code.Disconnected;
            const gone = new BeckonError({
              code,
              message: `the server refused the connection: ${c.code === unauthorized ? expired : c.reason}`,
            });
            ended.abort(gone);
            reject(gone);
          });
          this.#link!.connect();
        }),
      ]);
      return welcome;
    } finally {
      ended.abort();
    }
  }

  async #open(): Promise<Centrifuge> {
    const { token, storage } = this.#options;
    const device = this.#options.deviceID
      ? { id: this.#options.deviceID, storage: storageOf('localStorage') }
      : await deviceOfTab(`web-${newID().slice(-12)}`);
    this.#storage = storage === undefined ? device.storage : storage || undefined;
    this.#token = typeof token === 'string' ? token : '';
    const platform = this.#options.platform ?? (typeof window === 'undefined' ? 'node' : 'web');
    const link = spared(
      () =>
        new Centrifuge(`${this.server.replace(/^http/, 'ws')}/connection/websocket`, {
          ...(typeof token === 'string' ? { token } : { getToken: async () => (this.#token = await token()) }),
          getData: async () => ({ deviceID: device.id, platform, ...(await this.#before(device.id)) }),
          minReconnectDelay: 200,
          maxReconnectDelay: 5000,
          ...(this.#options.websocket ? { websocket: this.#options.websocket } : {}),
        }),
    );
    this.#listen(link);
    link.connect();
    return (this.#link = link);
  }

  /** What a device says at connect of the time before: the positions of a program that ran earlier, and the invitations that it holds. */
  async #before(deviceID: string): Promise<object> {
    const more: { epoch?: string; positions?: Record<string, number>; held?: string[] } = {};
    if (!this.#welcome && this.#storage) {
      const owner = await ownerOf(this.#token);
      const kept = owner.userID
        ? readKept(this.#storage, keyOf(this.server, owner.userID, owner.deviceID ?? deviceID))
        : undefined;
      if (kept) {
        Object.assign(more, { epoch: kept.epoch, positions: kept.positions });
        this.#positions = { ...kept.positions };
        this.#ledger.restore(kept.held);
      }
    }
    const held = Object.keys(this.#ledger.held());
    return held.length ? { ...more, held } : more;
  }

  /** Ends the connection for good. Calls under way are refused. */
  close(): void {
    this.#keeper?.close();
    this.#keeper = undefined;
    this.#link?.disconnect();
  }

  #listen(link: Centrifuge): void {
    link.on('connected', (c) => this.#connected(c.data as Welcome));
    link.on('connecting', (c) => this.emit('onConnecting', c));
    link.on('disconnected', (c) => {
      if (c.code === 4502) this.emit('onKickedOffline', { reason: c.reason });
      const reason = c.code === unauthorized ? expired : c.reason;
      if (c.code === unauthorized) this.emit('onUserSigExpired', { reason });
      this.emit('onDisconnected', { code: c.code, reason });
      this.#keeper?.close();
      this.#keeper = undefined;
    });
    link.on('message', (c) => {
      const notice = c.data as { type?: string; timelines?: string[] };
      if (notice.type === 'reload') this.#put(() => this.#reload(notice.timelines ?? []));
    });
    link.on('error', () => {}); // told by connecting and disconnected
    link.on('publication', (c: ServerPublicationContext) =>
      this.#put({ timeline: c.channel, seq: c.offset ?? 0, event: c.data as WireEvent }),
    );
    link.on('subscribed', (c: ServerSubscribedContext) => {
      const from = c.streamPosition?.offset;
      if (from !== undefined && !c.hasRecoveredPublications) this.#put(() => this.#processed(c.channel, from));
      if (c.wasRecovering && !c.recovered) this.#put(() => this.#reload([c.channel]));
    });
    link.on('unsubscribed', (c) =>
      this.#put(() => {
        delete this.#positions[c.channel];
        this.#keeper?.touch();
      }),
    );
  }

  #connected(w: Welcome): void {
    const first = !this.#welcome;
    this.#welcome = w;
    this.userID = this.#ledger.me = w.userID;
    this.deviceID = w.deviceID;
    this.#clock = { server: w.serverTime, local: performance.now() };
    for (const t of Object.keys(this.#positions)) if (first && !(t in w.positions)) delete this.#positions[t];
    if (this.#storage) {
      this.#keeper ??= new Keeper(this.#storage, keyOf(this.server, w.userID, w.deviceID), () => ({
        epoch: this.#welcome?.epoch ?? '',
        positions: this.#positions,
        held: this.#ledger.held(),
      }));
    }
    const ended = w.ended ?? [];
    this.#put(async () => {
      const todo = this.#ledger.snapshot(w.invitations, w.more ?? false, ended);
      this.emit('onConnected', w);
      for (const s of w.statuses ?? []) this.emit('onUserStatusChanged', s);
      this.#tell(todo);
      for (const v of ended) if (v.onlineUserOnly || (first && w.reload?.length)) this.#tell(this.#ledger.catchUp(v));
      this.#ended = ended;
      if (ended.length) setTimeout(() => this.#put(() => this.#catchUp()), endedTime);
      if (w.reload?.length) this.emit('onReload', { timelines: w.reload });
      const unsure = first ? [] : this.#ledger.unsure();
      if (unsure.length) for (const v of await this.#look(unsure)) this.#tell(this.#ledger.catchUp(v));
    });
  }

  /** Raises what became of ended invitations whose events did not come. */
  #catchUp(): void {
    for (const v of this.#ended.splice(0)) this.#tell(this.#ledger.catchUp(v));
  }

  /** Notes that the program has everything of a timeline up to an offset. */
  #processed(timeline: string, seq: number): void {
    if (seq <= (this.#positions[timeline] ?? -1)) return;
    this.#positions[timeline] = seq;
    this.#keeper?.touch();
  }

  /** Asks how invitations stand. What is not answered in time is not known. */
  async #look(inviteIDs: string[]): Promise<Schemas['Invitation'][]> {
    const list: Schemas['Invitation'][] = [];
    const ask = async (rest: string[]): Promise<void> => {
      const { data } = (await this.#link!.rpc('listInvitations', { inviteIDs: rest })) as {
        data: Response<'listInvitations'>;
      };
      const some = data.invitations ?? [];
      list.push(...some);
      if (data.more && some.length) await ask(rest.filter((id) => !some.some((v) => v.inviteID === id))); // one answer is bounded
    };
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, factsTime);
    });
    await Promise.race([ask(inviteIDs).catch(() => undefined), late]).finally(() => clearTimeout(timer));
    return [...list];
  }

  /** Learns the invitations of an event, and of those that wait behind it, that this device has not heard of. */
  async #learn(m: Schemas['Signaling']): Promise<void> {
    const asked = new Map<string, Schemas['Signaling']>();
    for (const a of [{ event: m as WireEvent }, ...this.#queue]) {
      if (asked.size === maxNamed || typeof a === 'function' || a.event.type !== 'signaling') continue;
      const s = a.event as Schemas['Signaling'];
      if (!asked.has(s.inviteID) && this.#ledger.unknown(s)) asked.set(s.inviteID, s);
    }
    for (const v of await this.#look([...asked.keys()])) {
      const s = asked.get(v.inviteID);
      if (s) this.#ledger.learn(v, s.time - 1);
      asked.delete(v.inviteID);
    }
    for (const s of asked.values()) this.#ledger.forgo(s);
  }

  #reload(timelines: string[]): void {
    this.#catchUp();
    this.#tell(this.#ledger.reload(this.#welcome?.invitations ?? [], this.#welcome?.more ?? false));
    this.emit('onReload', { timelines });
  }

  /** Queues what arrived. One after another, and none about an invitation before this device's own call about it has its answer. */
  #put(arrival: Arrival | (() => unknown)): void {
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
        const m = next.event as Schemas['Signaling'];
        await this.#pending.settled(m);
        if (this.#ledger.unknown(m)) await this.#learn(m);
      }
      this.#arrived(next);
      if (next.seq) this.#processed(next.timeline, next.seq);
    }
    this.#pumping = false;
  }

  override emit<K extends keyof Events>(name: K, event: Events[K]): void {
    super.emit(name, event);
    const original = originalOf(name);
    if (original) super.emit(original, event as never);
  }

  #arrived({ timeline, seq, event }: Arrival): void {
    this.emit('onEvent', { timeline, seq, event });
    if (event.type !== 'signaling') return tellEvent(this.userID, seq, event, (name, e) => this.emit(name, e));
    const m = event as Schemas['Signaling'];
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
    this.#tell(todo);
  }

  #tell(todo: Notice[]): void {
    for (const n of todo) this.emit(n.name, n.event as never);
  }

  /** Runs a verb by name. The methods of the same names are easier to read. */
  async call<V extends keyof Verbs>(verb: V, request: Request<V>): Promise<Response<V>> {
    if (!request || typeof request !== 'object' || Array.isArray(request)) throw positional(verb);
    const body: Record<string, unknown> = { ...request };
    if (verbs[verb]) body['requestID'] ??= newID();
    if (verb === 'invite' || verb === 'inviteInGroup') body['inviteID'] ??= newID();
    if (verb === 'sendMessage') body['messageID'] ??= newID();
    const release = this.#pending.add(verb, body);
    try {
      const answer = await this.#send(verb, body);
      this.#note(verb, body, answer);
      return answer as Response<V>;
    } finally {
      release();
    }
  }

  async #send(verb: string, body: Record<string, unknown>): Promise<unknown> {
    const deadline = performance.now() + (this.#options.callTimeout ?? 20_000);
    for (;;) {
      const link = await this.#opening;
      if (!link || link.state === 'disconnected')
        throw new BeckonError({
          code: Code.Disconnected,
          message: `${verb}: this client is not connected; call connect() first`,
        });
      try {
        await link.ready(Math.max(1, deadline - performance.now()));
        const { data } = (await link.rpc(verb, body)) as { data: unknown };
        if (data && typeof data === 'object' && 'code' in data) throw new BeckonError(data as Schemas['Error']);
        return data;
      } catch (err) {
        if (err instanceof BeckonError) throw err;
        const code = (err as { code?: number }).code ?? 0;
        if (!passing.has(code) && this.#link?.state !== 'connecting')
          throw new BeckonError(
            { code: Code.Disconnected, message: `${verb}: ${(err as Error).message ?? 'the connection was closed'}` },
            err,
          );
        if (performance.now() >= deadline)
          throw new BeckonError(
            { code: Code.Timeout, message: `${verb}: no answer in time; the call may have taken effect` },
            err,
          );
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  /** Notes what this device did itself, of which it hears no event. */
  #note(verb: string, body: Record<string, unknown>, answer: unknown): void {
    const id = String(body['inviteID']);
    const { over = false, serverTime = 0 } = answer as { over?: boolean; serverTime?: number };
    switch (verb) {
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
    this.#keeper?.touch();
  }

  /**
   * Takes in an invitation that came another way, as in a push. When it is still open for this user,
   * onReceiveNewInvitation follows; else it rejects with 8010 and the invitation as it stands.
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
    this.#put(() => this.#tell(this.#ledger.snapshot([{ ...invitation, invitees: [mine] }], true)));
    return invitation;
  }

  /** Uploads a file for sendMessage: its bytes, its kind, and its name. */
  async uploadFile(body: Blob | Uint8Array, kind: FileKind, name = ''): Promise<Schemas['UploadResponse']> {
    const { token } = this.#options;
    return upload(this.#http(typeof token === 'string' ? token : await token()), body, kind, name);
  }

  /** Sends a call while the page is unloaded, and does not wait for the response. For the SDK's own use. */
  callOnLeave<V extends keyof Verbs>(verb: V, request: Request<V>): void {
    post(this.#http(this.#token), verb, { ...(verbs[verb] ? { requestID: newID() } : {}), ...request });
  }

  #http(token: string): HTTP {
    return { server: this.server, token, deviceID: this.deviceID };
  }
}

function positional(verb: string): BeckonError {
  return new BeckonError({
    code: 6017,
    field: 'request',
    message: `${verb} takes one object with named fields, as client.${verb}({ … }): see the type of its argument`,
  });
}

// Each verb is a method.
for (const verb of Object.keys(verbs) as (keyof Verbs)[]) {
  Object.defineProperty(Client.prototype, verb, {
    configurable: true,
    writable: true,
    value(this: Client, ...args: unknown[]) {
      if (args.length > 1) return Promise.reject(positional(verb));
      return this.call(verb, (args[0] ?? {}) as Request<typeof verb>);
    },
  });
}
// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging -- every method of Verbs is defined above
export interface Client extends Verbs {}
