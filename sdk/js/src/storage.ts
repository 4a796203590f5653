/** Storage keeps short strings by key, like localStorage. */
export interface Storage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

/** storageOf returns the storage of the page with this name; undefined if it is missing or not permitted. */
export function storageOf(name: 'localStorage' | 'sessionStorage'): Storage | undefined {
  try {
    const s = globalThis[name] as Storage | undefined;
    s?.getItem('beckon'); // throws if the storage exists but is not permitted
    return s;
  } catch {
    return undefined;
  }
}

/** readJSON reads a value of writeJSON; undefined if it is missing or damaged. */
export function readJSON<T>(s: Storage | undefined, key: string): T | undefined {
  try {
    const text = s?.getItem(key);
    return text ? (JSON.parse(text) as T) : undefined;
  } catch {
    return undefined;
  }
}

/** writeJSON writes a value. Errors, as of a full storage, are ignored. */
export function writeJSON(s: Storage | undefined, key: string, value: unknown): void {
  try {
    s?.setItem(key, JSON.stringify(value));
  } catch {
    // without saved positions, the next start begins with the snapshot
  }
}

/**
 * withoutBrokenStorage runs make, which reads localStorage, as the transport does. If localStorage exists but throws,
 * it is hidden during make.
 */
export function withoutBrokenStorage<T>(make: () => T): T {
  const original = Object.getOwnPropertyDescriptor(globalThis, 'localStorage');
  if (!original?.configurable || storageOf('localStorage')) return make();
  Object.defineProperty(globalThis, 'localStorage', { configurable: true, value: undefined });
  try {
    return make();
  } finally {
    Object.defineProperty(globalThis, 'localStorage', original);
  }
}
