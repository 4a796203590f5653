// The session of the user: an app server gives the address of Beckon and a token.
import { Client } from 'beckon';

interface Session {
  userID: string;
  token: string;
  server: string;
}

const session = (await (await fetch('/session')).json()) as Session;

export const { userID } = session;
export const client = new Client(session);
