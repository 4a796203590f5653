// Connects the examples to a server: BECKON_URL is its address, BECKON_API_KEY a key for app servers. "make dev" starts
// a server and prints both.
//
// In production only your app server has the API key. It requests a token for each device that signs in, as token does.
import { Client } from 'beckon';
import { appServer } from 'beckon/server';
import { WebSocket } from 'ws'; // from Node 22 on there is a global one

const url = process.env.BECKON_URL ?? 'http://127.0.0.1:8787';

/** The client of an app server. */
export const server = appServer({ url, apiKey: process.env.BECKON_API_KEY ?? '' });

/** Requests a token for a device of a user. */
export async function token(userID: string): Promise<string> {
  return (await server.createToken({ userID, ttl: 3600 })).token;
}

/** Makes the client of a device of a user. Subscribe to its events, connect it, and close it after use. */
export function device(userID: string): Client {
  return new Client({ server: url, token: () => token(userID), deviceID: `${userID}-example`, websocket: WebSocket });
}
