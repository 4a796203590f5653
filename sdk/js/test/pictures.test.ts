// Pictures that are paused on slow connections: when, for how long, and when not.
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { RoomEvent, Track, type Room } from 'livekit-client';
import { newID } from '../src/id.js';
import { bandwidth, Meter, Pictures, Throttle, type Paused } from '../src/pictures.js';

/** Returns the seconds, from 0 to the end, in which a direction is paused that is slow in some seconds. */
function pausedIn(end: number, slow: (second: number) => boolean, settled: number[] = []): number[] {
  const t = new Throttle();
  const list: number[] = [];
  for (let s = 0; s < end; s++) {
    if (settled.includes(s)) t.settle(1000 * s);
    if (t.note(slow(s), 1000 * s)) list.push(s);
  }
  return list;
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

test('a slow direction is paused in the fourth slow second, and tried again after twice the time each', () => {
  assert.deepEqual(
    pausedIn(300, () => true),
    [...range(3, 13), ...range(17, 37), ...range(41, 81), ...range(85, 165), ...range(169, 289), ...range(293, 300)],
  );
});

test('single slow seconds pause nothing', () => {
  assert.deepEqual(
    pausedIn(100, (s) => s % 2 === 0),
    [],
  );
});

test('after a success the first attempt is early again', () => {
  const slow = (s: number): boolean => s < 4 || s > 60;
  assert.deepEqual(pausedIn(75, slow), [...range(3, 13), ...range(64, 74)]);
});

test('nothing is paused for ten seconds after a loss of the connection', () => {
  assert.deepEqual(
    pausedIn(20, () => true, [0]),
    range(10, 20),
  );
  assert.deepEqual(
    pausedIn(20, () => true, [5]),
    [...range(3, 5), ...range(15, 20)],
  );
});

/** Returns a report after some seconds with a bandwidth in kbit/s, a share of lost sound and a round-trip time. */
function report(seconds: number, rate: number, lost = 0, roundTrip = 0.05): Record<string, unknown>[] {
  const packets = 50 * seconds;
  return [
    { type: 'transport', bytesReceived: (rate * 1000 * seconds) / 8 },
    { type: 'candidate-pair', nominated: false, currentRoundTripTime: 9, availableOutgoingBitrate: 9 },
    { type: 'candidate-pair', nominated: true, currentRoundTripTime: roundTrip, availableOutgoingBitrate: 1e6 },
    { type: 'inbound-rtp', packetsReceived: packets * (1 - lost), packetsLost: packets * lost },
  ];
}

test('a connection is slow if little arrives and all sound is lost, or packets wait', () => {
  for (const [rate, roundTrip, lost, want] of [
    [180, 0.05, [0.1], true],
    [180, 0.5, [0], true],
    [180, 0.05, [0], false], // a small picture
    [800, 0.5, [0.1], false], // a bad connection, not a slow one
    [180, 0.05, [0.1, 0.2], true],
    [180, 0.05, [0.1, 0], false], // lost on the way from one user
    [180, 0.05, [], false],
  ] as const) {
    const m = new Meter();
    const all = (seconds: number, trip: number) =>
      new Map(lost.map((share, i) => [`${i}`, report(seconds, rate, share, trip)]));
    assert.equal(m.note(all(1, 0.05), 1000), false, 'the first report');
    assert.equal(m.note(all(2, roundTrip), 2000), want, `${rate} ${lost.join()} ${roundTrip}`);
  }
});

test('a sound that begins anew is not measured against the one before, nor a silent one', () => {
  const m = new Meter();
  m.note(new Map([['a', report(10, 180, 0.1)]]), 1000);
  assert.equal(m.note(new Map([['a', report(1, 180, 0.1)]]), 2000), false);
  assert.equal(m.note(new Map([['b', report(9, 180, 0.1)]]), 3000), false);
  const silent = report(9.1, 180, 0.5);
  assert.equal(m.note(new Map([['b', silent]]), 4000), false);
});

test('the bandwidth is that of the connection in use', () => {
  assert.equal(bandwidth(report(1, 100)), 1e6);
  assert.equal(bandwidth([]), undefined);
});

/** A picture or a sound of another user, as far as Pictures uses it. */
class Publication {
  trackSid = newID();
  isMuted = false;
  isDesired = true;
  track: { getRTCStatsReport: () => Promise<Map<string, object>> } | undefined;
  constructor(
    readonly kind: Track.Kind,
    readonly source: Track.Source,
    stats: () => object[],
  ) {
    this.track = { getRTCStatsReport: async () => new Map(stats().map((s, i) => [`${i}`, s])) };
  }
  setSubscribed(on: boolean): void {
    this.isDesired = on;
  }
}

test('pictures are paused in both directions, and come back', async (t) => {
  let now = 100_000;
  t.mock.timers.enable({ apis: ['setInterval'] });
  t.mock.method(performance, 'now', () => now);
  const room = new EventEmitter();
  const counts = { kbit: 2000, lost: 0, estimate: 2e6 };
  const total = { bytes: 0, packets: 0, lost: 0 };
  const stats = (): object[] => [
    { type: 'transport', bytesReceived: total.bytes },
    { type: 'candidate-pair', nominated: true, availableOutgoingBitrate: counts.estimate },
    { type: 'inbound-rtp', packetsReceived: total.packets, packetsLost: total.lost },
  ];
  const picture = new Publication(Track.Kind.Video, Track.Source.Camera, stats);
  const sound = new Publication(Track.Kind.Audio, Track.Source.Microphone, stats);
  const upstream: string[] = [];
  const camera = {
    isMuted: false,
    track: {
      getRTCStatsReport: async () => new Map(stats().map((s, i) => [`${i}`, s])),
      pauseUpstream: async () => void upstream.push('paused'),
      resumeUpstream: async () => void upstream.push('resumed'),
    },
  };
  const bob = {
    identity: 'bob',
    trackPublications: new Map<string, unknown>([
      ['p', picture],
      ['s', sound],
    ]),
  };
  Object.assign(room, {
    localParticipant: { getTrackPublication: () => camera },
    remoteParticipants: new Map([['bob', bob]]),
  });
  const changes: Paused[] = [];
  const pictures = new Pictures(
    room as unknown as Room,
    () => false,
    (p) => changes.push(p),
  );
  const seconds = async (n: number): Promise<void> => {
    for (let i = 0; i < n; i++) {
      now += 1000;
      total.bytes += (counts.kbit * 1000) / 8;
      total.packets += 50 - counts.lost;
      total.lost += counts.lost;
      t.mock.timers.tick(1000);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  pictures.start();
  room.emit(RoomEvent.TrackSubscribed, picture.track, picture);
  await seconds(4);
  assert.deepEqual(changes, []);

  Object.assign(counts, { kbit: 180, lost: 15, estimate: 150_000 });
  await seconds(4);
  assert.deepEqual(changes.at(-1), { sent: true, received: ['bob'] });
  assert.deepEqual([picture.isDesired, upstream], [false, ['paused']]);

  Object.assign(counts, { kbit: 2000, lost: 0, estimate: 2e6 });
  await seconds(10);
  assert.deepEqual(changes.at(-1), { sent: false, received: [] });
  assert.deepEqual([picture.isDesired, upstream], [true, ['paused', 'resumed']]);
  await seconds(4);

  counts.estimate = 150_000;
  await seconds(4);
  assert.deepEqual(pictures.paused, { sent: true, received: [] });
  pictures.resume();
  assert.deepEqual(pictures.paused, { sent: false, received: [] });
  pictures.stop();
});
