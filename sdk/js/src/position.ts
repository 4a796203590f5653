import { readJSON, writeJSON, type Storage } from './storage.js';

/** Minimum interval between writes, in milliseconds. */
const writeInterval = 1000;

/** SavedPosition is the state of a device that survives a restart of the program. */
export interface SavedPosition {
  epoch: string;
  /** The last processed offset of each timeline. */
  positions: Record<string, number>;
  /** The open invitations, with the server time of the last raised event of each. */
  held: Record<string, number>;
}

/** PositionWriter writes the SavedPosition: a change at once, others within a second, on page unload, and on close. */
export class PositionWriter {
  #storage: Storage;
  #key: string;
  #read: () => SavedPosition;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #written = -Infinity; // by the monotonic clock

  constructor(storage: Storage, key: string, read: () => SavedPosition) {
    this.#storage = storage;
    this.#key = key;
    this.#read = read;
    globalThis.addEventListener?.('pagehide', this.write);
  }

  /** Writes now, or later if a write was less than writeInterval ago. */
  touch(): void {
    if (this.#timer) return;
    const wait = this.#written + writeInterval - performance.now();
    if (wait <= 0) return this.write();
    this.#timer = setTimeout(this.write, wait);
    (this.#timer as { unref?: () => void }).unref?.(); // close writes, so the timer need not keep the process alive
  }

  write = (): void => {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#written = performance.now();
    writeJSON(this.#storage, this.#key, this.#read());
  };

  close(): void {
    this.write();
    globalThis.removeEventListener?.('pagehide', this.write);
  }
}

/** Returns the storage key: positions belong to one device of one user on one server. */
export function keyOf(server: string, userID: string, deviceID: string): string {
  return `beckon.position ${server} ${userID} ${deviceID}`;
}

export function readSaved(storage: Storage, key: string): SavedPosition | undefined {
  const k = readJSON<SavedPosition>(storage, key);
  return k && typeof k.epoch === 'string' && k.positions && k.held ? k : undefined;
}

/**
 * Returns the user of a token and the device that it is bound to, without verifying it, for the storage key. The user
 * is empty if the token is not readable.
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

/** Decodes base64 and UTF-8. Without deflate it needs no streams, which React Native has not. */
async function unpack(text: string, pattern: RegExp, by: (c: string) => string, deflated = false): Promise<string> {
  const binary = atob(text.replace(pattern, by));
  if (!deflated) return decodeURIComponent(binary.replace(/[^]/g, (c) => `%${hex(c.charCodeAt(0))}`));
  const stream = new Blob([Uint8Array.from(binary, (c) => c.charCodeAt(0))]).stream();
  return new Response(stream.pipeThrough(new DecompressionStream('deflate'))).text();
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0');
}
