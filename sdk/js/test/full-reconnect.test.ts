// Publications, layers and buffered events in a full reconnect of LiveKit.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConnectionState, RoomEvent, type Room } from 'livekit-client';
import { publishWithRetry, repairFullReconnects } from '../src/full-reconnect.js';

/** A LiveKit room with a state and one event. */
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

  reconnect(): void {
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
    await publishWithRetry(room as unknown as Room, wanted, async () => {
      await Promise.resolve();
      outcomes[tries++]?.(room);
    });
  } catch (err) {
    error = err;
  }
  assert.equal(room.listeners.size, 0);
  return { error, tries };
}

/** A full reconnect, which cancels the publication and ends in a state. */
const reconnected =
  (state: ConnectionState) =>
  (room: FakeRoom): never => {
    room.reconnect();
    setTimeout(() => (room.state = state), 150);
    throw ended;
  };

const again = reconnected(ConnectionState.Connected);

test('a publication is retried after a full reconnect', async () => {
  assert.deepEqual(await publish([again, () => undefined]), { error: undefined, tries: 2 });
});

test('a publication is not retried after another error', async () => {
  const fails = (): never => {
    throw ended;
  };
  assert.deepEqual(await publish([fails]), { error: ended, tries: 1 });
});

test('a publication is not retried in a closed room, or for an unwanted track', async () => {
  assert.deepEqual(await publish([reconnected(ConnectionState.Disconnected)]), { error: ended, tries: 1 });
  assert.deepEqual(await publish([again], () => false), { error: ended, tries: 1 });
});

test('the attempts of a publication are limited', async () => {
  assert.deepEqual(await publish([again, again, again]), { error: ended, tries: 3 });
});

test('the layers of the old session are cleared, and all buffered events are emitted', async () => {
  const handlers = new Map<RoomEvent, (arg?: unknown) => void>();
  const engine = { pendingReconnect: true };
  let flushes = 0;
  const room = {
    state: ConnectionState.Connected,
    engine,
    on: (event: RoomEvent, f: (arg?: unknown) => void) => handlers.set(event, f),
    emitBufferedEvents: () => {
      if (++flushes === 3) engine.pendingReconnect = false;
    },
  };
  repairFullReconnects(room as unknown as Room);
  const track = { subscribedCodecs: [] as unknown[] | undefined };
  handlers.get(RoomEvent.LocalTrackUnpublished)?.({ track });
  assert.equal(track.subscribedCodecs, undefined);
  handlers.get(RoomEvent.Reconnected)?.();
  await new Promise((resolve) => setTimeout(resolve, 1000));
  assert.equal(flushes, 3); // no more after the reconnect
});
