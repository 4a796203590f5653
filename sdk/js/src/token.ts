// The token of a client: its expiry, and its renewal without a reconnect.
import { UnauthorizedError, type Centrifuge } from 'centrifuge';
import { BeckonError, Code } from './error.js';
import type { Events } from './events.js';
import { ownerOf } from './position.js';

type Emit = <K extends 'onTokenWillExpire' | 'onTokenExpired' | 'onTokenError'>(name: K, event: Events[K]) => void;

/** The longest time between onTokenWillExpire and the expiry, in milliseconds; a tenth of a short life. */
const warning = 5 * 60_000;

/**
 * The longest time for a new token after the expiry, in milliseconds; half of a short life. The server ends the session
 * 25 s after the expiry.
 */
const grace = 20_000;
const leastGrace = 3000;

/** Tolerance of the transport's clock, which counts the life of a token in whole seconds, in milliseconds. */
const skew = 1500;

/** The longest time of setTimeout, in milliseconds. */
const longest = 2 ** 31 - 1;

export const expiredText = 'the token has expired; give a new one, or a function that gets one';

/** TokenKeeper has the current token, and raises its events. */
export class TokenKeeper {
  #get: (() => string | Promise<string>) | undefined;
  #token: string;
  #used: string; // the token that the transport has
  #offered = ''; // a new token that the server has not confirmed; it is used when the current one has expired
  #expireAt = 0; // of the session, in server time; 0 = never, or unknown
  #grace = grace;
  #reported = false; // onTokenExpired was raised for the token
  #over = false; // the connection has ended because of it
  #timer: ReturnType<typeof setTimeout> | undefined;
  #wake = new AbortController(); // aborted by a new token
  #now: () => number;
  #emit: Emit;

  constructor(token: string | (() => string | Promise<string>), now: () => number, emit: Emit) {
    this.#get = typeof token === 'function' ? token : undefined;
    this.#token = this.#used = typeof token === 'string' ? token : '';
    this.#now = now;
    this.#emit = emit;
  }

  /** The current token. */
  get current(): string {
    return this.#token;
  }

  #expired(skew = 0): boolean {
    return this.#expireAt > 0 && this.#now() >= this.#expireAt - skew;
  }

  /** Returns a token for a request: a new one, if there is a function. */
  async fresh(): Promise<string> {
    return this.#get ? this.#get() : this.#token;
  }

  /**
   * Returns the next token for the transport, which asks when a session's token has expired, or was refused as expired.
   * Without a function it waits for renew while the session lasts.
   */
  async next(connected: boolean): Promise<string> {
    if (this.#get) {
      try {
        this.#token = await this.#get();
        this.#reported = false;
      } catch (err) {
        this.#emit('onTokenError', { error: err as Error });
        if (this.#expired()) this.#report();
        throw err;
      }
    } else {
      if (!connected) this.#takeOffered();
      if (connected ? this.#expired(skew) : this.#token && this.#token === this.#used) {
        const before = this.#token;
        this.#report();
        if (connected) await this.#renewed();
        if (this.#token === before) this.#takeOffered();
        if (this.#token === before) throw new UnauthorizedError('');
      }
    }
    return (this.#used = this.#token);
  }

  #takeOffered(): void {
    if (!this.#offered) return;
    this.#token = this.#offered;
    this.#offered = '';
    this.#reported = false;
  }

  /** Waits for a new token. */
  #renewed(): Promise<void> {
    const { signal } = this.#wake;
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.#grace);
      signal.addEventListener('abort', () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** Raises onTokenExpired, once for each token. */
  #report(): void {
    if (this.#reported) return;
    this.#reported = true;
    this.#emit('onTokenExpired', { code: Code.TokenExpired, reason: expiredText });
  }

  /**
   * Replaces the token: of the session, by sending it, else for the next connection. It reports whether to connect now,
   * because the old token has ended the connection, or delays it.
   */
  async renew(token: string, me: string, link: Centrifuge | undefined, send: () => Promise<unknown>): Promise<boolean> {
    const { userID } = await ownerOf(token);
    if (userID && me && userID !== me)
      throw new BeckonError({ code: Code.TokenUser, field: 'token', message: 'the new token is for another user' });
    const connects = link?.state === 'connecting' && this.#expired();
    const session = link !== undefined && link.state !== 'disconnected' && !connects;
    let expireAt: number | undefined;
    if (session) {
      this.#offered = token;
      try {
        ({ expireAt } = (await send()) as { expireAt?: number });
      } catch (err) {
        const { code } = err as BeckonError;
        if (code !== Code.Timeout && code !== Code.Disconnected && this.#offered === token) this.#offered = '';
        throw err;
      }
    }
    this.#token = token;
    this.#offered = '';
    if (session) this.#used = token;
    this.#reported = false;
    link?.setToken(token);
    this.stop();
    if (session) this.watch(expireAt);
    return connects || this.#over;
  }

  /** Begins to watch the expiry of the session, in Unix seconds; 0 = never. */
  watch(expireAt = 0): void {
    clearTimeout(this.#timer);
    this.#over = false;
    this.#expireAt = expireAt * 1000;
    this.#grace = Math.min(grace, Math.max(leastGrace, (this.#expireAt - this.#now()) / 2));
    if (!expireAt || this.#get) return;
    const left = this.#expireAt - this.#now();
    const lead = Math.min(warning, left / 10);
    this.#after(left - lead, () => {
      this.#emit('onTokenWillExpire', { expireAt: this.#expireAt, remaining: Math.round(lead) });
      this.#after(lead, () => this.#report());
    });
  }

  #after(ms: number, run: () => void): void {
    this.#timer = setTimeout(() => (ms > longest ? this.#after(ms - longest, run) : run()), Math.min(ms, longest));
  }

  /** Notes the end of the connection. */
  ended(expired: boolean): void {
    this.#over = expired;
    if (expired) this.#report();
    this.stop();
  }

  /** Ends the timers and the wait for a token. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#wake.abort();
    this.#wake = new AbortController();
  }
}
