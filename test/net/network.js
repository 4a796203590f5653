// The network between each user's namespace and the server's: a relay that carries every packet (relay/main.go).

import { execFileSync, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { browserProgram, launchServer, root } from '../e2e/kit.js';

/** Addresses of the server, and of the other origin of its pages. */
export const host = '10.77.0.1';
export const otherHost = '10.77.0.2';

const ip = (...args) => execFileSync('ip', args);

export class Network {
  /** Opens the network of users. names begins the names of the namespaces. */
  static async open(names, users) {
    const n = new Network();
    Object.assign(n, { names, users, moves: {} });
    n.relay = spawn(join(root, 'bin', 'relay'), users, { stdio: ['pipe', 'pipe', 'inherit'] });
    const lines = createInterface({ input: n.relay.stdout })[Symbol.asyncIterator]();
    n.next = async () => {
      const { value, done } = await lines.next();
      if (done) throw new Error('the relay has ended');
      const res = JSON.parse(value);
      if (res.error) throw new Error(`relay: ${res.error}`);
      return res;
    };
    n.last = n.next();
    await n.last;
    ip('link', 'set', 'lo', 'up');
    for (const address of [host, otherHost]) ip('addr', 'add', `${address}/16`, 'dev', 'bk-server');
    ip('link', 'set', 'bk-server', 'up');
    for (const user of users) {
      ip('link', 'set', `bk-${user}`, 'netns', names + user);
      n.#inside(user, 'link', 'set', 'lo', 'up');
      n.#inside(user, 'link', 'set', `bk-${user}`, 'up');
      await n.move(user);
    }
    return n;
  }

  #inside(user, ...args) {
    ip('-n', this.names + user, ...args);
  }

  /** Sends a command to the relay and returns its response, with counts of packets. */
  async #command(user, command) {
    this.relay.stdin.write(`${JSON.stringify({ user, ...command })}\n`);
    this.last = this.last.then(() => this.next());
    return this.last;
  }

  /** Sets the conditions of a user's network, in both directions; without any it is fast and complete. */
  set(user, conditions = {}) {
    return this.#command(user, { conditions });
  }

  /** Drops the mappings of the router of a user: open connections get silence, datagrams another port. */
  forget(user) {
    return this.#command(user, { forget: true });
  }

  /** Moves a user into another network, with another address on both sides of its router. */
  async move(user) {
    const number = this.users.indexOf(user) + 1;
    const move = (this.moves[user] = ((this.moves[user] ?? -1) + 1) % 200);
    const address = `192.168.${move}.${number + 1}`;
    await this.#command(user, { private: address, public: `10.77.${move + 1}.${number}` });
    this.#inside(user, 'addr', 'flush', 'dev', `bk-${user}`);
    this.#inside(user, 'addr', 'add', `${address}/32`, 'dev', `bk-${user}`);
    this.#inside(user, 'route', 'replace', 'default', 'dev', `bk-${user}`);
  }

  /** Launches a browser in the namespace of a user. Its pages may use camera and microphone at these origins. */
  launch(user, origins) {
    const script = join(tmpdir(), `chromium-${user}`);
    writeFileSync(script, `#!/bin/sh\nexec ip netns exec ${this.names}${user} ${browserProgram()} "$@"\n`, {
      mode: 0o755,
    });
    return launchServer({
      executablePath: script,
      args: [`--unsafely-treat-insecure-origin-as-secure=${origins.join(',')}`],
    });
  }

  close() {
    this.relay.stdin.end();
  }
}
