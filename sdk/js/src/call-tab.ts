import type { Media } from './call-state.js';
import { readJSON, storageOf, writeJSON } from './storage.js';

/** The call of a tab, kept over a reload. */
export interface Kept {
  deviceID: string;
  inviteID: string;
  roomID: string;
  media: Media;
  invites: string[];
}

export interface CallStorage {
  read(): Kept | undefined;
  write(kept: Kept): void;
  clear(): void;
}

const key = 'beckon.call';

/** Returns the storage of the call of this tab. Without session storage nothing is kept. */
export function callStorage(): CallStorage {
  const storage = storageOf('sessionStorage');
  return {
    read: () => readJSON<Kept>(storage, key),
    write: (kept) => writeJSON(storage, key, kept),
    clear: () => {
      try {
        storage?.removeItem(key);
      } catch {
        // no storage
      }
    },
  };
}

/** Time to wait for the lock of a page that is being reloaded, in milliseconds. */
const reloadTime = 2000;

/**
 * CallLock is a lock that one tab of this browser holds at a time. It is released when its tab closes or crashes.
 * Without the Web Locks API, as outside of browsers, it is always free.
 */
export class CallLock {
  #holder: object | undefined; // the call of this tab that has the lock, or waits for it
  #release: (() => void) | undefined;
  #done: Promise<unknown> = Promise.resolve(); // when the lock of the call before is released

  /** Takes the lock, and reports false if another tab holds it. A reloaded page waits for its predecessor. */
  async acquire(name: string, reloaded = false): Promise<boolean> {
    if (typeof navigator === 'undefined' || !navigator.locks) return true;
    const holder = (this.#holder = {});
    await this.#done;
    return new Promise((resolve) => {
      const options = reloaded ? { signal: AbortSignal.timeout(reloadTime) } : { ifAvailable: true };
      this.#done = navigator.locks
        .request(name, options, (lock) => {
          resolve(lock !== null);
          if (!lock || this.#holder !== holder) return undefined; // released meanwhile
          return new Promise<void>((release) => {
            this.#release = release;
          });
        })
        .catch(() => resolve(!reloaded)); // not within reloadTime, or the browser refuses locks
    });
  }

  release(): void {
    this.#holder = undefined;
    this.#release?.();
    this.#release = undefined;
  }
}

/** Reports whether a tab of this browser holds a lock. */
export async function heldElsewhere(name: string): Promise<boolean> {
  if (typeof navigator === 'undefined' || !navigator.locks) return false;
  const { held } = await navigator.locks.query();
  return held?.some((l) => l.name === name) ?? false;
}
