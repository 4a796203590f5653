import type { Client } from './client.js';
import {
  callEvents,
  endReasonOfRecord,
  idle,
  ignoreRefusal,
  talking,
  type CallEvents,
  type CallState,
  type EndReason,
  type Part,
} from './call-state.js';
import { CallLock, callStorage, type CallStorage } from './call-tab.js';
import { Emitter } from './emitter.js';
import { BeckonError, Code } from './error.js';
import type { EnterOptions, LeaveReason, Room } from './room.js';

/** Retry time for a media server that does not answer, in milliseconds. */
const mediaRetryTime = 8_000;

/** Time after an answer from which an end without a record means that a side could not connect, in milliseconds. */
const slowEnd = 4_000;

/**
 * Time to wait for the return of lost users or of the media server, in milliseconds. The server closes a room after 15
 * s.
 */
const resumeTimeout = 25_000;

/** Timeout of reading the record of a call that has ended, in milliseconds. */
const recordTime = 1000;

/**
 * CallControl holds the state of the one call of this device and its transitions: begin, enter the media room, lose
 * participants, end. It does not place calls or subscribe to events: Calls does.
 */
export class CallControl extends Emitter<CallEvents> {
  readonly room: Room;
  protected client: Client;
  protected invites = new Set<string>(); // the invitations of this call
  protected joining = false; // this device requested to join late
  protected timer: ReturnType<typeof setTimeout> | undefined; // ends the call: no answer in time, or no return
  protected storage: CallStorage; // keeps the call over a page reload
  protected disposed = new AbortController();
  #state: CallState;
  #generation = 0; // incremented for each call, so that continuations of an earlier call stop
  #lock = new CallLock(); // marks this tab as in a call
  #awaitingRingLock = false;
  #answeredAt = 0; // when the phase became connecting, by the monotonic clock

  constructor(client: Client, room: Room) {
    super(callEvents);
    this.client = client;
    this.room = room;
    this.#state = { ...idle, leader: typeof navigator === 'undefined' || !navigator.locks };
    this.storage = callStorage();
  }

  get state(): CallState {
    return this.#state;
  }

  /**
   * Begins a call, synchronously, so that no second one can begin. It returns a function that reports whether this call
   * is over by now.
   */
  protected begin(state: Omit<Partial<CallState>, 'leader'>): () => boolean {
    if (this.inCall())
      throw new BeckonError({ code: Code.Exists, message: 'this device is in a call already; hang up first' });
    this.#generation++;
    this.joining = false;
    this.invites = new Set(state.inviteID ? [state.inviteID] : []);
    this.set({ ...idle, ...state });
    this.room.preload().catch(() => undefined); // enterRoom tries again
    return this.overCheck();
  }

  /** Returns a function that reports whether the current call is over by then. */
  protected overCheck(): () => boolean {
    const generation = this.#generation;
    return () => this.#generation !== generation;
  }

  protected inCall(): boolean {
    return this.#state.phase !== 'idle';
  }

