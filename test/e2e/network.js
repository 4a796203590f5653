// The network between a browser and the server: a proxy for connections and a relay for audio and video, which can be
// cut, delay and limit. Nothing is closed by a cut: packets do not arrive, as when a device leaves its network.

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

/** The longest time for which a packet waits for a limited link, in milliseconds. Later packets are dropped. */
const queueTime = 300;

/** One direction of a network: packets keep their order, and leave after the delay. */
class Lane {
  #queue = [];
  #timer;
  #free = 0; // end of the transmission of earlier packets

  constructor(network) {
    this.network = network;
  }

  /** Runs a function after the delay of the network, and not before earliest. */
  pass(run, earliest = 0) {
    const { delay } = this.network;
    if (!delay && !earliest) return run();
    const at = Math.max(performance.now(), earliest) + delay;
    this.#queue.push({ at: Math.max(at, this.#queue.at(-1)?.at ?? 0), run });
    this.#timer ??= setTimeout(() => this.#leave(), at - performance.now());
  }

  #leave() {
    while (this.#queue.length && this.#queue[0].at <= performance.now() + 0.5) this.#queue.shift().run();
    const next = this.#queue[0];
    this.#timer = next && setTimeout(() => this.#leave(), next.at - performance.now());
  }

  /** Sends a packet through a link of limited rate. */
  send(size, run) {
    const now = performance.now();
    if (this.#free - now > queueTime) return;
    this.#free = Math.max(now, this.#free) + (8000 * size) / this.network.rate;
    this.pass(run, this.network.rate === Infinity ? 0 : this.#free);
  }

  close() {
    clearTimeout(this.#timer);
    this.#queue = [];
  }
}

export class Network {
  /**
   * Opens a network to a server with the UDP port udpPort for audio and video, at an address of this machine. delay is
   * in milliseconds in each direction; a connection takes a round trip more. rate limits audio and video in each
   * direction, in bits per second.
   */
  static async open(cluster, udpPort, { host = '127.0.0.1', delay = 0, rate = Infinity } = {}) {
    const n = new Network();
    Object.assign(n, { cluster, udpPort, host, delay, rate, media: true, signaling: true });
    Object.assign(n, { sockets: new Set(), flows: new Map(), lanes: new Set() });
    [n.up, n.down] = [n.#lane(), n.#lane()];
    n.proxy = createServer((client) => n.#pass(client, connect(cluster.port, '127.0.0.1'))).listen(0, '127.0.0.1');
    await once(n.proxy, 'listening');
    n.relay = createSocket('udp4');
    n.relay.bind(0, host);
    await once(n.relay, 'listening');
    n.relay.on('message', (packet, from) => {
      if (n.media) n.up.send(packet.length, () => n.#flow(from)?.send(packet, udpPort, host));
    });
    n.pages = await cluster.servePages(`http://127.0.0.1:${n.proxy.address().port}`);
    n.url = `http://localhost:${n.pages.address().port}`;
    return n;
  }

  #lane() {
    const lane = new Lane(this);
    this.lanes.add(lane);
    return lane;
  }

  #pass(client, server) {
    const open = this.delay && performance.now() + 2 * this.delay; // SYN and its answer
    for (const [from, to] of [
      [client, server],
      [server, client],
    ]) {
      const lane = this.#lane();
      this.sockets.add(from);
      from.on('data', (data) => lane.pass(() => to.write(data), from === client ? open : 0));
      from.on('end', () => lane.pass(() => to.end()));
      from.on('error', () => to.destroy());
      from.on('close', () => {
        this.sockets.delete(from);
        lane.pass(() => {
          to.destroy();
          this.lanes.delete(lane);
        });
      });
      if (!this.signaling) from.pause();
    }
  }

  /** Returns the socket of the relay that stands for a port of the browser. */
  #flow({ address, port }) {
    if (this.closed) return undefined;
    const key = `${address}:${port}`;
    let flow = this.flows.get(key);
    if (!flow) {
      flow = createSocket('udp4');
      this.flows.set(key, flow);
      flow.on('message', (packet) => {
        if (this.media) this.down.send(packet.length, () => this.closed || this.relay.send(packet, port, address));
      });
    }
    return flow;
  }

  /**
   * Lets the pages of a context send audio and video through the relay: they get its address for the server's, and the
   * server does not learn theirs. It applies to pages that are loaded later.
   */
  async carry(context) {
    await context.addInitScript(
      ([from, to]) => {
        const moved = (text) => text.replaceAll(` ${from} typ `, ` ${to} typ `);
        const bare = (d) => ({ type: d.type, sdp: d.sdp.replace(/^a=(candidate:.*|end-of-candidates)\r\n/gm, '') });
        const { addIceCandidate, setRemoteDescription, createOffer, createAnswer } = RTCPeerConnection.prototype;
        RTCPeerConnection.prototype.createOffer = async function (o) {
          return bare(await createOffer.call(this, o));
        };
        RTCPeerConnection.prototype.createAnswer = async function (o) {
          return bare(await createAnswer.call(this, o));
        };
        Object.defineProperty(RTCPeerConnection.prototype, 'onicecandidate', { set: () => {}, get: () => null });
        RTCPeerConnection.prototype.addIceCandidate = function (c) {
          return addIceCandidate.call(
            this,
            c?.candidate ? { ...(c.toJSON?.() ?? c), candidate: moved(c.candidate) } : c,
          );
        };
        RTCPeerConnection.prototype.setRemoteDescription = function (d) {
          return setRemoteDescription.call(this, { type: d.type, sdp: moved(d.sdp) });
        };
      },
      [this.udpPort, this.relay.address().port],
    );
  }

  /** Cuts or restores audio and video, and the connections to the server. */
  set({ media = true, signaling = true }) {
    Object.assign(this, { media, signaling });
    for (const s of this.sockets) signaling ? s.resume() : s.pause();
  }

  close() {
    this.closed = true;
    for (const lane of this.lanes) lane.close();
    this.pages.close();
    this.pages.closeAllConnections();
    this.proxy.close();
    for (const s of this.sockets) s.destroy();
    this.relay.close();
    for (const f of this.flows.values()) f.close();
  }
}

/**
 * Records what pages open and show: window.beckonDevicesOn() returns how many cameras and microphones are on;
 * window.beckonShown has the phases of calls, the links and banners that were shown, with their times.
 */
export async function watchCall(context) {
  await context.addInitScript(() => {
    const tracks = [];
    const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async (constraints) => {
      window.beckonAsked = (window.beckonAsked ?? 0) + 1;
      await window.beckonHold; // a test may let it wait
      const stream = await real(constraints);
      tracks.push(...stream.getTracks());
      return stream;
    };
    const shown = (window.beckonShown = []);
    const last = {};
    const note = (what, value) => {
      if (value !== undefined && last[what] !== value) shown.push({ at: Date.now(), what, value });
      last[what] = value;
    };
    new MutationObserver(() => {
      const call = document.querySelector('section[aria-label="Call"]');
      note('phase', call?.dataset.phase ?? 'idle');
      note('banner', call?.querySelector('.banner.lost')?.textContent ?? '');
      note('toast', document.querySelector('.toast:last-child')?.textContent);
      const peer = call?.querySelector('.tile:not(.own)');
      note('peer', peer ? (peer.dataset.link ?? peer.textContent) : undefined);
      note('own', call?.querySelector('.tile.own')?.dataset.link);
    }).observe(document, { childList: true, subtree: true, attributes: true });
    window.beckonOpened = () => tracks.length;
    window.beckonDevicesOn = () => tracks.filter((t) => t.readyState === 'live').length;
  });
}
