// Two faults of LiveKit's client (2.23.0) when it joins a room again after a lost connection.
import { ConnectionState, RoomEvent, type LocalTrack, type Room } from 'livekit-client';

/** Interval of the checks whether LiveKit has ended a reconnect, in milliseconds. */
const interval = 100;

/** What this module uses of LiveKit's internals. */
interface Internals {
  emitBufferedEvents?(): void;
}

/** Mends what LiveKit does with a room and the tracks that this device sends when it joins the room again. */
export function mendRejoin(room: Room, sent: ReadonlySet<LocalTrack>): void {
  // It would go on to send only the layers that had receivers before. Without any, the media server never sees the
  // track, because it announces a track when its packets arrive.
  room.on(RoomEvent.Reconnecting, () => {
    for (const track of sent) Object.assign(track, { subscribedCodecs: undefined });
  });
  // It holds events back until its reconnect has ended, but emits them when it is connected, up to two seconds earlier:
  // users and tracks that come in between would stay unknown.
  room.on(RoomEvent.Reconnected, () => {
    const timer = setInterval(() => {
      if (room.state !== ConnectionState.Connected) clearInterval(timer);
      else if (!room.engine.pendingReconnect) {
        clearInterval(timer);
        (room as unknown as Internals).emitBufferedEvents?.();
      }
    }, interval);
  });
}