  protected set(change: Partial<CallState>): void {
    if (change.phase && change.phase !== this.#state.phase)
      this.#answeredAt = change.phase === 'connecting' ? performance.now() : 0;
    this.#state = this.#pause({ ...this.#state, ...change });
    const { phase, inviteID, roomID, media } = this.#state;
    if (phase === 'idle' || phase === 'ringing') this.storage.clear();
    else this.storage.write({ deviceID: this.client.deviceID, inviteID, roomID, media, invites: [...this.invites] });
    this.emit('onCallState', this.#state);
  }

  /** Stops the time of the call during an outage, and continues it. */
  #pause(state: CallState): CallState {
    const now = this.client.now();
    const on = talking(state, this.client.userID);
    if (!state.since || on === !state.pausedAt) return state;
    return on ? { ...state, pausedAt: 0, paused: state.paused + now - state.pausedAt } : { ...state, pausedAt: now };
  }

  protected setPart(userID: string, part: Part): void {
    if (userID && userID !== this.client.userID) this.set({ people: { ...this.#state.people, [userID]: part } });
  }

  /**
   * Marks this tab as in a call, so that other tabs neither ring nor call, and reports whether the call goes on. If
   * another tab is in a call, it throws: the call changes to the state before, or ends without a request.
   */
  protected async claim(gone: () => boolean, before?: Partial<CallState>, reloaded = false): Promise<boolean> {
    const free = await this.#lock.acquire(`beckon.incall.${this.client.userID}`, reloaded);
    if (gone()) return false;
    if (free) return true;
    const err = new BeckonError({
      code: Code.Exists,
      message: 'this browser is in a call in another tab; hang up there first',
    });
    if (before) this.set(before);
    else {
      this.invites.clear();
      void this.end('failed', err, false);
    }
    throw err;
  }

  /**
   * Ends the call on this device at once. It resolves when the server has answered the requests that follow from it.
   */
  protected async end(reason: EndReason, error?: Error, leave = true): Promise<void> {
    const state = this.#state;
    if (state.phase === 'idle') return;
    clearTimeout(this.timer);
    this.#lock.release();
    const waiting = this.waiting();
    const together = Object.values(state.people).includes('in');
    const invites =
      state.phase !== 'ringing' &&
      (state.inviter === this.client.userID || this.joining) &&
      waiting &&
      !together &&
      reason !== 'elsewhere'
        ? [...this.invites]
        : [];
    const entered = this.room.roomID === state.roomID;
    this.#generation++;
    this.invites.clear();
    this.set({ ...idle });
    this.emit('onCallEnded', { state, reason, ...(error ? { error } : {}) });
    const requests: unknown[] = invites.map((inviteID) => this.#cancel(inviteID, state.roomID, state.deadline));
    // the record of a lost connection of another user comes from the server
    const lost = reason === 'mediaLost' && (!entered || this.room.link(this.client.userID) === 'lost');
    const why = lost ? 'mediaLost' : 'hangup';
    if (leave && entered) requests.push(this.room.exitRoom(why));
    else if (leave && ['connecting', 'reconnecting'].includes(state.phase) && !this.joining)
      requests.push(this.client.exitRoom({ roomID: state.roomID, reason: why }).catch(ignoreRefusal));
    await Promise.all(requests);
  }

  /**
   * Enters the room of the call and opens microphone and camera. A media server that does not answer is retried for
   * mediaRetryTime, in a call that was connected until resumeTimeout; any other failure ends the call.
   */
  protected async enter(entry?: EnterOptions['entry'], until = performance.now() + mediaRetryTime): Promise<void> {
    const { roomID, media } = this.#state;
    const gone = this.overCheck();
    try {
      // The invitation has opened the room. Entering must not open it again after the end of the call.
      await this.room.enterRoom({ roomID, rejoin: true, entry });
    } catch (err) {
      if (gone() || this.room.roomID === roomID) return;
      if ((err as BeckonError).code === Code.NotAdmitted) return this.endByRecord();
      const { code, retryAfter } = err as BeckonError;
      const lost = code === Code.NoMedia;
      if (!lost || (this.#state.phase !== 'reconnecting' && (!retryAfter || performance.now() > until)))
        return void this.end(lost ? 'mediaLost' : 'failed', err as Error);
      await new Promise((resolve) => setTimeout(resolve, 1000));
      return gone() ? undefined : this.enter(undefined, until);
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

  /**
   * Ends the call if its room has ended while this device was disconnected, as after the sleep of a laptop. A failure to
   * reach the server changes nothing.
   */
  protected async checkRoom(): Promise<void> {
    const { phase, roomID, since } = this.#state;
    const entered = since > 0 || (roomID !== '' && this.room.roomID === roomID);
    if (!entered || phase === 'calling' || phase === 'ringing') return; // an answer may still be on its way
    const gone = this.overCheck();
    try {
      await this.client.getRoom({ roomID });
    } catch (err) {
      if ((err as BeckonError).code === Code.NotAdmitted && !gone()) await this.endByRecord();
    }
  }

  /**
   * Ends the call with the reason that its record has. A call without a record never connected two users; if it took long
   * to end, then because a side could not connect.
   */
  protected async endByRecord(): Promise<void> {
    const gone = this.overCheck();
    const { roomID } = this.#state;
    const list = this.client.listCalls({ roomID, limit: 1 }).catch(() => undefined);
    const found = await Promise.race([list, new Promise<void>((resolve) => setTimeout(resolve, recordTime))]);
    if (gone()) return;
    const { since } = this.#state;
    const failed = !since && this.#answeredAt > 0 && performance.now() - this.#answeredAt > slowEnd;
    await this.end(failed ? 'mediaLost' : endReasonOfRecord(found?.calls?.[0]?.reason));
  }

  protected endUnlessResumed(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      if (this.#state.phase === 'reconnecting') void this.end('mediaLost');
    }, resumeTimeout);
  }

  /** Cancels an invitation, with retries until its deadline. A user that accepted first is removed from the room. */
  async #cancel(inviteID: string, roomID: string, deadline: number): Promise<void> {
    try {
      await this.client.cancel({ inviteID });
    } catch (err) {
      ignoreRefusal(err);
      const { won, code } = err as BeckonError;
      if (code === Code.Timeout && (!deadline || this.client.now() < deadline) && !this.disposed.signal.aborted)
        return this.#cancel(inviteID, roomID, deadline);
      if (won?.action === 'accept' && won.userID)
        await this.client.setRoomRole({ roomID, userID: won.userID, role: 'none' }).catch(ignoreRefusal);
    }
  }

  /** Reports whether an answer is outstanding. */
  protected waiting(): boolean {
    return Object.values(this.#state.people).some((p) => p === 'invited' || p === 'ringing');
  }

  /** Waits for the lock of the tab that plays the ring tone, and holds it until dispose. */
  protected acquireRingLock(): void {
    if (this.#state.leader || this.#awaitingRingLock || typeof navigator === 'undefined' || !navigator.locks) return;
    this.#awaitingRingLock = true;
    const { signal } = this.disposed;
    navigator.locks
      .request(`beckon.ring.${this.client.userID}`, { signal }, () => {
        this.set({ leader: true });
        return new Promise<void>((release) => signal.addEventListener('abort', () => release()));
      })
      .catch(() => undefined); // aborted by dispose
  }

  /** Handles the end of this device's stay in the room. */
  protected roomLeft(reason: LeaveReason): void {
    if (reason === 'mediaLost') {
      if (this.#state.since) {
        // the others may return, too
        this.set({ phase: 'reconnecting' });
        this.endUnlessResumed();
      }
      const gone = this.overCheck();
      setTimeout(() => {
        if (!gone() && !this.room.roomID) void this.enter();
      }, 1000);
      return;
    }
    if (reason === 'dismissed') return void this.endByRecord();
    void this.end(
      reason === 'replaced' ? 'elsewhere' : reason === 'hangup' ? 'hangup' : 'remoteHangup',
      undefined,
      false,
    );
  }

  /** Stops ringing 3 s after the deadline, in case the event of the server is lost. */
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

  protected accepted(userID: string): void {
    this.setPart(userID, this.#state.people[userID] === 'in' ? 'in' : 'accepted');
    if (this.#state.phase === 'calling') this.set({ phase: 'connecting' });
  }

  protected refused(users: string[], part: 'declined' | 'busy' | 'noAnswer'): void {
    const people = { ...this.#state.people };
    for (const u of users) if (u in people && people[u] !== 'in') people[u] = part;
    this.set({ people });
    const all = Object.values(people);
    if (
      (this.#state.phase === 'calling' || this.joining) &&
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
