import { createContext, useCallback, useContext, useEffect, useState, useSyncExternalStore } from 'react';
import type { Events } from 'beckon';
import type { CallState } from 'beckon/call';
import type { Session } from './session.js';
import type { Store } from './store.js';

export const SessionContext = createContext<Session | undefined>(undefined);

export function useSession(): Session {
  const s = useContext(SessionContext);
  if (!s) throw new Error('there is no session above this component');
  return s;
}

export function useStore<T>(store: Store<T>): T {
  return useSyncExternalStore(store.follow, store.get);
}

/** Runs a handler with each such event of the client. */
export function useEvent<K extends keyof Events>(name: K, handler: (event: Events[K]) => void): void {
  const { client } = useSession();
  useEffect(() => client.on(name, handler));
}

/** What somebody is called. */
export function useName(userID: string): string {
  const s = useSession();
  const names = useStore(s.names);
  useEffect(() => s.know([userID]), [s, userID]);
  return names[userID] || userID;
}

export function useCall(): CallState {
  const { calls } = useSession();
  const follow = useCallback((changed: () => void) => calls.on('onCallState', changed), [calls]);
  return useSyncExternalStore(follow, () => calls.state);
}

/** The time of the server, anew each second while on. */
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

/** Where the page is: the parts of the address after #. */
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
    return []; // no address of ours
  }
}

export function go(...parts: string[]): void {
  location.hash = `#/${parts.map(encodeURIComponent).join('/')}`;
}

/** 75000 as 1:15, and from an hour on as 1:02:05. */
export function duration(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000));
  const two = (n: number): string => String(n).padStart(2, '0');
  const [h, m] = [Math.floor(s / 3600), Math.floor(s / 60) % 60];
  return h ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`;
}
