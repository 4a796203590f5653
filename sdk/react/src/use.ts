// Hooks of the session: its values, events, the call, texts and names.
import { createContext, useCallback, useContext, useEffect, useState, useSyncExternalStore } from 'react';
import type { Events } from 'beckon';
import type { CallState } from 'beckon/call';
import type { Session } from './session.js';
import type { Observable } from './observable.js';
import type { Translator } from './text/text.js';

export const SessionContext = createContext<Session | undefined>(undefined);

/** Returns the session of the provider around the component. */
export function useSession(): Session {
  const s = useContext(SessionContext);
  if (!s) throw new Error('the component needs a <BeckonProvider> around it');
  return s;
}

/** Returns a value, and renders again when it changes. */
export function useObservable<T>(observable: Observable<T>): T {
  return useSyncExternalStore(observable.subscribe, observable.get);
}

/** Returns the texts of the session's locale. */
export function useTranslator(): Translator {
  return useObservable(useSession().translator);
}

/** Returns the function that formats texts of the session's locale. */
export function useText(): Translator['text'] {
  const translator = useTranslator();
  return useCallback((key, values) => translator.text(key, values), [translator]);
}

/** Subscribes a handler to an event of the client. */
export function useEvent<K extends keyof Events>(name: K, handler: (event: Events[K]) => void): void {
  const { client } = useSession();
  useEffect(() => client.on(name, handler));
}

/** Returns the name of a user, or the ID until the name is loaded. */
export function useName(userID: string): string {
  const s = useSession();
  const profiles = useObservable(s.profiles);
  useEffect(() => s.loadUsers([userID]), [s, userID]);
  return profiles[userID]?.nick || userID;
}

/** Returns the state of the call of this device. */
export function useCall(): CallState {
  const { calls } = useSession();
  const subscribe = useCallback((changed: () => void) => calls.on('onCallState', changed), [calls]);
  return useSyncExternalStore(subscribe, () => calls.state);
}

/** Reports whether a call in progress covers the page. */
export function useCovered(): boolean {
  const { phase } = useCall();
  const floating = useObservable(useSession().floating);
  return phase !== 'idle' && phase !== 'ringing' && !floating;
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

/** Formats a duration in milliseconds: 75000 as 1:15, from an hour on as 1:02:05. */
export function duration(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000));
  const two = (n: number): string => String(n).padStart(2, '0');
  const [h, m] = [Math.floor(s / 3600), Math.floor(s / 60) % 60];
  return h ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`;
}
