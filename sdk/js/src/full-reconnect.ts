// Workarounds for three faults of LiveKit's client (2.23.0) in a full reconnect: a new session after a restart of the
// media server, for example.
import { ConnectionState, RoomEvent, type Room } from 'livekit-client';

/** Poll interval of the state of a reconnect, in milliseconds. */
const interval = 100;

/** Internals of LiveKit's client. */
interface Internals {
  emitBufferedEvents?(): void;
}

/** Corrects the published layers and the buffered events of a room after a full reconnect. */
export function repairFullReconnects(room: Room): void {
  // The client keeps the set of subscribed layers of the old session. If it is empty, the media server receives no
  // packet of the track, and does not announce it.
  room.on(RoomEvent.LocalTrackUnpublished, ({ track }) => {
    if (track) Object.assign(track, { subscribedCodecs: undefined });
  });
  // The client buffers events up to two seconds longer than it flushes the buffer: new users and tracks in between
  // stay unknown.
  room.on(RoomEvent.Reconnected, () => {
    const timer = setInterval(() => {
      const connected = room.state === ConnectionState.Connected;
      if (connected) (room as unknown as Internals).emitBufferedEvents?.();
      if (!connected || !room.engine.pendingReconnect) clearInterval(timer);
    }, interval);
  });
}

/** Limit of the attempts of one publication. */
const maxAttempts = 3;

/**
 * Publishes a track, with a retry after each full reconnect: LiveKit cancels pending publications, and republishes only
 * published tracks. There is no retry after an error without a reconnect, in a closed room, or if wanted returns false.
 */
export async function publishWithRetry(
  room: Room,
  wanted: () => boolean,
  publish: () => Promise<unknown>,
): Promise<void> {
  let reconnects = 0;
  const count = (): void => {
    reconnects++;
  };
  room.on(RoomEvent.Reconnecting, count);
  try {
    for (let attempt = 1; ; attempt++) {
      const before = room.state === ConnectionState.Connected ? reconnects : -1;
      try {
        await publish();
        return;
      } catch (err) {
        if (attempt === maxAttempts || reconnects === before) throw err;
        while (room.state !== ConnectionState.Connected && room.state !== ConnectionState.Disconnected)
          await new Promise((resolve) => setTimeout(resolve, interval));
        if (room.state === ConnectionState.Disconnected || !wanted()) throw err;
      }
    }
  } finally {
    room.off(RoomEvent.Reconnecting, count);
  }
}
