// The state of links: packets that stop, packets that are rare, and the quality that LiveKit reports.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConnectionQuality } from 'livekit-client';
import { Silence, stateOf } from '../src/link.js';

/** Returns the time from the last of some packets, every gap milliseconds, to the loss. */
function lossAfter(gap: number, limit: number): number {
  const s = new Silence();
  let [now, count] = [1000, 0];
  for (; now < 31_000; now += 500) {
    if (now % gap === 0) count++;
    s.note(count, now);
    assert.ok(!s.exceeds(limit, now), `lost after ${now} ms, with a packet every ${gap} ms`);
  }
  const last = now - 500 - ((now - 500) % gap);
  while (!s.exceeds(limit, now)) s.note(count, (now += 500));
  return now - last;
}

test('packets that stop are a loss; packets that are rare by themselves are not', () => {
  assert.ok(lossAfter(500, 2000) <= 2500);
  assert.ok(lossAfter(1000, 3000) <= 3500);
  const rare = lossAfter(2500, 2000);
  assert.ok(rare > 5000 && rare <= 8500, `${rare}`);
});

test('nothing is lost before the first packet, or during a pause of the program', () => {
  const s = new Silence();
  assert.equal(s.exceeds(2000, 60_000), undefined);
  s.note(1, 60_000);
  s.resume(100_000);
  assert.deepEqual([s.exceeds(2000, 101_000), s.exceeds(2000, 102_500)], [false, true]);
  s.note(0, 102_500); // another connection, without a packet so far
  assert.equal(s.exceeds(2000, 102_500), true);
  s.note(1, 103_000);
  assert.equal(s.exceeds(2000, 103_000), false);
});

test('a link is lost without packets, weak with poor quality or without signaling', () => {
  const { Good, Poor, Lost, Unknown } = ConnectionQuality;
  for (const [quality, silent, signaling, want] of [
    [Good, false, true, 'good'],
    [Unknown, false, true, 'good'],
    [Poor, false, true, 'weak'],
    [Good, false, false, 'weak'],
    [Lost, undefined, true, 'lost'],
    [Lost, false, true, 'weak'], // from before packets arrived again
    [Good, undefined, true, 'good'],
    [Good, true, true, 'lost'],
  ] as const)
    assert.equal(stateOf(quality, silent, signaling), want, `${quality} ${silent} ${signaling}`);
});
