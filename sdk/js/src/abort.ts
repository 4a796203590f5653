/** Returns the reason of an aborted signal. React Native has none. */
export function reasonOf(signal: AbortSignal): Error {
  return (signal.reason as Error | undefined) ?? Object.assign(new Error('aborted'), { name: 'AbortError' });
}

/** Returns work, or rejects when a signal aborts before; work goes on then. */
export function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(reasonOf(signal));
    signal.addEventListener('abort', abort);
    if (signal.aborted) abort();
    void work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
