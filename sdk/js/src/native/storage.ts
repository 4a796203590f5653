// Storage for the client on a platform whose storage is asynchronous.
import { newID } from '../id.js';
import type { Storage } from '../storage.js';
import type { AsyncStorage } from './boundary.js';

/** The keys of the SDK begin with this. */
const prefix = 'beckon.';

/**
 * LoadedStorage is a synchronous view of an AsyncStorage: it is loaded once, reads are from memory, and writes go to
 * memory at once and to the AsyncStorage in their order. A process that is killed loses the writes of the last moment;
 * a client with an older position receives those events again.
 */
export class LoadedStorage implements Storage {
  #values: Map<string, string>;
  #storage: AsyncStorage;
  #writes: Promise<unknown> = Promise.resolve();

  private constructor(storage: AsyncStorage, values: Map<string, string>) {
    this.#storage = storage;
    this.#values = values;
  }

  /** Loads the keys of the SDK. Pass the result to a Client as storage. */
  static async load(storage: AsyncStorage): Promise<LoadedStorage> {
    const keys = (await storage.getAllKeys()).filter((k) => k.startsWith(prefix));
    const entries = await Promise.all(keys.map(async (k) => [k, await storage.getItem(k)] as const));
    return new LoadedStorage(storage, new Map(entries.filter((e): e is [string, string] => e[1] !== null)));
  }

  /** The device ID of this installation: created once, then stored. */
  get deviceID(): string {
    const key = `${prefix}device`;
    const id = this.getItem(key) ?? `native-${newID()}`;
    this.setItem(key, id);
    return id;
  }

  getItem(key: string): string | null {
    return this.#values.get(key) ?? null;
  }

  setItem(key: string, value: string): void {
    if (this.#values.get(key) === value) return;
    this.#values.set(key, value);
    this.#write(() => this.#storage.setItem(key, value));
  }

  removeItem(key: string): void {
    if (this.#values.delete(key)) this.#write(() => this.#storage.removeItem(key));
  }

  /** Resolves when all writes so far are done. */
  async written(): Promise<void> {
    await this.#writes;
  }

  /** Writes after the earlier writes. Errors, as of a full disk, are ignored: storage is not needed to work. */
  #write(write: () => Promise<void>): void {
    this.#writes = this.#writes.then(write).catch(() => undefined);
  }
}
