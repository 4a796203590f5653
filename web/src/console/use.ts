import { createContext, useCallback, useContext, useEffect, useEffectEvent, useState } from 'react';
import { type House, said } from './house.js';

export const HouseContext = createContext<House | undefined>(undefined);

export function useHouse(): House {
  const h = useContext(HouseContext);
  if (!h) throw new Error('there is no house above this component');
  return h;
}

export interface Loaded<T> {
  data: T | undefined;
  error: string;
  reload: () => void;
}

/** Reads something, again whenever it is another thing, and every so many milliseconds while the page is seen. */
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
          if (!gone) setError(said(err));
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

/** Pages of a list: what was read, and more. */
export function usePages<T>(
  read: (after: string) => Promise<{ list: T[]; next?: string | undefined; total?: number }>,
  deps: unknown[],
  every = 0,
): { list: T[]; total: number | undefined; more: (() => void) | undefined; error: string; reload: () => void } {
  const [tail, setTail] = useState<{ list: T[]; next: string | undefined }>();
  const [failed, setFailed] = useState('');
  const first = useRead(() => read(''), deps, tail ? 0 : every); // who has turned the page is not disturbed
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
          (err: unknown) => setFailed(said(err)),
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

/** 14:03:07, or with the day when it was another. */
export function when(ms: number | undefined): string {
  if (!ms) return '–';
  const d = new Date(ms);
  const time = `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
  return d.toDateString() === new Date().toDateString()
    ? time
    : `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${time}`;
}

/** 95000 as 1 min 35 s. */
export function span(ms: number): string {
  const s = Math.round(ms / 1000);
  if (s < 60) return ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
}
