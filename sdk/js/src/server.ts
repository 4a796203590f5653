// For app servers: methods with an API key, webhooks and before-hooks. It needs fetch and WebCrypto, as in Node, Deno, Bun
// and workers, and no connection. Never ship an API key to a device.
import { BeckonError, Code } from './error.js';
import { newID } from './id.js';
import { maxRepeats, pause, repeatDelay } from './repeat.js';
import { methods, serverMethods, type ServerVerbs, type Verbs, type webhooks } from './schema.js';
import type { CallOptions } from './options.js';

export { BeckonError, Code } from './error.js';
export type { ServerVerbs, Verbs } from './schema.js';

export interface AppServerOptions {
  /** The address of the server for app servers: https://beckon.example.com. */
  url: string;
  /** An API key of the server. */
  apiKey: string;
  /** Milliseconds for a call with its repeats. Default: 20,000. */
  timeout?: number;
  /**
   * false: calls that are refused for a moment, or whose connection fails, are not repeated. Default: true, where that is
   * safe.
   */
  repeat?: boolean;
  /** Makes the requests. Default: the global one. */
  fetch?: typeof globalThis.fetch;
}

/** The methods that an app server calls for itself, and those for a user. */
export type AppServer = ServerVerbs & {
  /** Acts for a user: the user's devices receive the events of its actions. */
  as(userID: string): Verbs;
};

/** The pause after a failed connection, in milliseconds. */
const reconnect = 500;

/** Makes the client of an app server. It connects to nothing. */
export function appServer(options: AppServerOptions): AppServer {
  const url = options.url.replace(/\/$/, '');
  if (!/^https?:\/\/[^/]/.test(url))
    throw new BeckonError({
      code: Code.BadParameter,
      field: 'url',
      message: 'url must be like https://beckon.example.com',
    });
  if (!options.apiKey)
    throw new BeckonError({ code: Code.BadParameter, field: 'apiKey', message: 'apiKey is missing' });

  async function post(method: string, body: string, user: string | undefined, signal: AbortSignal): Promise<unknown> {
    const headers: Record<string, string> = {
      Authorization: `Bearer ${options.apiKey}`,
      'Content-Type': 'application/json',
    };
    if (user !== undefined) headers['Beckon-User'] = encodeURIComponent(user);
    const request = { method: 'POST', headers, body, signal };
    const response = await (options.fetch ?? fetch)(`${url}/v1/${method}`, request);
    const reply = (await response.json().catch(() => undefined)) as { code?: number; message: string } | undefined;
    if (response.ok && reply) return reply;
    if (reply?.code) throw new BeckonError(reply as { code: number; message: string });
    throw new TypeError(`${method}: ${url} has answered ${response.status}, and is no Beckon server`);
  }

  async function call(method: string, request: object, user?: string, signal?: AbortSignal): Promise<unknown> {
    const body: Record<string, unknown> = { ...request };
    const takesID = methods[method as keyof Verbs] ?? serverMethods[method as keyof ServerVerbs];
    if (takesID && !body['requestID']) body['requestID'] = newID();
    const timeout = options.timeout ?? 20_000;
    const end = Date.now() + timeout;
    const limit = AbortSignal.timeout(timeout);
    for (let n = 0; ; n++) {
      try {
        return await post(method, JSON.stringify(body), user, signal ? AbortSignal.any([limit, signal]) : limit);
      } catch (err) {
        signal?.throwIfAborted();
        if (limit.aborted)
          throw new BeckonError({ code: Code.Timeout, message: `${method} had no response in time` }, err);
        // without a response the call may have had an effect
        const lost = new BeckonError({ code: Code.Unavailable, message: 'no response', retryAfter: reconnect }, err);
        const wait = repeatDelay(method, body, err instanceof BeckonError ? err : lost);
        if (!wait || n === maxRepeats || options.repeat === false || Date.now() + wait > end) throw err;
        if (!(await pause(wait, signal))) throw signal?.reason;
      }
    }
  }

  const named = (names: object, user?: string): object =>
    Object.fromEntries(
      Object.keys(names).map((method) => [
        method,
        (request: object = {}, { signal }: CallOptions = {}) => call(method, request, user, signal),
      ]),
    );
  return { ...named(serverMethods), as: (userID: string) => named(methods, userID) } as unknown as AppServer;
}

/** A webhook, by its type: invitation.created, message.sent, … */
export type WebhookEvent = {
  [K in keyof webhooks]: webhooks[K] extends {
    post: { requestBody: { content: { 'application/json': infer B } } };
  }
    ? B & { /** The same in each delivery of this event. */ id: string }
    : never;
}[keyof webhooks];

/** A call that a before-hook decides. */
export interface Question {
  userID: string;
  deviceID?: string;
  /** invite, inviteInGroup, addInvitees, sendMessage, joinGroup, connect, … */
  verb: string;
  /** None for connect. */
  request?: Record<string, unknown>;
}

