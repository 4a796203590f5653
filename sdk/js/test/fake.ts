// A fake server with the protocol of the transport, one JSON object per line, and responses chosen by the test.
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import { Client, newID, type Schemas } from '../src/index.js';
import type { Loose } from '../src/requests.js';

type Call = {
  method: string;
  data: Record<string, unknown>;
  reply: (data: unknown) => void;
  fail: (code: number) => void;
};

export class Fake {
  readonly calls: Call[] = [];
  connects = 0;
  /** The data of all connects. */
  readonly connectData: { deviceID?: string; epoch?: string; positions?: Record<string, number>; held?: string[] }[] =
    [];
  welcome: Partial<Schemas['Welcome']> = {};
  /** The error code of the transport for connects; 0 = accept. */
  refuse = 0;
  answer: (call: Call) => void = (c) => c.reply({});
  #server: WebSocketServer;
  #sockets = new Set<WebSocket>();
  #waiters: (() => void)[] = [];

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

  // A command is an object with an ID and one of its kinds; {} is a pong.
  #command(
    socket: WebSocket,
    c: {
      id?: number;
      connect?: { data?: Fake['connectData'][number] };
      rpc?: { method: string; data: Record<string, unknown> };
    },
  ): void {
    const send = (body: unknown): void => socket.send(JSON.stringify({ id: c.id, ...(body as object) }));
    if (c.connect && this.refuse) {
      send({ error: { code: this.refuse, message: 'chosen by the test' } });
    } else if (c.connect) {
      this.connects++;
      this.connectData.push(c.connect.data ?? {});
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
        method: c.rpc.method,
        data: c.rpc.data,
        reply: (data) => send({ rpc: { data } }),
        fail: (code) => send({ error: { code, message: 'chosen by the test', temporary: true } }),
      };
      this.calls.push(call);
      this.answer(call);
      for (const f of this.#waiters.splice(0)) f();
    }
  }

  /** Waits for the n-th call. */
  async nthCall(n: number): Promise<Call> {
    while (this.calls.length < n) await new Promise<void>((resolve) => this.#waiters.push(resolve));
    return this.calls[n - 1]!;
  }

  /** Publishes an event on a timeline to all connections. */
  publish(event: unknown, offset = 0, channel = 'user:bob'): void {
    this.publishFrames([[event]], offset, channel);
  }

  /** Publishes frames, each with its events, in one packet: a client reads them together. The first has the offset. */
  publishFrames(frames: unknown[][], offset = 0, channel = 'user:bob'): void {
    const push = (data: unknown): string =>
      JSON.stringify({ push: { channel, pub: { data, ...(offset ? { offset: offset++ } : {}) } } });
    const packet = frames.map((events) => events.map(push).join('\n'));
    for (const s of this.#sockets) {
      const { _socket } = s as unknown as { _socket: Socket };
      _socket.cork();
      for (const frame of packet) s.send(frame);
      _socket.uncork();
    }
  }

  /** Waits until a client has raised all earlier events: it publishes a message, and waits for it. */
  async settle(client: Client): Promise<void> {
    const messageID = newID();
    const done = client.once('onEvent', (e) => (e.event as { messageID?: string }).messageID === messageID);
    this.publish({
      type: 'message',
      messageID,
      messageType: 'text',
      from: 'alice',
      to: 'bob',
      text: 'barrier',
      time: 0,
    });
    await done;
  }

  /** Terminates all connections, like a network failure. */
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

/** Returns an invitation from alice to bob, as in a response. */
export function invitation(v: Loose<Partial<Schemas['Invitation']>>): Schemas['Invitation'] {
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
    ...(v as Partial<Schemas['Invitation']>),
  } as Schemas['Invitation'];
}

/** Returns a signaling event with the common fields. */
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
