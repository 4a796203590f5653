import type { Media } from './call-state.js';
import { readJSON, storageOf, writeJSON } from './storage.js';

/** What a tab remembers of its call over a reload. */
export interface Kept {
  deviceID: string;
  inviteID: string;
  roomID: string;
  media: Media;
  invites: string[];
}

export interface Remembered {
  read(): Kept | undefined;
  write(kept: Kept): void;
  clear(): void;
}

const key = 'beckon.call';

/** Where a tab remembers its call. Where nothing may be stored it forgets. */
export function remember(): Remembered {
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

/** Takes a lock that one tab of this browser has at a time, and answers how to give it back. Outside of a browser nobody else wants it. */
export function exclusive(name: string): Promise<() => void> {
  if (typeof navigator === 'undefined' || !navigator.locks) return Promise.resolve(() => {});
  return new Promise((resolve) => {
    void navigator.locks.request(name, { ifAvailable: true }, (lock) => {
      if (!lock) return resolve(() => {}); // another tab is in a call; the server decides whose it is
      return new Promise<void>((release) => resolve(release));
    });
  });
}

/** Whether another tab of this browser has a lock. */
export async function heldElsewhere(name: string): Promise<boolean> {
  if (typeof navigator === 'undefined' || !navigator.locks) return false;
  const { held } = await navigator.locks.query();
  return held?.some((l) => l.name === name) ?? false;
}
