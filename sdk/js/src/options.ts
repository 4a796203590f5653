import type { Storage } from './storage.js';

/** Options of one call. */
export interface CallOptions {
  /**
   * Ends this call only: it rejects with the signal's reason. A request that was sent by then may take effect.
   */
  signal?: AbortSignal | undefined;
}

/** Options of a client. */
export interface Options {
  /** The server, as https://chat.example.com. Default: the origin of the page. */
  server?: string | undefined;
  /** A token, or a function that returns one. It is called again before the token expires. */
  token: string | (() => string | Promise<string>);
  /**
   * The device ID. Default: one per tab, kept over reloads; outside of pages, one per client. Of the clients of a user
   * with one device ID, the latest replaces the others.
   */
  deviceID?: string | undefined;
  /** The platform name, visible to the other devices of the user. Default: web in a browser, else node. */
  platform?: string | undefined;
  /** Timeout of a call, including retries after a lost connection or a refusal, in milliseconds. Default: 20000. */
  callTimeout?: number | undefined;
  /**
   * Repeat calls refused with 9506 (too often, or the server is overloaded) or 10002 (the server failed) after the
   * retryAfter of the refusal, at most 20 times, if they only read or have a request or message ID. Online-only messages
   * are never repeated. Default: true.
   */
  repeat?: boolean | undefined;
  /**
   * A WebSocket class, as that of the package ws, for platforms without one (Node 20). Without any, and where networks
   * block WebSockets, the client uses HTTP streaming or SSE.
   */
  websocket?: unknown;
  /**
   * Storage for positions and open invitations, so that a restarted program receives missed events.
   * Default: localStorage if available. false: none.
   */
  storage?: Storage | false | undefined;
}
