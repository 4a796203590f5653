import { createContext, useCallback, useContext, useEffect, useEffectEvent, useState } from 'react';
import { errorText, type API } from './api.js';

export const APIContext = createContext<API | undefined>(undefined);

export function useAPI(): API {
  const api = useContext(APIContext);
  if (!api) throw new Error('the component needs an APIContext');
  return api;
}

export interface Loaded<T> {
  data: T | undefined;
  error: string;
  reload: () => void;
}

/** Runs read, again when deps change, and every so many milliseconds while the page is visible. */
export function useRead<T>(read: () => Promise<T>, deps: unknown[], every = 0): Loaded<T> {
  const [data, setData] = useState<T>();
  const [error, setError] = useState('');
  const [times, setTimes] = useState(0);
  const latest = useEffectEvent(read);
  const reload = useCallback(() => setTimes((n) => n + 1), []);
  useEffect(() => {
    let gone = false;
    const go = (): void => {
      if (document.hidden) return;
      latest().then(
        (v) => {
          if (!gone) {
            setData(v);
            setError('');
          }
        },
        (err: unknown) => {
          if (!gone) setError(errorText(err));
        },
      );
    };
    go();
    const t = every ? setInterval(go, every) : undefined;
    return () => {
      gone = true;
      clearInterval(t);
    };
    // eslint-disable-next-line react-hooks/exhaustive-deps -- the caller gives the dependencies of its read
  }, [...deps, times, every]);
  return { data, error, reload };
}

/** Loads a list by pages. The first page is reloaded every so many milliseconds until more pages are loaded. */
export function usePages<T>(
  read: (after: string) => Promise<{ list: T[]; next?: string | undefined; total?: number }>,
  deps: unknown[],
  every = 0,
): { list: T[]; total: number | undefined; more: (() => void) | undefined; error: string; reload: () => void } {
  const [tail, setTail] = useState<{ list: T[]; next: string | undefined }>();
  const [failed, setFailed] = useState('');
  const first = useRead(() => read(''), deps, tail ? 0 : every); // no reloads under a reader of later pages
  // eslint-disable-next-line react-hooks/exhaustive-deps -- the caller gives the dependencies of its read
  useEffect(() => setTail(undefined), deps);
  const next = tail ? tail.next : first.data?.next;
  const more = next
    ? () => {
        read(next).then(
          (p) => {
            setTail({ list: [...(tail?.list ?? []), ...p.list], next: p.next });
            setFailed('');
          },
          (err: unknown) => setFailed(errorText(err)),
        );
      }
    : undefined;
  const reload = (): void => {
    setTail(undefined);
    first.reload();
  };
  return {
    list: [...(first.data?.list ?? []), ...(tail?.list ?? [])],
    total: first.data?.total,
    more,
    error: failed || first.error,
    reload,
  };
}

const two = (n: number): string => String(n).padStart(2, '0');

/** Formats a time as 14:03:07, with the date unless it is today. */
export function when(ms: number | undefined): string {
  if (!ms) return '–';
  const d = new Date(ms);
  const time = `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
  return d.toDateString() === new Date().toDateString()
    ? time
    : `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${time}`;
}

/** Formats a duration in milliseconds: 95000 as 1 min 35 s. */
export function span(ms: number): string {
  const s = Math.round(ms / 1000);
  if (s < 60) return ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
}
