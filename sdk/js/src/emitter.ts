import { BeckonError } from './error.js';

/** What listens to an event. */
export type Handler<E> = (event: E) => void;

/** Emitter tells handlers what happens. A handler that throws stops nobody else: what it threw is reported as uncaught. */
export class Emitter<Events> {
  #handlers = new Map<keyof Events, Set<Handler<never>>>();
  #names: ReadonlySet<string> | undefined;

  /** names are the events that there are; another name is refused. Without names, any is taken. */
  constructor(names?: ReadonlySet<string>) {
    this.#names = names;
  }

  /** Calls handler with each such event, until the returned function is called. */
  on<K extends keyof Events>(name: K, handler: Handler<Events[K]>): () => void {
    if (this.#names && !this.#names.has(String(name))) {
      const near = [...this.#names].find((n) => n.toLowerCase() === String(name).toLowerCase());
      const hint = near ? `did you mean ${near}?` : 'the names are in the README of the SDK, "Events"';
      throw new BeckonError({ code: 6017, field: 'event', message: `there is no event ${String(name)}: ${hint}` });
    }
    if (typeof handler !== 'function')
      throw new BeckonError({
        code: 6017,
        field: 'handler',
        message: `on('${String(name)}', handler) takes a function`,
      });
    let set = this.#handlers.get(name);
    if (!set) this.#handlers.set(name, (set = new Set()));
    set.add(handler as Handler<never>);
    return () => this.off(name, handler);
  }

  /** Stops calling handler. */
  off<K extends keyof Events>(name: K, handler: Handler<Events[K]>): void {
    this.#handlers.get(name)?.delete(handler as Handler<never>);
  }

  /** Resolves with the next such event that test accepts; rejects when the signal aborts. */
  once<K extends keyof Events>(
    name: K,
    test: (event: Events[K]) => boolean = () => true,
    signal?: AbortSignal,
  ): Promise<Events[K]> {
    return new Promise((resolve, reject) => {
      const off = this.on(name, (event) => {
        if (!test(event)) return;
        off();
        resolve(event);
      });
      signal?.addEventListener(
        'abort',
        () => {
          off();
          reject(signal.reason);
        },
        { once: true },
      );
    });
  }

  /** Tells the handlers of an event, in the order in which they came. For the SDK's own use. */
  emit<K extends keyof Events>(name: K, event: Events[K]): void {
    for (const handler of [...(this.#handlers.get(name) ?? [])]) {
      try {
        (handler as Handler<Events[K]>)(event);
      } catch (err) {
        queueMicrotask(() => {
          throw err;
        });
      }
    }
  }
}
