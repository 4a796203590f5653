// The connection: a WebSocket, or HTTP streaming or SSE where a network lets no WebSocket pass.
import { Centrifuge, type DisconnectedContext, type Options, type TransportEndpoint } from 'centrifuge';
import { BeckonError, Code } from './error.js';
import { withoutBrokenStorage } from './storage.js';
import { expiredText } from './token.js';

/** The parts of the transport library that are private there. The version of the library is fixed. */
interface Private {
  _currentTransportIndex: number;
  _triedAllTransports: boolean;
  /** A transport reached the server: the library does not try another one. */
  _transportWasOpen: boolean;
  /** Processes the replies of one frame, and then calls done. */
  _dispatchSynchronized(replies: unknown[], done: () => void): void;
  _dispatchReply(reply: unknown): Promise<void>;
  /** Ends the connection; without reconnect for good. */
  _disconnect(code: number, reason: string, reconnect: boolean): void;
}

/** Failed attempts, after a working WebSocket, before the other transports are tried: the server may restart. */
const patience = 2;

/** The transport library's codes for a connect request without a response, and for one that was given up. */
const noResponse = 1;
const givenUp = 11;

/** The transport library's code for an expired token without a function that gets a new one. */
export const expiredCode = 1;

/** The transport library's code for the loss of a transport: here of a stream that the server does not know. */
const noStream = 1;

/** First and longest pause before a command of a stream session is sent again, and the time in which it is, in ms. */
const firstRepeat = 50;
const lastRepeat = 200;
const deliveryTime = 4000;

/**
 * Shortest and longest time in which the server must take a command of a stream session, in milliseconds. In between it
 * is a multiple of the last response time; a large command has the time of its upload in addition, at 20 bytes a
 * millisecond.
 */
const attemptTime = 1500;
const longestAttempt = 6000;
const uploadRate = 20;

/** The server's code for a token that it refuses. */
const refusedCode = 4500;

/** The server's code and reason for a connection after which the same device has connected. */
const replacedCode = 4502;
const replacedReason = 'replaced by a newer connection of this device';

/**
 * Time after a connect in which an earlier request without a response may reach the server, in milliseconds: after an
 * outage the operating system repeats sent packets, also on a connection that was given up.
 */
const lateTime = 120_000;

/** The same for the requests of an earlier run of the program, which ended meanwhile, in milliseconds. */
const restartTime = 10_000;

/**
 * Opens the connection to a server. Each connect and reconnect begins with the WebSocket; if it fails, HTTP streaming
 * and SSE are tried at once. The library alone would keep the first transport that worked as long as the program runs.
 */
