// Checks of the connection to the server, when the network may have changed.
import type { Centrifuge } from 'centrifuge';

/** Time within which the server must answer a ping, in milliseconds. */
const pingTime = 3000;

/** The transport library's way of reconnecting after a missing ping. It is private there, and the version is fixed. */
interface Reconnecting {
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
 * take up to 15 s to show it.
 */
export function checkOnChange(link: Centrifuge): () => Promise<boolean> {
  let connections = 0;
  let running: Promise<boolean> | undefined;
  const run = async (): Promise<boolean> => {
    const checked = connections;
    if (link.state !== 'connected') return false;
    const alive = await ping(link);
    if (!alive && link.state === 'connected' && checked === connections)
      (link as unknown as Reconnecting)._disconnect(noPing, 'no ping', true);
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
