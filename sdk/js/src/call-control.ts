import type { Client } from './client.js';
import { callEvents, idle, over, type CallEvents, type CallState, type EndReason, type Part } from './call-state.js';
import { exclusive, remember, type Remembered } from './call-tab.js';
import { Emitter } from './emitter.js';
import { BeckonError, Code } from './error.js';
import type { LeaveReason, Room } from './room.js';

/** How long an unreachable media server is retried, in milliseconds. */
const mediaPatience = 10_000;

/** How long this device waits for a user whose connection was lost. The server waits for 15 s and then closes the room. */
const patience = 25_000;

/**
 * CallControl is the state of the one call of this device, and its transitions: it begins, enters the media room, loses
 * participants and ends. It neither starts calls nor follows events: Calls does.
 */
export class CallControl extends Emitter<CallEvents> {
  readonly room: Room;
  protected client: Client;
  protected invites = new Set<string>(); // the invitations of this call
  protected asked = false; // this device asked to be let in late
  protected timer: ReturnType<typeof setTimeout> | undefined; // ends the call: nobody answers, or nobody comes back
  protected store: Remembered; // the call, for a reload of the page
  protected disposed = new AbortController();
  #state: CallState;
  #turn = 0; // grows with each call, so that what was awaited for one does not act on the next
  #lock: Promise<() => void> | undefined; // says that this tab is in a call
  #leading = false;

  constructor(client: Client, room: Room) {
    super(callEvents);
    this.client = client;
    this.room = room;
    this.#state = { ...idle, leader: typeof navigator === 'undefined' || !navigator.locks };
    this.store = remember();
  }

  get state(): CallState {
    return this.#state;
  }

  /** Begins a call; at once, so that no second one can begin. What it answers tells later whether another has begun since. */
  protected begin(state: Omit<Partial<CallState>, 'leader'>): () => boolean {
    if (this.inCall())
      throw new BeckonError({ code: Code.Exists, message: 'this device is in a call already; hang up first' });
    this.#turn++;
    this.asked = false;
    this.invites = new Set(state.inviteID ? [state.inviteID] : []);
    this.set({ ...idle, ...state });
    return this.same();
  }

  protected same(): () => boolean {
    const turn = this.#turn;
    return () => this.#turn !== turn;
  }

  protected inCall(): boolean {
    return this.#state.phase !== 'idle';
  }

