// Connecting audio and video to the media server.
import { RoomEvent, type Room } from 'livekit-client';
import { BeckonError, Code } from './error.js';
import type { Response } from './schema.js';

/** Limit of connecting audio and video, in milliseconds. */
const joinTime = 8000;

/** Joins a LiveKit room once, until audio and video are connected or joinTime has passed. */
export async function connect(room: Room, url: string, entry: Response<'enterRoom'>): Promise<void> {
  let signaling = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  room.once(RoomEvent.SignalConnected, () => {
    signaling = true;
  });
  const limit = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), joinTime);
  });
  // After the loss of signaling, as in a restart of the server, LiveKit's own promise stays open, also if it reconnects.
  const lost = new Promise<void>((_, reject) => {
    for (const event of [RoomEvent.SignalReconnecting, RoomEvent.Reconnecting, RoomEvent.Disconnected] as const)
      room.once(event, () => reject(new Error('its connection was lost')));
  });
  // The limits of LiveKit are for each of its attempts.
  const joined = room.connect(url, entry.token, {
    websocketTimeout: 5000,
    peerConnectionTimeout: 2 * joinTime,
    maxRetries: 0,
  });
  let cause: unknown;
  try {
    if ((await Promise.race([joined, lost, limit])) !== 'late') return;
  } catch (err) {
    cause = err;
  } finally {
    clearTimeout(timer);
  }
  if (signaling && !cause) throw new BeckonError({ code: Code.NoMedia, field: 'media', message: blockedText(entry) });
  const why = cause ? (cause as Error).message : 'no response';
  throw new BeckonError(
    { code: Code.NoMedia, message: `the media server cannot be reached: ${why}`, retryAfter: 1000 },
    cause,
  );
}

/** Returns the error message for a network that blocks audio and video. */
function blockedText({ udpPort, tcpPort }: Response<'enterRoom'>): string {
  const ports = [udpPort ? `UDP ${udpPort}` : '', tcpPort ? `TCP ${tcpPort}` : ''].filter(Boolean);
  return `Your network blocks calls${ports.length ? `: ${ports.join(' and ')}` : ''}`;
}
