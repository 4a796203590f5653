// Restarts of ICE, when media is cut and the server can be reached.
import { ConnectionState, RoomEvent, type Room as LiveKitRoom } from 'livekit-client';

/** Time for a restart to take effect, in milliseconds. */
const restartTime = 6000;

/** Time without a restart after each reconnect of LiveKit, until packets arrive, in milliseconds. */
const settleTime = 4000;

/** Restarts of one outage. Later ones are those of LiveKit and the browser. */
const maxRestarts = 3;

/**
 * LiveKit's state of reconnects, and its way to begin one: a new connection for signaling, and an ICE restart on the
 * existing peer connections. It is private there; LiveKit itself begins one when ICE has failed, after 15 s or more.
 */
interface Engine {
  readonly pendingReconnect: boolean;
  readonly attemptingReconnect: boolean;
  handleDisconnect(connection: string, reason: number): void;
}

/**
 * The reasons of a reconnect on the wire. After a failure the media server offers TCP only, also where UDP would work
 * again, so that it is given only if all transports failed.
 */
const unknown = 0;
const failed = 2;

/**
 * Restart restarts ICE when no packets arrive while the server answers: the network blocks UDP, or has lost the mapping
 * of its ports. Without an answer there is no network, and a restart would fail.
 */
export class Restart {
  #room: LiveKitRoom;
  #connectedAt = performance.now();
  #alive: () => Promise<boolean>;
  #asking = false;
  #silent = false;
  #tries = 0;
  #next = 0;

  constructor(room: LiveKitRoom, alive: () => Promise<boolean>) {
    this.#room = room;
    this.#alive = alive;
    room.on(RoomEvent.ConnectionStateChanged, () => {
      this.#connectedAt = performance.now();
    });
  }

  /** Notes whether packets are missing at a time in milliseconds. */
  note(silent: boolean, now: number): void {
    this.#silent = silent;
    if (!silent) {
      this.#tries = this.#next = 0;
      return;
    }
    if (!this.#asking && now >= this.#next && this.#tries < maxRestarts && this.#mayRestart(now))
      void this.#restart(now);
  }

  /** Reports whether LiveKit is connected and other participants are present: alone no packets are expected. */
  #mayRestart(now: number): boolean {
    const settled = now > this.#connectedAt + settleTime;
    return settled && this.#room.state === ConnectionState.Connected && this.#room.remoteParticipants.size > 0;
  }

  /** Ends all restarts. */
  stop(): void {
    this.#silent = false;
    this.#next = Infinity;
  }

  async #restart(now: number): Promise<void> {
    this.#asking = true;
    const alive = await this.#alive().catch(() => false);
    this.#asking = false;
    const engine = this.#room.engine as unknown as Engine | undefined;
    if (!alive || !this.#silent || !engine || engine.pendingReconnect || engine.attemptingReconnect) return;
    if (!this.#mayRestart(now)) return;
    this.#next = performance.now() + restartTime;
    engine.handleDisconnect('media', this.#tries++ ? failed : unknown);
  }
}
