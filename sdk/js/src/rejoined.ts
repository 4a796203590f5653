// What LiveKit's client (2.23.0) leaves undone when it joins a room again after a lost connection.
import { ConnectionState, RoomEvent, type Room } from 'livekit-client';

/** Interval of the checks whether LiveKit has ended a reconnect, in milliseconds. */
const interval = 100;

/** What this module uses of LiveKit's internals. */
interface Internals {
  emitBufferedEvents?(): void;
}

/** Mends what LiveKit does with a room and the tracks that this device sends when it joins the room again. */
export function mendRejoin(room: Room): void {
  // It would go on to send only the layers that had receivers before. Without any, the media server never sees the
  // track, because it announces a track when its packets arrive.
  room.on(RoomEvent.LocalTrackUnpublished, ({ track }) => {
    if (track) Object.assign(track, { subscribedCodecs: undefined });
  });
  // It holds events back until its reconnect has ended, but emits them when it is connected, up to two seconds earlier:
  // users and tracks that come in between would stay unknown.
  room.on(RoomEvent.Reconnected, () => {
    const timer = setInterval(() => {
      const connected = room.state === ConnectionState.Connected;
      if (connected) (room as unknown as Internals).emitBufferedEvents?.();
      if (!connected || !room.engine.pendingReconnect) clearInterval(timer);
    }, interval);
  });
}

/** Attempts of one publication. */
const maxAttempts = 3;

/**
 * Publishes a track, and does it again if the room was joined again meanwhile: LiveKit ends a publication then, and
 * publishes only the tracks that it has published before. wanted reports whether the track is still to be published.
 */
export async function publishThrough(
  room: Room,
  wanted: () => boolean,
  publish: () => Promise<unknown>,
): Promise<void> {
  let rejoins = 0;
  const count = (): void => {
    rejoins++;
  };
  room.on(RoomEvent.Reconnecting, count);
  try {
    for (let attempt = 1; ; attempt++) {
      const before = room.state === ConnectionState.Connected ? rejoins : -1;
      try {
        await publish();
        return;
      } catch (err) {
        if (attempt === maxAttempts || rejoins === before) throw err;
        while (room.state !== ConnectionState.Connected && room.state !== ConnectionState.Disconnected)
          await new Promise((resolve) => setTimeout(resolve, interval));
        if (room.state === ConnectionState.Disconnected || !wanted()) throw err;
      }
    }
  } finally {
    room.off(RoomEvent.Reconnecting, count);
  }
}
