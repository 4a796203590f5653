// Checks of the connection to the server, when the network may have changed.
import type { Centrifuge } from 'centrifuge';

/** Time within which the server must answer a ping, in milliseconds. */
const pingTime = 3000;

/** Time in which an attempt that was begun here is left alone, in milliseconds: the transport library gives it 5 s. */
const attemptTime = 6000;

/** The transport library's way of reconnecting. It is private there, and the version is fixed. */
interface Reconnecting {
  /** Failed attempts since the last connection. The delay before the next one grows with them. */
  _reconnectAttempts: number;
  /** An attempt is running: it asks for a token, or has a transport. */
  _reconnecting: boolean;
  _transport: object | null;
  _disconnect(code: number, reason: string, reconnect: boolean): void;
}

/** The transport library's code for a missing ping. */
const noPing = 2;

/** The lowest error code of the server; lower ones are those of the transport library. */
const fromServer = 100;

/** Reports whether the server answers on a connection within pingTime. Any response counts, including an error. */
export async function ping(link: Centrifuge): Promise<boolean> {
  if (link.state !== 'connected') return false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), pingTime);
  });
  const answer = link.presenceStats('').then(
    () => true,
    (err: { code?: number }) => (err.code ?? 0) >= fromServer,
  );
  return Promise.race([answer, late]).finally(() => clearTimeout(timer));
}

/** The connection of a device to its network, in browsers that report it. */
function network(): EventTarget | undefined {
  return (globalThis.navigator as { connection?: EventTarget } | undefined)?.connection;
}

/**
 * Returns a function that pings the server and reconnects without an answer. It runs by itself when the page becomes
 * online or visible, or its network changes: a connection may be dead then without an end, and the pings of the server
 * take up to 15 s to show it. While the client connects, the function begins a new attempt; otherwise the current one, or
 * the delay before the next, could take another 5 s.
 */
export function checkOnChange(link: Centrifuge): () => Promise<boolean> {
  let connections = 0;
  let running: Promise<boolean> | undefined;
  let begun = -Infinity; // the last attempt that was begun here, by the monotonic clock
  const reconnecting = link as unknown as Reconnecting;
  const attempt = (): void => {
    const asking = reconnecting._reconnecting && !reconnecting._transport; // for a token
    if (asking || performance.now() - begun < attemptTime) return;
    begun = performance.now();
    reconnecting._reconnectAttempts = 0;
    reconnecting._disconnect(noPing, 'a new attempt', true);
  };
  const run = async (): Promise<boolean> => {
    const checked = connections;
    if (link.state === 'connecting') attempt();
    if (link.state !== 'connected') return false;
    const alive = await ping(link);
    if (!alive && link.state === 'connected' && checked === connections)
      reconnecting._disconnect(noPing, 'no ping', true);
    return alive;
  };
  const check = (): Promise<boolean> =>
    (running ??= run().finally(() => {
      running = undefined;
    }));
  const changed = (): void => void check();
  const seen = (): void => {
    if (document.visibilityState === 'visible') changed();
  };
  const listen = (add: 'addEventListener' | 'removeEventListener'): void => {
    globalThis[add]?.('online', changed);
    network()?.[add]?.('change', changed);
    globalThis.document?.[add]?.('visibilitychange', seen);
  };
  link.on('connecting', () => listen('addEventListener')); // the same listener is added once
  link.on('connected', () => connections++);
  link.on('disconnected', () => listen('removeEventListener'));
  return check;
}
