// A proxy in front of a server, as companies run them: it may refuse WebSockets, or let them open and drop their frames.
import { once } from 'node:events';
import { createServer, request, type IncomingMessage } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { pipeline } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach } from 'node:test';
import type { Client, Options } from '../src/index.js';
import type { Cluster } from './cluster.js';

export class Proxy {
  /** The treatment of WebSockets; down: of all connections, as without a network. */
  mode: 'pass' | 'refuse' | 'swallow' | 'down' = 'refuse';
  /** The path of each request and upgrade. */
  readonly paths: string[] = [];
  /** Requests with commands of stream sessions that are answered with a status, and not passed on; 0: no answer. */
  failCommands: number[] = [];
  /** Holds the next request to HTTP streaming, as during an outage; releaseRequest delivers it. */
  holdStream = false;
  releaseRequest = (): void => undefined;
  #open = new Set<Socket>();
  #server = createServer((req, res) => {
    this.paths.push(req.url!);
    if (this.failCommands.length && req.url === '/emulation' && req.method === 'POST') {
      const status = this.failCommands.shift()!;
      if (status) res.writeHead(status).end();
      return;
    }
    if (this.holdStream && req.url === '/connection/http_stream') {
      this.holdStream = false;
      const body = text(req);
      this.releaseRequest = () =>
        void body.then((b) =>
          request(this.#to(req))
            .on('error', () => undefined)
            .end(b),
        );
      return;
    }
    const up = request(this.#to(req), (answer) => {
      res.writeHead(answer.statusCode!, answer.headers);
      pipeline(answer, res, () => undefined); // the end of one ends the other
    });
    up.on('error', () => res.destroy());
    res.on('close', () => up.destroy());
    req.pipe(up);
  });

  private constructor(private target: URL) {
    this.#server.on('connection', (s) => {
      this.#track(s);
      if (this.mode === 'down') s.destroy();
    });
    this.#server.on('upgrade', (req, socket: Socket, head) => {
      this.paths.push(req.url!);
      if (this.mode === 'refuse') return void socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n');
      const up = connect(Number(this.target.port), this.target.hostname);
      this.#track(up);
      const lines = req.rawHeaders.map((h, i) => (i % 2 ? `${h}\r\n` : `${h}: `)).join('');
      up.write(`GET ${req.url} HTTP/1.1\r\n${lines}\r\n`);
      up.write(head);
      up.pipe(socket);
      if (this.mode === 'pass') socket.pipe(up);
      else socket.resume();
      for (const [a, b] of [
        [up, socket],
        [socket, up],
      ] as const) {
        a.on('error', () => b.destroy());
        a.on('close', () => b.destroy());
      }
    });
  }

  static async start(url: string): Promise<Proxy> {
    const p = new Proxy(new URL(url));
    p.#server.listen(0, '127.0.0.1');
    await once(p.#server, 'listening');
    return p;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  #to(req: IncomingMessage): object {
    const { hostname, port } = this.target;
    return { hostname, port, path: req.url, method: req.method, headers: req.headers };
  }

  #track(s: Socket): void {
    this.#open.add(s);
    s.on('close', () => this.#open.delete(s));
    s.on('error', () => undefined);
  }

  /** Passes nothing more on the present connections, and closes none, as a router that has forgotten them. */
  silence(): void {
    for (const s of this.#open) s.unpipe().pause();
  }

  /** Closes all connections. */
  cut(): void {
    for (const s of this.#open) s.destroy();
  }

  async stop(): Promise<void> {
    this.#server.close();
    this.cut();
    await once(this.#server, 'close');
  }
}

let users = 0;

/** Starts a proxy in front of a server before each test, with a client of a new user behind it. */
export function behindProxy(
  server: { cluster: Cluster },
  mode: Proxy['mode'],
  options: Partial<Options> = {},
): { proxy: Proxy; client: Client; user: string } {
  const at = {} as { proxy: Proxy; client: Client; user: string };
  beforeEach(async () => {
    at.proxy = await Proxy.start(server.cluster.url);
    at.proxy.mode = mode;
    at.user = `user${users++}`;
    at.client = server.cluster.device(at.user, 'd', 3600, { server: at.proxy.url, ...options });
  });
  afterEach(async () => {
    at.client.close();
    await at.proxy.stop();
  });
  return at;
}
