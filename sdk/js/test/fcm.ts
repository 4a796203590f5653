// A stand-in of Firebase Cloud Messaging: it grants access tokens, and hands each push to the device of its token.
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

export type Data = Record<string, string>;

/** The kind of a push. */
export const kindOf = (data: Data): string => (JSON.parse(data['beckon']!) as { kind: string }).kind;

export class FCM {
  /** The settings of a server that pushes here. */
  readonly settings: Record<string, string>;
  #devices = new Map<string, (data: Data) => void>();
  #server: Server;
  #dir: string;

  private constructor(server: Server) {
    this.#server = server;
    this.#dir = mkdtempSync(join(tmpdir(), 'beckon-fcm-'));
    const { port } = server.address() as AddressInfo;
    const url = `http://127.0.0.1:${port}`;
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const account = {
      project_id: 'test',
      client_email: 'test@example.com',
      private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
      private_key_id: 'k',
      token_uri: `${url}/token`,
    };
    const credentials = join(this.#dir, 'account.json');
    writeFileSync(credentials, JSON.stringify(account));
    this.settings = { BECKON_FCM_CREDENTIALS: credentials, BECKON_FCM_URL: url };
  }

  static async start(): Promise<FCM> {
    const server = createServer(async (req, res) => {
      const body = await text(req);
      res.setHeader('Content-Type', 'application/json');
      if (req.url === '/token') return res.end(JSON.stringify({ access_token: 'a', expires_in: 3600 }));
      const { message } = JSON.parse(body) as { message: { token: string; data: Data } };
      fcm.#devices.get(message.token)?.(message.data);
      res.end('{}');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const fcm = new FCM(server);
    return fcm;
  }

  /** Hands the pushes of a token to a device. */
  register(token: string, deliver: (data: Data) => void): void {
    this.#devices.set(token, deliver);
  }

  stop(): void {
    this.#server.close();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}
