// Connects the examples to a server: BECKON_URL is its address, BECKON_API_KEY a key for app servers. "make dev" starts
// a server and prints both.
//
// In production only your app server has the API key. It requests a token for each device that signs in, as token does.
import { Client, type Request, type Response, type Verbs } from 'beckon';
import { WebSocket } from 'ws'; // from Node 22 on there is a global one

const server = process.env.BECKON_URL ?? 'http://127.0.0.1:8787';

async function post(method: string, request: object, headers: Record<string, string>): Promise<unknown> {
  const res = await fetch(`${server}/v1/${method}`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${process.env.BECKON_API_KEY}`, 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(request),
  });
  if (!res.ok) throw new Error(`${method}: ${res.status}: ${await res.text()}`);
  return res.json();
}

/** Calls a method for a user over HTTP, as an app server. */
export async function call<M extends keyof Verbs>(user: string, method: M, request: Request<M>): Promise<Response<M>> {
  return (await post(method, request, { 'Beckon-User': user })) as Response<M>;
}

/** Requests a token for a device of a user. */
export async function token(userID: string): Promise<string> {
  return ((await post('createToken', { userID, ttl: 3600 }, {})) as { token: string }).token;
}

/** Makes the client of a device of a user. Subscribe to its events, connect it, and close it after use. */
export function device(userID: string): Client {
  return new Client({ server, token: () => token(userID), deviceID: `${userID}-example`, websocket: WebSocket });
}
