// Repeating calls that the server refused for a moment.
import { BeckonError, Code } from './error.js';

/** The most repeats of a call. Its timeout usually ends earlier. */
export const maxRepeats = 20;

/**
 * Returns the milliseconds after which a refused call may be repeated; 0: not at all. Reads and calls with an ID are
 * repeated. After 10002 another call may have had an effect; after 9506 it had none, but its repeat may come after a
 * later call that contradicts it. An online-only message would arrive late. Up to a quarter is added, so that clients
 * refused together do not return together.
 */
export function repeatDelay(method: string, body: Record<string, unknown>, err: unknown): number {
  if (!(err instanceof BeckonError) || !err.retryAfter) return 0;
  if (method === 'sendMessage' && body['onlineUserOnly']) return 0;
  const harmless = 'requestID' in body || 'messageID' in body || /^(get|list|search)/.test(method);
  return harmless && (err.code === Code.TooOften || err.code === Code.Unavailable)
    ? err.retryAfter * (1 + Math.random() / 4)
    : 0;
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
