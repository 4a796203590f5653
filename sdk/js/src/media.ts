// The parts of a room that need LiveKit, in one module: it is loaded with the first room.
import { ConnectionQuality, DisconnectReason } from 'livekit-client';
import type { LeaveReason } from './room-events.js';

export { Room, RoomEvent, Track, TrackEvent } from 'livekit-client';
export { connect } from './connect-media.js';
export { publishWithRetry, repairFullReconnects } from './full-reconnect.js';
export { Links } from './link.js';
export { Pictures } from './pictures.js';

/** Returns the quality of TRTC. */
export function qualityOf(q: ConnectionQuality): number {
  switch (q) {
    case ConnectionQuality.Excellent:
      return 1;
    case ConnectionQuality.Good:
      return 2;
    case ConnectionQuality.Poor:
      return 4;
    case ConnectionQuality.Lost:
      return 6;
    default:
      return 0;
  }
}

export function reasonOf(r: DisconnectReason | undefined): LeaveReason {
  switch (r) {
    case DisconnectReason.CLIENT_INITIATED:
      return 'hangup';
    case DisconnectReason.DUPLICATE_IDENTITY:
      return 'replaced';
    case DisconnectReason.PARTICIPANT_REMOVED:
      return 'removed';
    case DisconnectReason.ROOM_DELETED:
    case DisconnectReason.ROOM_CLOSED:
      return 'dismissed';
    default:
      return 'mediaLost';
  }
}
