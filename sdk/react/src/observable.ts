/** A value with subscribers, for useSyncExternalStore. */
export class Observable<T> {
  #value: T;
  #subscribers = new Set<() => void>();

  constructor(value: T) {
    this.#value = value;
  }

  get = (): T => this.#value;

  set(value: T): void {
    if (Object.is(value, this.#value)) return;
    this.#value = value;
    for (const f of [...this.#subscribers]) f();
  }

  update(change: (value: T) => T): void {
    this.set(change(this.#value));
  }

  subscribe = (f: () => void): (() => void) => {
    this.#subscribers.add(f);
    return () => this.#subscribers.delete(f);
  };
}