/** What a before-hook decides: nothing lets the call proceed. */
export type Decision =
  void | undefined | { request: object } | { /** 120001 to 130000. */ code: number; message: string };

/** Seconds by which the clocks of the server and of this machine may differ. */
const tolerance = 300;

/** Verifies the signature of a webhook or before-hook with one of the secrets (whsec_…). It rejects with 70009. */
async function verify(secrets: string | string[], headers: Headers, body: string): Promise<void> {
  const [id, at] = [headers.get('webhook-id'), headers.get('webhook-timestamp')];
  const signatures = (headers.get('webhook-signature') ?? '').split(' ').filter((s) => s.startsWith('v1,'));
  if (Math.abs(Date.now() / 1000 - Number(at)) <= tolerance) {
    const text = new TextEncoder().encode(`${id}.${at}.${body}`);
    for (const secret of [secrets].flat()) {
      const raw = decode(secret.replace(/^whsec_/, ''));
      const key = await crypto.subtle.importKey('raw', raw, { name: 'HMAC', hash: 'SHA-256' }, false, ['verify']);
      for (const s of signatures) if (await crypto.subtle.verify('HMAC', key, decode(s.slice(3)), text)) return;
    }
  }
  throw new BeckonError({ code: Code.TokenRefused, message: 'the signature is missing, wrong or too old' });
}

function decode(base64: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  } catch {
    return new Uint8Array();
  }
}

/** Verifies a webhook with one of the secrets (whsec_…), and returns its event. It rejects with 70009. */
export async function readWebhook(secrets: string | string[], headers: Headers, body: string): Promise<WebhookEvent> {
  await verify(secrets, headers, body);
  return { ...(JSON.parse(body) as WebhookEvent), id: headers.get('webhook-id') ?? '' } as WebhookEvent;
}

/** A handler of HTTP requests, as of Deno, Bun, Next.js and workers. */
export type Handler = (request: Request) => Promise<Response>;

function handler(secrets: string | string[], handle: (headers: Headers, body: string) => Promise<Response>): Handler {
  if ([secrets].flat().some((s) => !decode(s.replace(/^whsec_/, '')).length) || ![secrets].flat().length)
    throw new BeckonError({ code: Code.BadParameter, field: 'secrets', message: 'a secret must be whsec_ and base64' });
  return async (request) => {
    const body = await request.text();
    try {
      await verify(secrets, request.headers, body);
    } catch (err) {
      return new Response((err as Error).message, { status: 401 });
    }
    try {
      return await handle(request.headers, body);
    } catch (err) {
      return new Response(String(err), { status: 500 });
    }
  };
}

/**
 * Returns a handler that verifies webhooks and passes them on. If handle throws, the server delivers the event again, for
 * three days. Deliveries may repeat: take an id that you know as done.
 */
export function webhookHandler(
  secrets: string | string[],
  handle: (event: WebhookEvent) => void | Promise<void>,
): Handler {
  return handler(secrets, async (headers, body) => {
    await handle({ ...(JSON.parse(body) as WebhookEvent), id: headers.get('webhook-id') ?? '' } as WebhookEvent);
    return new Response(null, { status: 204 });
  });
}

/** Returns a handler that answers before-hooks. If decide throws, the server does as when a hook does not respond. */
export function beforeHookHandler(
  secrets: string | string[],
  decide: (question: Question) => Decision | Promise<Decision>,
): Handler {
  return handler(secrets, async (_, body) => {
    const decision = await decide((JSON.parse(body) as { data: Question }).data);
    return decision ? Response.json(decision) : new Response(null, { status: 204 });
  });
}

interface NodeRequest extends AsyncIterable<Uint8Array | string> {
  headers: Record<string, string | string[] | undefined>;
}

interface NodeResponse {
  writeHead(status: number, headers: Record<string, string>): unknown;
  end(body: string): unknown;
}

/** The largest body that toNode reads: a request has at most 1 MiB, and its frame little. */
const maxBody = 2 ** 20 + 2 ** 16;

/** Turns a handler into one of node:http and Express (before a body parser). */
export function toNode(handle: Handler): (request: NodeRequest, response: NodeResponse) => Promise<void> {
  return async (request, response) => {
    const parts: Uint8Array[] = [];
    let size = 0;
    for await (const part of request) {
      const bytes = typeof part === 'string' ? new TextEncoder().encode(part) : part;
      if ((size += bytes.length) > maxBody) {
        response.writeHead(413, {});
        response.end('');
        return;
      }
      parts.push(bytes);
    }
    const body = new Uint8Array(size);
    let at = 0;
    for (const p of parts) {
      body.set(p, at);
      at += p.length;
    }
    const headers = Object.entries(request.headers).flatMap(([k, v]) =>
      v === undefined ? [] : [[k, String(v)] as [string, string]],
    );
    const answer = await handle(new Request('http://hook', { method: 'POST', headers, body }));
    response.writeHead(answer.status, Object.fromEntries(answer.headers));
    response.end(await answer.text());
  };
}
