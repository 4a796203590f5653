/** A value that React can follow. */
export class Store<T> {
  #value: T;
  #followers = new Set<() => void>();

  constructor(value: T) {
    this.#value = value;
  }

  get = (): T => this.#value;

  set(value: T): void {
    if (Object.is(value, this.#value)) return;
    this.#value = value;
    for (const f of [...this.#followers]) f();
  }

  update(change: (value: T) => T): void {
    this.set(change(this.#value));
  }

  follow = (f: () => void): (() => void) => {
    this.#followers.add(f);
    return () => this.#followers.delete(f);
  };
}
