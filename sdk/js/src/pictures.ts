// Pictures that are paused while a connection is too slow for them, so that sound comes through.
import {
  RoomEvent,
  Track,
  type LocalTrackPublication,
  type RemoteTrackPublication,
  type Room as LiveKitRoom,
} from 'livekit-client';

/** The directions in which the pictures of a room are paused on this device. */
export interface Paused {
  /** The own camera is not sent. It stays open. */
  readonly sent: boolean;
  /** The users whose cameras and screens are not received. */
  readonly received: readonly string[];
}

/** Interval of the measurements, in milliseconds. */
const interval = 1000;

/** Bandwidth below which the camera is not sent, in bits per second. */
const slowSent = 200_000;

/**
 * Pictures are not received while less than slowReceived bits per second arrive and, at the same time, a share of the
 * sound is lost or packets wait in a queue: the connection is full.
 */
const slowReceived = 350_000;
const lostSound = 0.05;
const queueTime = 0.3; // seconds

/** Measurements in which a direction must be slow before it is paused. */
const slowCount = 4;

/** Users whose sound is measured. */
const maxSounds = 3;

/** Packets of sound in an interval from which a share of losses is known: 50 are sent in a second, fewer in silence. */
const fewPackets = 10;

/** Time after a loss of the connection in which nothing is paused: the browser begins with a low bandwidth. */
const settleTime = 10_000;

/** Times to the first and to all later attempts, in milliseconds. Each failed attempt doubles the time. */
const firstAttempt = 10_000;
const lastAttempt = 120_000;

/** Time without a pause after which an attempt was a success. */
const success = 30_000;

/** Throttle decides whether the pictures of one direction are paused, from measurements once a second. */
export class Throttle {
  #slow = 0;
  #from = 0; // nothing is paused before
  #wait = firstAttempt;
  #until = 0; // of the pause; 0 = none
  #resumed = 0;

