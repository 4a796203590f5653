// The state of each user's connection to a room.
import {
  ConnectionQuality,
  RoomEvent,
  Track,
  type Participant,
  type RemoteParticipant,
  type RemoteTrackPublication,
  type Room as LiveKitRoom,
} from 'livekit-client';
import { Restart } from './restart.js';

/**
 * The state of a user's connection to the room: weak = packets are lost or late, or only the signaling is interrupted;
 * lost = no packets arrive.
 */
export type Link = 'good' | 'weak' | 'lost';

/** Interval at which packets are counted, in milliseconds. */
const interval = 500;

/**
 * Time without packets after which the connection of this device, or of another user, is lost, in milliseconds. It is
 * longer where packets are rarer.
 */
const silentSelf = 2000;
const silentOther = 3000;

/** Silence measures the time without new packets of one source. */
export class Silence {
  #count = -1;
  #at = 0; // of the last packet
  #gap = 0; // the longest recent time between packets

  /** Notes a count of packets or bytes. A count that decreases is that of a new source, and no sign of life. */
  note(count: number, now: number): void {
    if (count === this.#count) return;
    if (count < this.#count) return void (this.#count = count);
    if (this.#count >= 0) this.#gap = Math.max(now - this.#at, this.#gap * 0.9);
    this.#count = count;
    this.#at = now;
  }

  /** Forgets the time without packets, as after a pause of this program. */
  resume(now: number): void {
    this.#at = now;
  }

  /**
   * Reports whether packets are missing for longer than limit, and for longer than this source pauses by itself;
   * undefined before the first packet.
   */
  exceeds(limit: number, now: number): boolean | undefined {
    return this.#count < 0 ? undefined : now - this.#at > Math.max(limit, 3 * this.#gap);
  }
}

/**
 * Returns the state of a link from the quality that LiveKit measured, whether packets are missing (undefined: none are
 * expected), and LiveKit's signaling. Packets that arrive outweigh a quality of lost, which is up to 5 s old.
 */
export function stateOf(quality: ConnectionQuality, silent: boolean | undefined, signaling = true): Link {
  const lost = quality === ConnectionQuality.Lost;
  if (silent ?? lost) return 'lost';
  return lost || quality === ConnectionQuality.Poor || !signaling ? 'weak' : 'good';
}

/** Returns a number that changes with each packet on the transport of a report. */
function received(report: RTCStatsReport): number {
  let sum = 0;
  report.forEach((s: Record<string, unknown>) => {
    if (s['type'] !== 'transport' && s['type'] !== 'candidate-pair') return;
    for (const k of ['bytesReceived', 'packetsReceived', 'responsesReceived', 'requestsReceived'])
      sum += Number(s[k] ?? 0);
  });
  return sum;
}

/** Returns the packets of a track that a report counts. */
function packets(report: RTCStatsReport): number {
  let sum = 0;
  report.forEach((s: Record<string, unknown>) => {
    if (s['type'] === 'inbound-rtp') sum += Number(s['packetsReceived'] ?? 0);
  });
  return sum;
}

/** Returns the track that a user sends now; its packets are the sign of life. */
function flowing(p: RemoteParticipant): RemoteTrackPublication | undefined {
  const sends = (pub: RemoteTrackPublication | undefined): boolean =>
    pub?.track !== undefined && !pub.isMuted && pub.isEnabled && pub.track.streamState === Track.StreamState.Active;
  const sound = p.getTrackPublication(Track.Source.Microphone) as RemoteTrackPublication | undefined;
  const camera = p.getTrackPublication(Track.Source.Camera) as RemoteTrackPublication | undefined;
  return sends(sound) ? sound : sends(camera) ? camera : undefined;
}

/**
 * Links watches the connections of the users of a LiveKit room, and reports changes. It counts packets, because LiveKit
 * and the browser notice an outage only after 5 to 20 s.
 */
export class Links {
  #room: LiveKitRoom;
  #changed: (userID: string, link: Link) => void;
  #states = new Map<string, Link>();
  #self = new Silence();
  #counted = ''; // the directions of which packets are counted
  #others = new Map<string, { sid: string; silence: Silence }>();
  #signaling = true;
  #offline = false; // LiveKit has given up the media connection, and makes a new one
  #timer: ReturnType<typeof setInterval> | undefined;
  #last = 0;
  #counting = false;
  #restart: Restart;

  /** alive reports whether the server can be reached. */
  constructor(room: LiveKitRoom, changed: (userID: string, link: Link) => void, alive: () => Promise<boolean>) {
    this.#room = room;
    this.#changed = changed;
    this.#restart = new Restart(room, alive);
  }

  /** Starts after the room was entered. */
  start(): void {
    this.#last = performance.now();
    this.#timer = setInterval(() => void this.#count(), interval);
    this.#room
      .on(RoomEvent.SignalReconnecting, () => this.#interrupted(false))
      .on(RoomEvent.Reconnecting, () => this.#interrupted(true))
      .on(RoomEvent.Reconnected, () => {
        this.#signaling = true;
        this.#offline = false;
        this.#resume();
        this.#judge();
      })
      .on(RoomEvent.ConnectionQualityChanged, () => this.#judge());
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#changed = () => {};
    this.#restart.stop();
  }

  /** The state of a user's link. */
  of(userID: string): Link {
    return this.#states.get(userID) ?? 'good';
  }

  #interrupted(media: boolean): void {
    this.#signaling = false;
    this.#offline ||= media;
    this.#judge();
  }

  #resume(): void {
    const now = performance.now();
    this.#self.resume(now);
    for (const o of this.#others.values()) o.silence.resume(now);
  }

  /** Counts packets. Late ticks are those of a paused program, in which no packets were counted. */
  async #count(): Promise<void> {
    if (this.#counting) return;
    this.#counting = true;
    const began = performance.now();
    if (began - this.#last > 4 * interval) this.#resume();
    this.#last = began;
    try {
      await Promise.all([
        this.#countSelf(),
        ...[...this.#room.remoteParticipants.values()].map((p) => this.#countOther(p)),
      ]);
    } finally {
      this.#counting = false;
    }
    this.#judge();
  }

  /** Counts the packets of this device: one report for each direction, which has its transport. */
  async #countSelf(): Promise<void> {
    const own = [...this.#room.localParticipant.trackPublications.values()].find((pub) => pub.track)?.track;
    let other: RemoteTrackPublication['track'];
    for (const p of this.#room.remoteParticipants.values()) other ??= flowing(p)?.track;
    const reports = await Promise.all([own, other].map((t) => t?.getRTCStatsReport().catch(() => undefined)));
    const counted = reports.map((r) => r !== undefined).join();
    if (counted !== this.#counted) this.#self = new Silence(); // fewer packets are no outage then
    this.#counted = counted;
    const counts = reports.filter((r) => r !== undefined).map(received);
    if (counts.length)
      this.#self.note(
        counts.reduce((a, b) => a + b, 0),
        performance.now(),
      );
  }

  async #countOther(p: RemoteParticipant): Promise<void> {
    const pub = flowing(p);
    const report = await pub?.track?.getRTCStatsReport().catch(() => undefined);
    if (!pub || !report) return void this.#others.delete(p.identity);
    let o = this.#others.get(p.identity);
    if (o?.sid !== pub.trackSid) this.#others.set(p.identity, (o = { sid: pub.trackSid, silence: new Silence() }));
    o.silence.note(packets(report), performance.now());
  }

  /** Reports changes. While this device is cut off, the states of others are unknown, and stay. */
  #judge(): void {
    const now = performance.now();
    const { localParticipant: me, remoteParticipants: others } = this.#room;
    const silent = this.#self.exceeds(silentSelf, now);
    this.#restart.note(silent ?? false, now);
    const self = stateOf(me.connectionQuality, this.#offline || silent, this.#signaling);
    const before = this.of(me.identity);
    if (before === 'lost' && self !== 'lost') this.#resume();
    this.#set(me, self);
    if (self === 'lost') return;
    for (const p of others.values())
      this.#set(p, stateOf(p.connectionQuality, this.#others.get(p.identity)?.silence.exceeds(silentOther, now)));
    for (const userID of this.#states.keys())
      if (userID !== me.identity && !others.has(userID)) this.#states.delete(userID);
  }

  #set({ identity }: Participant, link: Link): void {
    if (!identity || this.of(identity) === link) return;
    this.#states.set(identity, link);
    this.#changed(identity, link);
  }
}
