import { readJSON, writeJSON, type Storage } from './storage.js';

/** How often positions are written, in milliseconds: an event costs no write. */
const every = 1000;

/** Kept is what a device keeps over a restart of its program. */
export interface Kept {
  epoch: string;
  /** The last offset that was processed, by timeline. */
  positions: Record<string, number>;
  /** The open invitations that the device holds, and the server time of the last event of each that was raised. */
  held: Record<string, number>;
}

/** Keeper writes what a device keeps: at most once a second, and when the page goes or the client is closed. */
export class Keeper {
  #storage: Storage;
  #key: string;
  #read: () => Kept;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(storage: Storage, key: string, read: () => Kept) {
    this.#storage = storage;
    this.#key = key;
    this.#read = read;
    globalThis.addEventListener?.('pagehide', this.write);
  }

  /** Writes soon. */
  touch(): void {
    if (this.#timer) return;
    this.#timer = setTimeout(this.write, every);
    (this.#timer as { unref?: () => void }).unref?.(); // close writes, too
  }

  write = (): void => {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    writeJSON(this.#storage, this.#key, this.#read());
  };

  close(): void {
    this.write();
    globalThis.removeEventListener?.('pagehide', this.write);
  }
}

/** Where the position of a device is kept: positions belong to one device of one user on one server. */
export function keyOf(server: string, userID: string, deviceID: string): string {
  return `beckon.position ${server} ${userID} ${deviceID}`;
}

export function readKept(storage: Storage, key: string): Kept | undefined {
  const k = readJSON<Kept>(storage, key);
  return k && typeof k.epoch === 'string' && k.positions && k.held ? k : undefined;
}

/**
 * Owner returns whom a token was made for, and the device that it is bound to, without checking it: it decides which position is
 * looked up. Empty when the token is of a kind that cannot be read here.
 */
export async function ownerOf(token: string): Promise<{ userID: string; deviceID?: string }> {
  try {
    const [, payload] = token.split('.');
    if (payload) {
      const claims = JSON.parse(await unpack(payload, /[-_]/g, (c) => (c === '-' ? '+' : '/'))) as {
        sub?: string;
        device?: string;
      };
      return { userID: claims.sub ?? '', ...(claims.device ? { deviceID: claims.device } : {}) };
    }
    const sig = JSON.parse(await unpack(token, /[*_-]/g, (c) => (c === '*' ? '+' : c === '-' ? '/' : '='), true)) as {
      'TLS.identifier'?: string;
    };
    return { userID: sig['TLS.identifier'] ?? '' };
  } catch {
    return { userID: '' };
  }
}

async function unpack(text: string, what: RegExp, by: (c: string) => string, deflated = false): Promise<string> {
  const bytes = Uint8Array.from(atob(text.replace(what, by)), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream();
  return new Response(deflated ? stream.pipeThrough(new DecompressionStream('deflate')) : stream).text();
}
