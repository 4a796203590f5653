import type { Storage } from './storage.js';

/** How a client is made. */
export interface Options {
  /** The server: https://chat.example.com. Default: the page's own. */
  server?: string;
  /** A token, or what fetches a new one. A function is asked again when the token is about to expire. */
  token: string | (() => string | Promise<string>);
  /** Which device of the user this is. Default: one per tab, kept over reloads; elsewhere one per client. */
  deviceID?: string;
  /** What the user's other devices are told that this is. Default: web in a browser, else node. */
  platform?: string;
  /** For how many milliseconds a call is sent again when the connection is lost. Default: 20000. */
  callTimeout?: number;
  /** Where there is no WebSocket (Node 20): the class of the package ws. */
  websocket?: unknown;
  /**
   * Where the positions and the open invitations of this device are kept, so that a program that starts again hears what it missed.
   * Default: localStorage where there is one. false: nowhere.
   */
  storage?: Storage | false;
}
