import { createContext, useCallback, useContext, useEffect, useState, useSyncExternalStore } from 'react';
import type { Events } from 'beckon';
import type { CallState } from 'beckon/call';
import type { Session } from './session.js';
import type { Observable } from './observable.js';

export const SessionContext = createContext<Session | undefined>(undefined);

export function useSession(): Session {
  const s = useContext(SessionContext);
  if (!s) throw new Error('the component needs a SessionContext');
  return s;
}

export function useObservable<T>(observable: Observable<T>): T {
  return useSyncExternalStore(observable.subscribe, observable.get);
}

/** The time between two updates of a page that is not visible, in milliseconds: it has no frames. */
const hiddenFrame = 200;

/** Subscribes a handler that runs once per frame for any number of changes: a burst of events would block the page. */
export function oncePerFrame(handler: () => void, subscribe: (changed: () => void) => () => void): () => void {
  let cancel: (() => void) | undefined;
  const run = (): void => {
    cancel = undefined;
    handler();
  };
  const unsubscribe = subscribe(() => {
    if (cancel) return;
    if (document.hidden) {
      const timer = setTimeout(run, hiddenFrame);
      cancel = () => clearTimeout(timer);
    } else {
      const frame = requestAnimationFrame(run);
      cancel = () => cancelAnimationFrame(frame);
    }
  });
  return () => {
    unsubscribe();
    cancel?.();
  };
}

/** Subscribes a handler to an event of the client. */
export function useEvent<K extends keyof Events>(name: K, handler: (event: Events[K]) => void): void {
  const { client } = useSession();
  useEffect(() => client.on(name, handler));
}

/** Returns the name of a user, or the ID until the name is loaded. */
export function useName(userID: string): string {
  const s = useSession();
  const names = useObservable(s.names);
  useEffect(() => s.loadUsers([userID]), [s, userID]);
  return names[userID] || userID;
}

export function useCall(): CallState {
  const { calls } = useSession();
  const subscribe = useCallback((changed: () => void) => calls.on('onCallState', changed), [calls]);
  return useSyncExternalStore(subscribe, () => calls.state);
}

/** Returns the server time in milliseconds, updated twice a second while on. */
export function useNow(on: boolean): number {
  const { client } = useSession();
  const [now, set] = useState(() => client.now());
  useEffect(() => {
    if (!on) return;
    set(client.now());
    const t = setInterval(() => set(client.now()), 500);
    return () => clearInterval(t);
  }, [client, on]);
  return now;
}

/** Returns the parts of the address after #. */
export function useRoute(): string[] {
  const read = (): string => location.hash.slice(2);
  const [hash, set] = useState(read);
  useEffect(() => {
    const changed = (): void => set(read());
    addEventListener('hashchange', changed);
    return () => removeEventListener('hashchange', changed);
  }, []);
  try {
    return hash.split('/').filter(Boolean).map(decodeURIComponent);
  } catch {
    return []; // malformed percent-encoding
  }
}

export function go(...parts: string[]): void {
  location.hash = `#/${parts.map(encodeURIComponent).join('/')}`;
}

/** Formats a duration in milliseconds: 75000 as 1:15, from an hour on as 1:02:05. */
export function duration(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000));
  const two = (n: number): string => String(n).padStart(2, '0');
  const [h, m] = [Math.floor(s / 3600), Math.floor(s / 60) % 60];
  return h ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`;
}
