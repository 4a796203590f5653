// Publications of a room that is joined again meanwhile.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConnectionState, RoomEvent, type Room } from 'livekit-client';
import { publishThrough } from '../src/rejoined.js';

/** A LiveKit room that only has a state. */
class FakeRoom {
  state: ConnectionState = ConnectionState.Connected;
  listeners = new Set<() => void>();

  on(event: RoomEvent, f: () => void): this {
    assert.equal(event, RoomEvent.Reconnecting);
    this.listeners.add(f);
    return this;
  }

  off(_: RoomEvent, f: () => void): this {
    this.listeners.delete(f);
    return this;
  }

  rejoin(): void {
    this.state = ConnectionState.Reconnecting;
    for (const f of this.listeners) f();
  }
}

const ended = new Error('the publication ended');

/** Publishes in a room in which the publications have the given outcomes, and returns their number. */
async function publish(
  outcomes: ((room: FakeRoom) => void)[],
  wanted = (): boolean => true,
): Promise<{ error: unknown; tries: number }> {
  const room = new FakeRoom();
  let tries = 0;
  let error: unknown;
  try {
    await publishThrough(room as unknown as Room, wanted, async () => {
      await Promise.resolve();
      outcomes[tries++]?.(room);
    });
  } catch (err) {
    error = err;
  }
  assert.equal(room.listeners.size, 0);
  return { error, tries };
}

/** The room is joined again, which ends the publication, and is then in a state. */
const joinedAgain =
  (state: ConnectionState) =>
  (room: FakeRoom): never => {
    room.rejoin();
    setTimeout(() => (room.state = state), 150);
    throw ended;
  };

const again = joinedAgain(ConnectionState.Connected);

test('a publication is made again after the room was joined again', async () => {
  assert.deepEqual(await publish([again, () => undefined]), { error: undefined, tries: 2 });
});

test('a publication that fails by itself is not made again', async () => {
  const fails = (): never => {
    throw ended;
  };
  assert.deepEqual(await publish([fails]), { error: ended, tries: 1 });
});

test('a publication is not made again if the room is lost, or the track is no longer wanted', async () => {
  assert.deepEqual(await publish([joinedAgain(ConnectionState.Disconnected)]), { error: ended, tries: 1 });
  assert.deepEqual(await publish([again], () => false), { error: ended, tries: 1 });
});

test('a room that is joined again and again ends the attempts', async () => {
  assert.deepEqual(await publish([again, again, again]), { error: ended, tries: 3 });
});