  protected set(change: Partial<CallState>): void {
    this.#state = { ...this.#state, ...change };
    const { phase, inviteID, roomID, media } = this.#state;
    if (phase === 'idle' || phase === 'ringing') this.store.clear();
    else this.store.write({ deviceID: this.client.deviceID, inviteID, roomID, media, invites: [...this.invites] });
    this.emit('onCallState', this.#state);
  }

  protected setPart(userID: string, part: Part): void {
    if (userID && userID !== this.client.userID) this.set({ people: { ...this.#state.people, [userID]: part } });
  }

  /** Marks this tab as the one that is in a call, so that the others do not ring. */
  protected async occupy(): Promise<void> {
    await (this.#lock ??= exclusive(`beckon.incall.${this.client.userID}`));
  }

  /** Ends the call here. What the server is to hear of it is awaited by who wants to know. */
  protected async end(reason: EndReason, error?: Error, leave = true): Promise<void> {
    const state = this.#state;
    if (state.phase === 'idle') return;
    clearTimeout(this.timer);
    void this.#lock?.then((release) => release());
    this.#lock = undefined;
    const waiting = this.waiting();
    const together = Object.values(state.people).includes('in');
    const invites =
      state.phase !== 'ringing' &&
      (state.inviter === this.client.userID || this.asked) &&
      waiting &&
      !together &&
      reason !== 'elsewhere'
        ? [...this.invites]
        : [];
    const entered = this.room.roomID === state.roomID;
    this.#turn++;
    this.invites.clear();
    this.set({ ...idle });
    this.emit('onCallEnded', { state, reason, ...(error ? { error } : {}) });
    const told: unknown[] = invites.map((inviteID) => this.#cancel(inviteID, state.roomID, state.deadline));
    if (leave && entered) told.push(this.room.exitRoom());
    else if (leave && state.phase === 'connecting' && !this.asked)
      told.push(this.client.exitRoom({ roomID: state.roomID }).catch(over));
    await Promise.all(told);
  }

  /**
   * Enters the call's room and opens the devices. An unreachable media server is retried for some time; any other failure
   * ends the call.
   */
  protected async enter(until = 0): Promise<void> {
    const { roomID, media } = this.#state;
    const gone = this.same();
    try {
      await this.room.enterRoom({ roomID });
    } catch (err) {
      if (gone() || this.room.roomID === roomID) return;
      until ||= performance.now() + mediaPatience;
      if (
        (err as BeckonError).code !== Code.NoMedia ||
        (performance.now() > until && this.#state.phase !== 'reconnecting')
      )
        return void this.end('failed', err as Error);
      await new Promise((resolve) => setTimeout(resolve, 1000));
      return gone() ? undefined : this.enter(until);
    }
    if (gone()) {
      if (this.room.roomID === roomID) await this.room.exitRoom();
      return;
    }
    const open = async (device: 'camera' | 'microphone', start: () => Promise<void>): Promise<void> => {
      try {
        await start();
      } catch (err) {
        if (!gone()) this.emit('onDeviceError', { device, error: err as Error });
      }
    };
    await Promise.all([
      open('microphone', () => this.room.startLocalAudio()),
      media === 'video' ? open('camera', () => this.room.openCamera()) : undefined,
    ]);
  }

  protected giveUpLater(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      if (this.#state.phase === 'reconnecting') void this.end('lost');
    }, patience);
  }

  /** Cancels, also when the server is away for a time; whose answer was first is told that nobody is there any more. */
  async #cancel(inviteID: string, roomID: string, deadline: number): Promise<void> {
    try {
      await this.client.cancel({ inviteID });
    } catch (err) {
      over(err);
      const { won, code } = err as BeckonError;
      if (code === Code.Timeout && (!deadline || this.client.now() < deadline) && !this.disposed.signal.aborted)
        return this.#cancel(inviteID, roomID, deadline);
      if (won?.action === 'accept' && won.userID)
        await this.client.setRoomRole({ roomID, userID: won.userID, role: 'none' }).catch(over);
    }
  }

  /** Whether somebody may still answer. */
  protected waiting(): boolean {
    return Object.values(this.#state.people).some((p) => p === 'invited' || p === 'ringing');
  }

  /** Tries to become the tab that plays the ring tone, for as long as this telephone is there. */
  protected lead(): void {
    if (this.#state.leader || this.#leading || typeof navigator === 'undefined' || !navigator.locks) return;
    this.#leading = true;
    const { signal } = this.disposed;
    navigator.locks
      .request(`beckon.ring.${this.client.userID}`, { signal }, () => {
        this.set({ leader: true });
        return new Promise<void>((release) => signal.addEventListener('abort', () => release()));
      })
      .catch(() => undefined); // given up before it came
  }

  /** The room let this device go. */
  protected roomLeft(reason: LeaveReason): void {
    if (reason === 'mediaLost') {
      if (this.#state.since) {
        // somebody was there: they may come back, too
        this.set({ phase: 'reconnecting' });
        this.giveUpLater();
      }
      const gone = this.same();
      setTimeout(() => {
        if (!gone() && !this.room.roomID) void this.enter();
      }, 1000);
      return;
    }
    void this.end(
      reason === 'replaced' ? 'elsewhere' : reason === 'hangup' ? 'hangup' : 'remoteHangup',
      undefined,
      false,
    );
  }

  /** Stops ringing when its time is over and the server could not say so. */
  protected ringUntil(): void {
    clearTimeout(this.timer);
    const { deadline } = this.#state;
    if (!deadline) return;
    this.timer = setTimeout(
      () => {
        if (this.#state.phase === 'ringing') void this.end('noAnswer');
      },
      Math.max(0, deadline - this.client.now()) + 3000,
    );
  }

  protected accepted(who: string): void {
    this.setPart(who, this.#state.people[who] === 'in' ? 'in' : 'accepted');
    if (this.#state.phase === 'calling') this.set({ phase: 'connecting' });
  }

  protected refused(who: string[], part: 'declined' | 'busy' | 'noAnswer'): void {
    const people = { ...this.#state.people };
    for (const u of who) if (u in people && people[u] !== 'in') people[u] = part;
    this.set({ people });
    const all = Object.values(people);
    if (
      (this.#state.phase === 'calling' || this.asked) &&
      all.every((p) => p === 'declined' || p === 'busy' || p === 'noAnswer')
    )
      void this.end(all.every((p) => p === all[0]) ? part : 'declined');
  }

  protected cancelled(list: string[]): void {
    for (const u of list)
      if (this.#state.people[u] === 'invited' || this.#state.people[u] === 'ringing') this.setPart(u, 'cancelled');
  }

  protected timedOut(list: string[]): void {
    if (this.#state.phase === 'ringing' && list.includes(this.client.userID)) return void this.end('noAnswer');
    this.refused(list, 'noAnswer');
  }
}
