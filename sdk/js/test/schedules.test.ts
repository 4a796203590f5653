// Random schedules against the real server: three users with four devices send, call, answer and hang up, while
// connections are cut, networks are away, tokens expire, the device's clock is set, storage fails, programs are killed,
// and the server restarts. Within 2 s of the last reconnect each device agrees with the server's record.
//
// BECKON_SCHEDULES sets their number, BECKON_SEED repeats the random numbers of a run; the times are the machine's.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { WebSocket } from 'ws';
import { Calls } from '../src/call.js';
import { BeckonError, Client, Code, type Schemas } from '../src/index.js';
import { serveTests } from './cluster.js';
import { Proxy } from './proxy.js';
import { random } from './random.js';
import { Silent } from './silent.js';

const server = serveTests();
const schedules = Number(process.env.BECKON_SCHEDULES ?? 40);
const seed = Number(process.env.BECKON_SEED ?? Date.now() % 1_000_000);
const together = 20; // schedules that run at the same time
const length = 5000; // of a schedule, in milliseconds
const agreement = 2000; // limit after the last reconnect, in milliseconds

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

// The clock of the devices. It is that of this process, so all schedules have its steps.
const { now } = Date;
let clock = 0;
Date.now = () => now() + clock;
after(() => {
  Date.now = now;
});

type Outcome = 'accepted' | 'rejected' | 'cancelled' | 'timedOut';

/** Device is one device of a user; its program may be killed and started again. */
class Device {
  client!: Client;
  calls!: Calls;
  room!: Silent;
  /** The invitations that were open when the running program learned of them. */
  known = new Set<string>();
  /** The outcomes of invitees, by invitation, from this run of the program and earlier ones. */
  readonly outcomes = new Map<string, Map<string, Outcome>>();
  /** The messages that each program raised, in their order. */
  raised: string[][] = [];
  readonly sent = new Set<string>();
  readonly acknowledged = new Set<string>();
  readonly refused = new Set<string>();
  readonly faults: string[] = [];
  readonly pending: Promise<unknown>[] = [];
  storageFailed = false; // at any time
  #storageFails = false;
  #stopped = false;
  #kept = new Map<string, string>();
  #proxy!: Proxy;
  #connecting: Promise<unknown> | undefined;
  #checking: Promise<unknown> | undefined;

  constructor(
    readonly user: string,
    readonly id: string,
    readonly ttl: number,
    readonly renews: boolean, // by a new token for the session, else by a function
    readonly steps: string[], // of the schedule, for the report
  ) {}

  note(text: string): void {
    this.steps.push(`${performance.now().toFixed(0)} ${this.user} ${this.id} ${text}`);
  }