export function openLink(server: string, options: Partial<Options> & { getData: () => Promise<object> }): Centrifuge {
  const transports: TransportEndpoint[] = [
    { transport: 'websocket', endpoint: `${server.replace(/^http/, 'ws')}/connection/websocket` },
    { transport: 'http_stream', endpoint: `${server}/connection/http_stream` },
  ];
  // The library cannot close the transport where it is missing, as in Node.
  if (globalThis.EventSource) transports.push({ transport: 'sse', endpoint: `${server}/connection/sse` });
  let worked = false; // the WebSocket has worked
  let attempts = 0; // with the WebSocket, since the last connection
  let connections = 0;
  let unanswered = false; // a connect request since the last connection had no response
  let restarted = false; // an earlier run of the program may have sent one, too
  let lateUntil = 0; // it may still replace this connection
  const emulationEndpoint = `${server}/emulation`;
  const link: Centrifuge = withoutBrokenStorage(
    () =>
      new Centrifuge(transports, {
        ...options,
        emulationEndpoint,
        ...(globalThis.fetch && {
          fetch: (url: string, init: RequestInit) =>
            url === emulationEndpoint ? deliver(url, init) : fetch(url, init),
        }),
        getData: () => {
          // called before each attempt
          if (state()._currentTransportIndex === 0) {
            state()._transportWasOpen = worked && attempts++ < patience;
            state()._triedAllTransports = false;
          }
          return options.getData().then((data) => {
            restarted = 'positions' in data; // saved by an earlier run of the program
            return data;
          });
        },
      }),
  );
  const state = (): Private => link as unknown as Private;
  let limit = attemptTime; // of one attempt to send a command
  let delivered: Promise<unknown> = Promise.resolve(); // the commands that are sent again, of which later ones wait
  /** Sends a command of a stream session. The library would ignore a failure, and the call would wait for its timeout. */
  const deliver = async (url: string, init: RequestInit): Promise<Response> => {
    await delivered;
    const session = connections;
    const current = (): boolean => session === connections && link.state === 'connected';
    const attempt = async (): Promise<Response | undefined> => {
      const stop = new AbortController(); // a connection may be dead without an end
      const upload = String(init.body).length / uploadRate;
      const begin = performance.now();
      const timer = setTimeout(() => stop.abort(), limit + upload);
      const response = await fetch(url, { ...init, signal: stop.signal }).catch(() => undefined);
      clearTimeout(timer);
      const next = stop.signal.aborted ? 2 * limit : 4 * (performance.now() - begin - upload);
      limit = Math.min(Math.max(next, attemptTime), longestAttempt);
      if (current() && response?.status === 404) state()._disconnect(noStream, 'the stream has ended', true);
      return response;
    };
    const failed = (r: Response | undefined): boolean => !r || r.status >= 500;
    const again = async (): Promise<Response | undefined> => {
      const until = performance.now() + deliveryTime;
      let response: Response | undefined;
      for (let wait = firstRepeat; failed(response); wait = Math.min(2 * wait, lastRepeat)) {
        if (!current() || performance.now() + wait > until) break;
        await new Promise((resolve) => setTimeout(resolve, wait));
        response = await attempt();
      }
      return response;
    };
    const first = await attempt();
    if (!failed(first)) return first!;
    const repeated = again();
    delivered = Promise.all([delivered, repeated]);
    return (await repeated) ?? first ?? Response.error();
  };
  // Frames that are read together, as in Node and from an HTTP stream, are processed one after the other. The library
  // starts the second before the end of the first, so its events would overtake those of the first. An exception is
  // reported as uncaught; the library would process no later frame.
  let dispatched = Promise.resolve();
  state()._dispatchSynchronized = (replies, done) => {
    const report = (err: unknown): void =>
      queueMicrotask(() => {
        throw err;
      });
    for (const r of replies) dispatched = dispatched.then(() => state()._dispatchReply(r)).catch(report);
    dispatched = dispatched.then(done);
  };
  const { _disconnect } = state();
  state()._disconnect = (code, reason, reconnect) => {
    const own = code === replacedCode && reason === replacedReason && performance.now() < lateUntil;
    if (own) lateUntil = 0;
    _disconnect.call(link, code, reason, reconnect || own);
  };
  link.on('connecting', () => {
    attempts = 0;
    Object.assign(state(), { _currentTransportIndex: 0, _transportWasOpen: false, _triedAllTransports: true });
  });
  link.on('connected', (c) => {
    connections++;
    worked ||= c.transport === 'websocket';
    const late = unanswered ? lateTime : restarted ? restartTime : 0;
    lateUntil = late && performance.now() + late;
    unanswered = restarted = false;
  });
  link.on('error', (c) => {
    // A proxy may accept a WebSocket and drop its frames, or hold back a stream.
    if (c.type !== 'connect' || (c.error.code !== noResponse && c.error.code !== givenUp)) return;
    unanswered = true;
    if (c.error.code === givenUp) return;
    const next = state()._currentTransportIndex + 1;
    Object.assign(state(), {
      _currentTransportIndex: next % transports.length,
      _transportWasOpen: false,
      _triedAllTransports: next === transports.length,
    });
  });
  return link;
}

/** Returns the error of a connect that a disconnect has ended: code 0 is that of this client. */
export function refusal(code: number, reason: string): BeckonError {
  if (code === 0)
    return new BeckonError({ code: Code.Disconnected, message: 'the client was closed while it connected' });
  return new BeckonError({
    code: code === expiredCode ? Code.TokenExpired : code === refusedCode ? Code.TokenRefused : Code.Disconnected,
    message: `the server refused the connection: ${code === expiredCode ? expiredText : reason}`,
  });
}

/** Connects a link, and waits for it. A disconnect rejects, and aborts ended; signal disconnects. */
export function connect(link: Centrifuge, ended: AbortController, signal?: AbortSignal): Promise<void> {
  const stop = (): void => link.disconnect();
  signal?.addEventListener('abort', stop);
  let settle = (): void => undefined;
  return new Promise<void>((resolve, reject) => {
    const connected = (): void => resolve();
    const disconnected = (c: DisconnectedContext): void => {
      const err = refusal(c.code, c.reason);
      ended.abort(err);
      reject(err);
    };
    settle = () => {
      link.off('connected', connected);
      link.off('disconnected', disconnected);
      signal?.removeEventListener('abort', stop);
    };
    link.on('connected', connected);
    link.on('disconnected', disconnected);
    link.connect();
  }).finally(() => settle());
}