  /** Notes whether the direction is slow at a time in milliseconds. It reports whether its pictures are paused. */
  note(slow: boolean, now: number): boolean {
    if (this.#until) {
      if (now < this.#until) return true;
      this.#until = 0;
      this.#resumed = now;
      this.#slow = 0;
      return false;
    }
    if (this.#wait > firstAttempt && now > this.#resumed + success) this.#wait = firstAttempt;
    this.#slow = Math.max(0, this.#slow + (slow ? 1 : -1));
    if (this.#slow < slowCount || now < this.#from) return false;
    this.#until = now + this.#wait;
    this.#wait = Math.min(2 * this.#wait, lastAttempt);
    return true;
  }

  /** Ends a pause. */
  resume(): void {
    this.#until = this.#slow = 0;
  }

  /** Ends a pause, and begins none for settleTime. */
  settle(now: number): void {
    this.resume();
    this.#from = now + settleTime;
  }
}

type Report = readonly Readonly<Record<string, unknown>>[];

/** Sum is the counts of a report. */
interface Sum {
  bytes: number; // of the connection
  packets: number; // of the sound
  lost: number;
  roundTrip: number; // of the connection, in seconds; 0 = unknown
}

function sum(report: Report): Sum {
  const total = { bytes: 0, packets: 0, lost: 0, roundTrip: 0 };
  for (const s of report) {
    if (s['type'] === 'transport') total.bytes += Number(s['bytesReceived'] ?? 0);
    if (s['type'] === 'candidate-pair' && s['nominated'] === true)
      total.roundTrip = Number(s['currentRoundTripTime'] ?? 0);
    if (s['type'] !== 'inbound-rtp') continue;
    total.packets += Number(s['packetsReceived'] ?? 0);
    total.lost += Number(s['packetsLost'] ?? 0);
  }
  return total;
}

/** Meter measures whether a connection is full, between two reports of each of some sounds. */
export class Meter {
  #at = 0;
  #sums = new Map<string, Sum>(); // by the ID of the sound
  #least = Infinity; // round-trip time, in seconds

  /**
   * Notes the reports of sounds at a time in milliseconds. It reports whether the connection is slow; not before the
   * second report of a sound. The sound of one user alone may be lost on the way from that user.
   */
  note(reports: ReadonlyMap<string, Report>, now: number): boolean {
    const before = this.#sums;
    this.#sums = new Map([...reports].map(([id, report]) => [id, sum(report)]));
    const seconds = (now - this.#at) / 1000;
    this.#at = now;
    let [rate, share, roundTrip] = [Infinity, 1, 0];
    for (const [id, s] of this.#sums) {
      if (s.roundTrip) this.#least = Math.min(this.#least, s.roundTrip);
      roundTrip = s.roundTrip;
      const old = before.get(id);
      if (!old || s.bytes < old.bytes || s.packets < old.packets) continue; // a new connection
      rate = Math.min(rate, (8 * (s.bytes - old.bytes)) / seconds);
      const lost = Math.max(0, s.lost - old.lost);
      const all = lost + s.packets - old.packets;
      if (all >= fewPackets) share = Math.min(share, lost / all);
    }
    const full = (share > lostSound && share < 1) || (roundTrip > 0 && roundTrip > this.#least + queueTime);
    return rate < slowReceived && full;
  }
}

/** Returns the bandwidth that the browser estimates for sending, in bits per second; undefined if it does not know. */
export function bandwidth(report: Report): number | undefined {
  for (const s of report)
    if (s['type'] === 'candidate-pair' && s['nominated'] === true && s['availableOutgoingBitrate'] !== undefined)
      return Number(s['availableOutgoingBitrate']);
  return undefined;
}

/** Returns the statistics of a track; empty without a connection. */
async function reportOf(track: { getRTCStatsReport(): Promise<RTCStatsReport | undefined> }): Promise<Report> {
  const report = await track.getRTCStatsReport().catch(() => undefined);
  return [...((report as unknown as Map<string, Record<string, unknown>> | undefined)?.values() ?? [])];
}

/** Pictures pauses the pictures of a LiveKit room, and resumes them. */
export class Pictures {
  #room: LiveKitRoom;
  #lost: () => boolean;
  #changed: (paused: Paused) => void;
  #sending = new Throttle();
  #receiving = new Throttle();
  #meter = new Meter();
  #sent = false; // the camera is paused
  #received = false; // the pictures of others are paused
  #held = new Map<RemoteTrackPublication, string>(); // unsubscribed here, with their users
  #timer: ReturnType<typeof setInterval> | undefined;
  #measuring = false;

  /** lost reports whether the connection of this device is lost. */
  constructor(room: LiveKitRoom, lost: () => boolean, changed: (paused: Paused) => void) {
    this.#room = room;
    this.#lost = lost;
    this.#changed = changed;
  }

  get paused(): Paused {
    return { sent: this.#sent, received: [...new Set(this.#held.values())] };
  }

  /** Starts after the room was entered. */
  start(): void {
    this.#timer = setInterval(() => void this.#measure(), interval);
    this.#room
      .on(RoomEvent.Reconnected, () => this.#settle())
      .on(RoomEvent.TrackSubscribed, () => {
        if (this.#received && this.#hold()) this.#changed(this.paused);
      });
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#changed = () => {};
  }

  /** Resumes the camera: the user opens it. */
  resume(): void {
    this.#sending.resume();
    this.#apply(false, this.#received);
  }

  /** Resumes the pictures, and pauses none for a while: the connection is a new one. */
  #settle(): void {
    const now = performance.now();
    this.#sending.settle(now);
    this.#receiving.settle(now);
    this.#apply(false, false);
  }

  async #measure(): Promise<void> {
    if (this.#measuring) return;
    this.#measuring = true;
    try {
      await this.#judge(performance.now());
    } finally {
      this.#measuring = false;
    }
  }

  async #judge(now: number): Promise<void> {
    if (this.#lost()) {
      this.#sending.settle(now);
      this.#receiving.settle(now);
      return;
    }
    const camera = this.#camera();
    const flowing = [...this.#room.remoteParticipants.values()]
      .flatMap((p) => [...p.trackPublications.values()] as RemoteTrackPublication[])
      .filter((pub) => pub.track && !pub.isMuted);
    const sounds = flowing.filter((pub) => pub.source === Track.Source.Microphone).slice(0, maxSounds);
    const [sent, ...received] = await Promise.all([
      camera?.track && !camera.isMuted && !this.#sent ? reportOf(camera.track) : [],
      ...sounds.map((pub) => reportOf(pub.track!)),
    ]);
    const rate = bandwidth(sent);
    const full = this.#meter.note(new Map(received.map((r, i) => [sounds[i]!.trackSid, r])), now);
    const pictures = flowing.some((pub) => pub.kind === Track.Kind.Video);
    this.#apply(
      this.#sending.note(rate !== undefined && rate < slowSent, now),
      this.#receiving.note(full && pictures, now),
    );
  }

  #camera(): LocalTrackPublication | undefined {
    return this.#room.localParticipant.getTrackPublication(Track.Source.Camera);
  }

  #apply(sent: boolean, received: boolean): void {
    if (this.#sent === sent && this.#received === received) return;
    const camera = this.#camera()?.track;
    if (camera && this.#sent !== sent)
      void (sent ? camera.pauseUpstream() : camera.resumeUpstream()).catch(() => undefined); // it was closed
    this.#sent = sent;
    this.#received = received;
    if (received) this.#hold();
    else this.#release();
    this.#changed(this.paused);
  }

  /** The pictures of others that this device wants, with their users. */
  #pictures(): (readonly [RemoteTrackPublication, string])[] {
    return [...this.#room.remoteParticipants.values()].flatMap((p) =>
      ([...p.trackPublications.values()] as RemoteTrackPublication[])
        .filter((pub) => pub.kind === Track.Kind.Video && pub.isDesired)
        .map((pub) => [pub, p.identity] as const),
    );
  }

  /** Unsubscribes from the pictures of others, and reports whether there were any. */
  #hold(): boolean {
    const list = this.#pictures();
    for (const [pub, userID] of list) {
      this.#held.set(pub, userID);
      pub.setSubscribed(false);
    }
    return list.length > 0;
  }

  #release(): void {
    for (const pub of this.#held.keys()) pub.setSubscribed(true);
    this.#held.clear();
  }
}
