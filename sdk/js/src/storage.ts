/** Storage keeps short texts by key, as localStorage does. */
export type Storage = Pick<globalThis.Storage, 'getItem' | 'setItem' | 'removeItem'>;

/** storageOf returns the page's storage of that name; undefined where there is none, or where the page may not use it. */
export function storageOf(name: 'localStorage' | 'sessionStorage'): Storage | undefined {
  try {
    const s = globalThis[name] as Storage | undefined;
    s?.getItem('beckon'); // the storage may be there and refuse each use
    return s;
  } catch {
    return undefined;
  }
}

/** readJSON reads a value that writeJSON wrote; undefined when there is none, or it is damaged. */
export function readJSON<T>(s: Storage | undefined, key: string): T | undefined {
  try {
    const text = s?.getItem(key);
    return text ? (JSON.parse(text) as T) : undefined;
  } catch {
    return undefined;
  }
}

/** writeJSON writes a value. A storage that is full or denied is no storage. */
export function writeJSON(s: Storage | undefined, key: string, value: unknown): void {
  try {
    s?.setItem(key, JSON.stringify(value));
  } catch {
    // without storage the next start begins with the snapshot
  }
}

/**
 * spared makes what reads localStorage on its own, as the transport does: where the page may not store anything, that would throw. There it
 * sees none, as it is made.
 */
export function spared<T>(make: () => T): T {
  const was = Object.getOwnPropertyDescriptor(globalThis, 'localStorage');
  if (!was?.configurable || storageOf('localStorage')) return make();
  Object.defineProperty(globalThis, 'localStorage', { configurable: true, value: undefined });
  try {
    return make();
  } finally {
    Object.defineProperty(globalThis, 'localStorage', was);
  }
}
