// The calls of a client that have no response yet, in their order.
import type { Centrifuge } from 'centrifuge';
import { reasonOf } from './abort.js';
import { BeckonError, Code } from './error.js';
import type { Schemas } from './schema.js';

/** Errors of the transport after which a call is sent again: timeout, connection closed. */
const retryable = new Set([1, 11]);

/** Time before a call without a response is sent again on the same connection, in milliseconds. */
const retryTime = 50;

/** The limit of a request, in bytes: the server closes the connection above it. */
const maxRequest = 1 << 20;

interface Call {
  method: string;
  body: object;
  sent: boolean; // on the current connection
  signal: AbortSignal | undefined;
  end: (settle: () => void) => void;
  resolve: (response: unknown) => void;
  reject: (err: Error) => void;
}

/**
 * CallQueue sends calls in the order in which they were made. After a lost connection it sends those without a response
 * again, before later ones.
 */
export class CallQueue {
  #link: Centrifuge;
  #calls = new Set<Call>();

  constructor(link: Centrifuge) {
    this.#link = link;
    link.on('connected', () => this.#flush());
    link.on('disconnected', () => {
      for (const c of this.#calls) c.end(() => c.reject(disconnected(c.method, 'the connection was closed')));
    });
  }

  /**
   * Sends a call until it has a response, or until a time of the monotonic clock. When signal aborts, it is not sent
   * again, and rejects unless it awaits a response.
   */
  send(method: string, body: object, deadline: number, signal?: AbortSignal): Promise<unknown> {
    if (signal?.aborted) return Promise.reject(reasonOf(signal));
    if (this.#link.state === 'disconnected') return Promise.reject(disconnected(method, notConnected));
    const size = new TextEncoder().encode(JSON.stringify(body)).length;
    if (size > maxRequest) return Promise.reject(tooLong(method, size));
    return new Promise((resolve, reject) => {
      const late = { code: Code.Timeout, message: `${method}: no answer in time; the call may have taken effect` };
      const abort = (): void => this.#flush();
      const end = (settle: () => void): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
        this.#calls.delete(call);
        settle();
      };
      const call: Call = { method, body, sent: false, signal, end, resolve, reject };
      const timer = setTimeout(() => end(() => reject(new BeckonError(late))), deadline - performance.now());
      this.#calls.add(call);
      signal?.addEventListener('abort', abort);
      this.#flush();
    });
  }

  #flush(): void {
    for (const { sent, signal, end, reject } of this.#calls)
      if (!sent && signal?.aborted) end(() => reject(reasonOf(signal)));
    if (this.#link.state !== 'connected') return;
    for (const call of this.#calls) if (!call.sent) void this.#attempt(call);
  }

  async #attempt(call: Call): Promise<void> {
    call.sent = true;
    try {
      const { data } = (await this.#link.rpc(call.method, call.body)) as { data: unknown };
      const refused = data !== null && typeof data === 'object' && 'code' in data;
      call.end(() => (refused ? call.reject(new BeckonError(data as Schemas['Error'])) : call.resolve(data)));
    } catch (err) {
      call.sent = false; // in its place, before later calls
      if (retryable.has((err as { code?: number }).code ?? 0) || this.#link.state === 'connecting')
        setTimeout(() => this.#flush(), retryTime);
      else call.end(() => call.reject(disconnected(call.method, (err as Error).message, err)));
    }
  }
}

export const notConnected = 'this client is not connected; call connect() first';

function tooLong(method: string, size: number): BeckonError {
  const message = `${method}: the request has ${size} bytes; the limit is ${maxRequest}`;
  return new BeckonError({ code: Code.TooLong, field: 'request', message });
}

/** Returns the error of a call with arguments by position. */
export function positional(method: string): BeckonError {
  return new BeckonError({
    code: Code.BadParameter,
    field: 'request',
    message: `${method} takes one object with named fields, as client.${method}({ … }): see the type of its argument`,
  });
}

/** Returns the error of a call without a connection. */
export function disconnected(method: string, reason: string, cause?: unknown): BeckonError {
  return new BeckonError({ code: Code.Disconnected, message: `${method}: ${reason}` }, cause);
}
