// Repeating calls that the server refused for a moment.
import { BeckonError, Code } from './error.js';

/** The most repeats of a call. Its timeout usually ends earlier. */
export const maxRepeats = 20;

/**
 * Returns the milliseconds after which a refused call may be repeated; 0: not at all. 9506 says that it had no effect;
 * after 10002 it may have had one, so that only reads and calls with a request ID are repeated. An online-only message
 * would arrive late. Up to a quarter is added, so that clients refused together do not return together.
 */
export function repeatDelay(method: string, body: Record<string, unknown>, err: unknown): number {
  if (!(err instanceof BeckonError) || !err.retryAfter) return 0;
  if (method === 'sendMessage' && body['onlineUserOnly']) return 0;
  const harmless =
    err.code === Code.TooOften ||
    (err.code === Code.Unavailable && ('requestID' in body || /^(get|list|search)/.test(method)));
  return harmless ? err.retryAfter * (1 + Math.random() / 4) : 0;
}

/** Resolves with true after a delay, with false when a signal is aborted before. */
export function pause(milliseconds: number, ...signals: (AbortSignal | undefined)[]): Promise<boolean> {
  return new Promise((resolve) => {
    const end = (passed: boolean): void => {
      clearTimeout(timer);
      for (const s of signals) s?.removeEventListener('abort', abort);
      resolve(passed);
    };
    const abort = (): void => end(false);
    const timer = setTimeout(end, milliseconds, true);
    for (const s of signals) s?.addEventListener('abort', abort);
    if (signals.some((s) => s?.aborted)) abort();
  });
}
