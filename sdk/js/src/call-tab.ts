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

/**
 * Takes a lock that one tab of this browser holds at a time, if it is free, and returns the function that releases it.
 * Without the Web Locks API, as outside of browsers, it does nothing.
 */
export function exclusive(name: string): Promise<() => void> {
  if (typeof navigator === 'undefined' || !navigator.locks) return Promise.resolve(() => {});
  return new Promise((resolve) => {
    void navigator.locks.request(name, { ifAvailable: true }, (lock) => {
      if (!lock) return resolve(() => {}); // another tab is in a call: the server decides between them
      return new Promise<void>((release) => resolve(release));
    });
  });
}

/** Reports whether a tab of this browser holds a lock. */
export async function heldElsewhere(name: string): Promise<boolean> {
  if (typeof navigator === 'undefined' || !navigator.locks) return false;
  const { held } = await navigator.locks.query();
  return held?.some((l) => l.name === name) ?? false;
}
