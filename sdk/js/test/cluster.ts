// A real server for tests, on a free port of 127.0.0.1 with its own data directory.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { after, before } from 'node:test';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WebSocket } from 'ws';
import { Client, type Options } from '../src/index.js';

const beckon = fileURLToPath(new URL('../../../bin/beckon', import.meta.url));
const clusterProgram = fileURLToPath(new URL('../../../bin/cluster', import.meta.url));
const nodes = Number(process.env.BECKON_E2E_NODES ?? 1); // several nodes run behind a TCP proxy: bin/cluster

/** Returns a free port, below those that systems take for outgoing connections: one of these could take it meanwhile. */
async function freePort(): Promise<number> {
  for (;;) {
    const s = createServer().listen(15_000 + Math.floor(17_000 * Math.random()), '127.0.0.1');
    try {
      await once(s, 'listening');
    } catch {
      continue; // in use
    }
    const { port } = s.address() as AddressInfo;
    s.close();
    return port;
  }
}

export class Cluster {
  url = '';
  #dir = mkdtempSync(join(tmpdir(), 'beckon-sdk-'));
  #port = 0;
  #child: ChildProcess | undefined;
  #key = '';
  #output = '';
  #settings: Record<string, string> = {};

  /** Starts a server with settings, as environment variables. */
  static async start(settings: Record<string, string> = {}): Promise<Cluster> {
    const c = new Cluster();
    c.#settings = settings;
    c.#port = await freePort();
    c.url = `http://127.0.0.1:${c.#port}`;
    await c.run();
    return c;
  }

  async run(): Promise<void> {
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('BECKON_'));
    const env = { ...Object.fromEntries(inherited), ...this.#settings };
    // Only the nodes were killed, not PostgreSQL, NATS and the proxy.
    if (nodes > 1 && this.#child) return this.#signal('SIGUSR2', 'started again');
    const child =
      nodes > 1
        ? spawn(
            clusterProgram,
            [
              '-nodes',
              String(nodes),
              '-program',
              beckon,
              '-command',
              'dev',
              '-listen',
              `127.0.0.1:${this.#port}`,
              '--',
              '--media',
              'off',
            ],
            { env, stdio: ['ignore', 'pipe', 'inherit'] },
          )
        : spawn(beckon, ['dev', '--media', 'off', '--listen', `127.0.0.1:${this.#port}`, '--data', this.#dir], {
            env,
            stdio: ['ignore', 'pipe', 'inherit'],
          });
    this.#child = child;
    await new Promise<void>((resolve, reject) => {
      child.stdout!.on('data', (b) => {
        // read all output: a full pipe would block the server
        this.#output += String(b);
        const key = /API key\s+(\S+)/.exec(this.#output);
        if (!key) return;
        this.#key = key[1]!;
        resolve();
      });
      child.once('exit', () => reject(new Error(`the server did not start: ${this.#output}`)));
    });
  }

  /** Sends a signal to the cluster program and waits for its output. */
  async #signal(signal: NodeJS.Signals, done: string): Promise<void> {
    const from = this.#output.length;
    this.#child!.kill(signal);
    while (!this.#output.includes(done, from)) await once(this.#child!.stdout!, 'data');
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (nodes > 1 && signal === 'SIGKILL') return this.#signal('SIGUSR1', 'killed');
    const child = this.#child!;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  }

  async stop(): Promise<void> {
    await this.kill('SIGTERM');
    rmSync(this.#dir, { recursive: true, force: true });
  }

  /** The API key. */
  get key(): string {
    return this.#key;
  }

  async token(userID: string, ttl = 3600): Promise<string> {
    const res = await fetch(`${this.url}/v1/createToken`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${this.#key}` },
      body: JSON.stringify({ userID, ttl }),
    });
    return ((await res.json()) as { token: string }).token;
  }

  /** Returns a device of a user, not yet connected. */
  device(userID: string, deviceID = userID, ttl = 3600, options: Partial<Options> = {}): Client {
    const token = (): Promise<string> => this.token(userID, ttl);
    return new Client({ server: this.url, token, deviceID, websocket: WebSocket, ...options });
  }
}

/** Starts a server before the tests of a file, and ends it after them, with the clients that were added. */
export function serveTests(env: Record<string, string> = {}): { cluster: Cluster; clients: Client[] } {
  const server = { cluster: undefined as unknown as Cluster, clients: [] as Client[] };
  before(async () => {
    server.cluster = await Cluster.start(env);
  });
  after(async () => {
    for (const c of server.clients) c.close();
    await server.cluster.stop();
  });
  return server;
}
