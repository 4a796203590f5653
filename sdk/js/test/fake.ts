// A server that speaks the transport's own protocol, a line of JSON each, and says what a test wants it to say.
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import { Client, type Schemas } from '../src/index.js';

type Call = {
  verb: string;
  data: Record<string, unknown>;
  reply: (data: unknown) => void;
  fail: (code: number) => void;
};

export class Fake {
  readonly calls: Call[] = [];
  connects = 0;
  /** What devices said when they connected. */
  readonly hellos: { deviceID?: string; epoch?: string; positions?: Record<string, number>; held?: string[] }[] = [];
  welcome: Partial<Schemas['Welcome']> = {};
  /** The transport's error that connects are refused with. */
  refuse = 0;
  answer: (call: Call) => void = (c) => c.reply({});
  #server: WebSocketServer;
  #sockets = new Set<WebSocket>();
  #heard: (() => void)[] = [];

  private constructor(server: WebSocketServer) {
    this.#server = server;
    server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('message', (text) => {
        for (const line of String(text).split('\n')) this.#command(socket, JSON.parse(line));
      });
    });
  }

  static async start(): Promise<Fake> {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
    await once(server, 'listening');
    return new Fake(server);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  client(options: Partial<ConstructorParameters<typeof Client>[0]> = {}): Client {
    return new Client({ server: this.url, token: 'a token', deviceID: 'phone', websocket: WebSocket, ...options });
  }

  // A command is an object with an id and one of its kinds; {} is a pong.
  #command(
    socket: WebSocket,
    c: {
      id?: number;
      connect?: { data?: Fake['hellos'][number] };
      rpc?: { method: string; data: Record<string, unknown> };
    },
  ): void {
    const send = (body: unknown): void => socket.send(JSON.stringify({ id: c.id, ...(body as object) }));
    if (c.connect && this.refuse) {
      send({ error: { code: this.refuse, message: 'as the test wants' } });
    } else if (c.connect) {
      this.connects++;
      this.hellos.push(c.connect.data ?? {});
      const welcome = {
        userID: 'bob',
        deviceID: 'phone',
        serverTime: Date.now(),
        epoch: 'e',
        positions: {},
        invitations: [],
        ...this.welcome,
      };
      send({
        connect: {
          client: `c${this.connects}`,
          version: 'fake',
          data: welcome,
          subs: { 'user:bob': { recoverable: true, positioned: true, epoch: 'e', offset: 0 } },
          ping: 25,
          pong: true,
        },
      });
    } else if (c.rpc) {
      const call: Call = {
        verb: c.rpc.method,
        data: c.rpc.data,
        reply: (data) => send({ rpc: { data } }),
        fail: (code) => send({ error: { code, message: 'as the test wants', temporary: true } }),
      };
      this.calls.push(call);
      this.answer(call);
      for (const f of this.#heard.splice(0)) f();
    }
  }

  /** Waits for the n-th call. */
  async heard(n: number): Promise<Call> {
    while (this.calls.length < n) await new Promise<void>((resolve) => this.#heard.push(resolve));
    return this.calls[n - 1]!;
  }

  /** Tells an event on a timeline, to every connection. */
  tell(event: unknown, offset = 0, channel = 'user:bob'): void {
    for (const s of this.#sockets)
      s.send(JSON.stringify({ push: { channel, pub: { data: event, ...(offset ? { offset } : {}) } } }));
  }

  /** Breaks every connection, as a network does. */
  cut(): void {
    for (const s of this.#sockets) s.terminate();
  }

  end(code: number, reason: string): void {
    for (const s of this.#sockets) s.close(code, reason);
  }

  async stop(): Promise<void> {
    this.cut();
    this.#server.close();
  }
}

/** An invitation of alice's to bob, as a view has it. */
export function invitation(v: Partial<Schemas['Invitation']>): Schemas['Invitation'] {
  return {
    inviteID: 'i',
    inviter: 'alice',
    data: 'd',
    timeout: 30,
    createdAt: 0,
    deadline: 0,
    remaining: 0,
    version: 1,
    over: false,
    serverTime: 1000,
    counts: { open: 1, accepted: 0, rejected: 0, cancelled: 0, timedOut: 0 },
    invitees: [{ userID: 'bob', state: 'open' }],
    ...v,
  } as Schemas['Invitation'];
}

/** A signaling event with what every one has. */
export function signaling(m: Partial<Schemas['Signaling']>): Schemas['Signaling'] {
  return {
    type: 'signaling',
    businessID: 1,
    actionType: 1,
    inviteID: 'i',
    inviter: 'alice',
    time: Date.now(),
    version: 1,
    ...m,
  };
}
