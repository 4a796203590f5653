import { BeckonError } from './error.js';

/** A handler of an event. */
export type Handler<E> = (event: E) => void;

/**
 * Emitter calls the handlers of events. An exception of a handler is reported as uncaught; the other handlers still
 * run.
 */
export class Emitter<Events> {
  #handlers = new Map<keyof Events, Set<Handler<never>>>();
  #names: ReadonlySet<string> | undefined;

  /** names are the permitted event names; without it, all names are. */
  constructor(names?: ReadonlySet<string>) {
    this.#names = names;
  }

  /** Subscribes a handler. The returned function unsubscribes it. */
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

  /** Unsubscribes a handler. */
  off<K extends keyof Events>(name: K, handler: Handler<Events[K]>): void {
    this.#handlers.get(name)?.delete(handler as Handler<never>);
  }

  /** Resolves with the next event for which test returns true; rejects when the signal aborts. */
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

  /** Calls the handlers of an event, in order of subscription. For internal use. */
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