  async start(): Promise<void> {
    this.#proxy ??= await Proxy.start(server.cluster.url);
    this.#proxy.mode = 'pass';
    const { cluster } = server;
    const token = async (): Promise<string> => {
      while (!this.#stopped) {
        if (this.#proxy.mode === 'pass') {
          const t = await cluster.token(this.user, this.ttl).catch(() => undefined); // the server may restart
          if (t) return t;
        }
        await sleep(50);
      }
      throw new Error('the device is stopped');
    };
    const functionOf = (): Promise<string> => {
      if (this.#proxy.mode === 'down') throw new Error('no network');
      return token();
    };
    const storage = <T>(use: () => T): T => {
      if (this.#storageFails) throw new DOMException('the storage fails', 'QuotaExceededError');
      return use();
    };
    const client = new Client({
      server: this.#proxy.url,
      token: this.renews ? await token() : functionOf,
      deviceID: this.id,
      websocket: WebSocket,
      storage: {
        getItem: (k) => storage(() => this.#kept.get(k) ?? null),
        setItem: (k, v) => storage(() => void this.#kept.set(k, v)),
        removeItem: (k) => storage(() => void this.#kept.delete(k)),
      },
    });
    this.client = client;
    this.room = new Silent(client);
    this.room.user = this.user;
    this.calls = new Calls(client, this.room);
    this.#follow(client, token);
    await (this.#connecting = client.connect());
  }

  /** Follows the events of the running program. */
  #follow(client: Client, token: () => Promise<string>): void {
    const messages: string[] = [];
    const known = new Set<string>();
    this.raised.push(messages);
    this.known = known;
    const ended = (inviteID: string, users: string[], outcome: Outcome): void => {
      this.note(`${users.join(' ')} ${outcome} in ${inviteID}`);
      const of = this.outcomes.get(inviteID) ?? new Map<string, Outcome>();
      this.outcomes.set(inviteID, of);
      for (const u of users) {
        const before = of.get(u);
        if (before && before !== outcome) this.faults.push(`${u} ${before}, then ${outcome} in ${inviteID}`);
        of.set(u, outcome);
      }
    };
    client.on('onConnected', (w) => {
      this.note(`connected: ${w.invitations.map((v) => v.inviteID).join(' ')}`);
      for (const v of w.invitations) known.add(v.inviteID);
      for (const v of [...w.invitations, ...(w.ended ?? [])])
        for (const p of v.invitees ?? []) if (p.state !== 'open') ended(v.inviteID, [p.userID], p.state as Outcome);
    });
    client.on('onConnecting', (e) => this.note(`connecting: ${e.reason}`));
    client.on('onDisconnected', (e) => this.note(`disconnected: ${e.reason}`));
    client.on('onReceiveMessage', (e) => messages.push(e.message.messageID));
    client.on('onReceiveNewInvitation', (e) => {
      this.note(`new invitation ${e.inviteID}`);
      known.add(e.inviteID);
    });
    client.on('onInviteeAccepted', (e) => ended(e.inviteID, [e.invitee], 'accepted'));
    client.on('onInviteeRejected', (e) => ended(e.inviteID, [e.invitee], 'rejected'));
    client.on('onInvitationCancelled', (e) => ended(e.inviteID, e.inviteeList, 'cancelled'));
    client.on('onInvitationTimeout', (e) => ended(e.inviteID, e.inviteeList, 'timedOut'));
    // While this user is open, no callback has the ends of others.
    client.on('onSignaling', (m) => {
      const others = (m.inviteeList ?? []).filter((u) => u !== this.user);
      if (m.actionType === 2 || m.actionType === 5)
        ended(m.inviteID, others, m.actionType === 2 ? 'cancelled' : 'timedOut');
    });
    client.on('onInvitationHandledByOtherDevice', (e) => {
      if (e.action === 'cancel') ended(e.inviteID, e.inviteeList, 'cancelled');
      else ended(e.inviteID, [this.user], e.action === 'accept' ? 'accepted' : 'rejected');
    });
    client.on('onResponse', ({ method, request, response }) => {
      const { inviteID } = request as { inviteID: string };
      if (!method.startsWith('get')) this.note(`response of ${method} ${inviteID ?? ''}`);
      const { merged, inviteID: target } = response as { merged?: boolean; inviteID: string };
      if (method === 'invite') {
        if (merged) ended(target, [this.user], 'accepted');
        else known.add(inviteID);
      }
      if (method === 'accept') ended(inviteID, [this.user], 'accepted');
      if (method === 'reject') ended(inviteID, [this.user], 'rejected');
      if (method === 'cancel') {
        const { inviteeList = [], repeat } = response as { inviteeList?: string[]; repeat?: boolean };
        ended(inviteID, inviteeList, 'cancelled');
        if (repeat) known.delete(inviteID); // the response lacks the users that the first call cancelled
      }
    });
    if (this.renews) client.on('onTokenExpired', () => this.#later(token().then((t) => client.renew(t))));
  }

  peers: string[] = [];

  /** Notes a call of the client; refusals and lost connections are part of the schedule. */
  #later(call: Promise<unknown>): void {
    this.pending.push(
      call.catch((err) => {
        this.note(`error: ${(err as Error).message}`);
        if (!(err instanceof BeckonError)) this.faults.push(String((err as Error).stack));
      }),
    );
  }

  send(to: string): void {
    const messageID = crypto.randomUUID();
    this.sent.add(messageID);
    this.#later(
      this.client.sendMessage({ userID: to, text: messageID, messageID }).then(
        () => this.acknowledged.add(messageID),
        (err: BeckonError) => {
          if (err.code !== Code.Timeout && err.code !== Code.Disconnected)
            this.refused.add(`${messageID} ${err.code} ${err.message}`);
        },
      ),
    );
  }

  call(userIDs: string[]): void {
    if (this.calls.state.phase === 'idle') this.#later(this.calls.call({ userIDs }, { media: 'audio', timeout: 3 }));
  }

  answer(): void {
    if (this.calls.state.phase === 'ringing') this.#later(this.calls.answer());
  }

  hangUp(): void {
    this.#later(this.calls.hangup());
  }

  cut(): void {
    this.#proxy.cut();
  }

  /** Takes the network away, with or without an error for the device. */
  async away(ms: number, silent: boolean): Promise<void> {
    this.#proxy.mode = 'down';
    if (silent) this.#proxy.silence();
    else this.#proxy.cut();
    await sleep(ms);
    this.back();
  }

  back(): void {
    this.#proxy.mode = 'pass';
    this.#checking = this.client.checkConnection();
  }

  failStorage(fails: boolean): void {
    this.#storageFails = fails;
    this.storageFailed ||= fails;
  }

  /** Ends the program without a last word to the server or the storage, and starts it again. */
  async kill(ms: number): Promise<void> {
    const fails = this.#storageFails;
    this.#storageFails = true;
    this.#proxy.silence();
    this.client.close();
    this.#proxy.cut();
    await this.room.exitRoom(); // as the media server notices
    await sleep(ms);
    this.#storageFails = fails;
    await this.start();
  }

  async reconnected(): Promise<void> {
    await this.#connecting?.catch(() => undefined);
    await this.#checking;
    for (const end = performance.now() + 20_000; !this.client.connected && performance.now() < end;) await sleep(5);
    if (!this.client.connected) this.faults.push('not connected 20 s after the network is back');
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.calls.dispose();
    this.client.close();
    await this.#proxy.stop();
  }
}

interface Schedule {
  devices: Device[];
  users: string[];
  steps: string[];
}

/** Plays random actions, and restores all networks. */
async function play(n: number): Promise<Schedule> {
  const next = random(seed * 1000 + n);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)]!;
  const steps: string[] = [];
  const users = ['ann', 'bob', 'cat'].map((name) => `${name}${seed}-${n}`);
  const devices = [
    [users[0], 'phone'],
    [users[1], 'phone'],
    [users[1], 'desk'],
    [users[2], 'phone'],
  ].map(([user, id]) => new Device(user!, id!, pick([3, 3600]), next() < 0.5, steps));
  for (const d of devices) d.peers = users.filter((u) => u !== d.user);
  await Promise.all(devices.map((d) => d.start()));
  const busy = new Map<Device, Promise<void>>(); // without a network, or being started
  const begin = performance.now();
  while (performance.now() - begin < length) {
    await sleep(next() * 250);
    const d = pick(devices);
    const action = pick([
      ...['send', 'send', 'send', 'call', 'call', 'answer', 'answer', 'answer', 'hang up', 'cut', 'cut'],
      ...['away', 'away', 'silent', 'clock', 'storage', 'kill'],
    ] as const);
    const [ms, back] = [next() * 1200, next() < 0.5];
    if (action !== 'answer' || d.calls.state.phase === 'ringing') d.note(`${d.calls.state.phase}: ${action}`);
    if (action === 'send') {
      if (d.user !== users[2]) d.send(d.peers[0]!); // between the first two
    } else if (action === 'call') d.call(back ? d.peers : [pick(d.peers)]);
    else if (action === 'answer') d.answer();
    else if (action === 'hang up') d.hangUp();
    else if (action === 'clock') clock = (next() - 0.5) * 10_000_000;
    else if (action === 'storage') d.failStorage(back);
    else if (busy.has(d)) continue;
    else if (action === 'cut') d.cut();
    else {
      const away = action === 'kill' ? d.kill(ms) : d.away(ms, action === 'silent');
      busy.set(
        d,
        away.catch((err) => void d.faults.push(String(err))).finally(() => busy.delete(d)),
      );
    }
  }
  await Promise.all(busy.values());
  return { devices, users, steps };
}

/** Compares the devices with the record of the server. */
async function compare({ devices, users }: Schedule): Promise<string[]> {
  const faults = devices.flatMap((d) => d.faults.map((f) => `${d.user} ${d.id}: ${f}`));
  const lost = devices.filter((d) => !d.client.connected);
  if (lost.length) return [...faults, ...lost.map((d) => `${d.user} ${d.id}: not connected`)];
  const asked = devices[0]!.client;
  const { messages } = await asked.getHistoryMessageList({ conversationID: `c2c_${users[1]}`, limit: 100 });
  const stored = messages
    .sort((a, b) => a.seq - b.seq)
    .flatMap((m) => (m.event as { messageID?: string }).messageID ?? []);
  for (const d of devices) {
    const fault = (text: string): void => void faults.push(`${d.user} ${d.id}: ${text}`);
    const records = new Map<string, Schemas['Invitation'] | undefined>();
    for (const inviteID of new Set([...d.known, ...d.outcomes.keys()]))
      records.set(inviteID, (await d.client.getInvitation({ inviteID })).invitation ?? undefined);
    for (const id of d.acknowledged) if (!stored.includes(id)) fault(`acknowledged, but not stored: ${id}`);
    for (const text of d.refused) if (stored.includes(text.slice(0, 36))) fault(`refused, but stored: ${text}`);
    const expected = d.user === users[2] ? [] : stored.filter((id) => !d.sent.has(id));
    for (const list of d.raised) {
      const places = list.map((id) => expected.indexOf(id));
      if (places.some((p, i) => p < 0 || (i > 0 && p <= places[i - 1]!))) fault(`raised ${list}, stored ${expected}`);
    }
    const raised = new Set(d.raised.flat());
    if (!d.storageFailed || d.raised.length === 1)
      for (const id of expected) if (!raised.has(id)) fault(`stored, but not raised: ${id}`);
    for (const [inviteID, v] of records) {
      if (!v) fault(`no record of ${inviteID}`);
      for (const p of v?.invitees ?? []) {
        const believed = d.outcomes.get(inviteID)?.get(p.userID) ?? (d.known.has(inviteID) ? 'open' : p.state);
        if (believed !== p.state) fault(`${p.userID} is ${believed} in ${inviteID}, recorded as ${p.state}`);
      }
    }
    const { phase, inviteID } = d.calls.state;
    const own = (v?: Schemas['Invitation']): string | undefined => v?.invitees?.find((p) => p.userID === d.user)?.state;
    const states = (records.get(inviteID)?.invitees ?? []).map((p) => p.state);
    if (phase === 'ringing' && own(records.get(inviteID)) !== 'open') fault(`ringing, recorded as ${states}`);
    if (phase === 'calling' && !states.includes('open')) fault(`calling, recorded as ${states}`);
    if (phase === 'connected' && !states.includes('accepted')) fault(`connected, recorded as ${states}`);
    if (phase === 'idle' && [...records.values()].some((v) => own(v) === 'open'))
      fault('nothing rings, and an invitation is open');
  }
  return faults;
}

/** Plays a schedule, and returns its faults. */
async function judge(n: number): Promise<string[]> {
  const schedule = await play(n);
  const { devices } = schedule;
  try {
    await Promise.all(devices.map((d) => d.reconnected()));
    let faults = await agree(schedule);
    await Promise.all(devices.flatMap((d) => d.pending));
    if (faults.length === 0) faults = await agree(schedule); // with the calls that ended meanwhile
    return faults.length ? [`schedule ${n}:`, ...faults, 'steps:', ...schedule.steps] : [];
  } finally {
    await Promise.all(devices.map((d) => d.stop()));
  }
}

/** Returns the faults that last. */
async function agree(schedule: Schedule): Promise<string[]> {
  for (const end = performance.now() + agreement; ; await sleep(50)) {
    const faults = await compare(schedule).catch((err) => [String(err)]);
    if (faults.length === 0 || performance.now() > end) return faults;
  }
}

test(`${schedules} random schedules: each device agrees with the record`, { timeout: 30 * 60_000 }, async (t) => {
  t.diagnostic(`BECKON_SEED=${seed}`);
  const faults: string[] = [];
  for (let from = 0; from < schedules; from += together) {
    const count = Math.min(together, schedules - from);
    const batch = Promise.all(Array.from({ length: count }, (_, i) => judge(from + i)));
    if ((from / together) % 2) {
      await sleep(length / 2);
      await server.cluster.kill();
      await server.cluster.run();
    }
    faults.push(...(await batch).flat());
  }
  if (faults.length) assert.fail(faults.join('\n')); // whole: a comparison would leave lines out
});
