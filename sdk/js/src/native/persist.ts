// Requests that are repeated until a deadline.
import { BeckonError, Code } from '../error.js';
import { pause } from '../repeat.js';

/** The first delay between attempts, the longest, and the time of an attempt, in milliseconds. */
const firstDelay = 250;
const longestDelay = 2000;
const attemptTime = 10_000;

/** The errors of the server and the SDK after which a request is repeated. Others than BeckonError are of the network. */
const temporary = new Set<number>([Code.TooOften, Code.Unavailable, Code.Timeout, Code.Disconnected]);

/**
 * Repeats an attempt after errors of the network, and refusals for a moment. It rejects with the last error when the
 * deadline by the monotonic clock has passed, or wanted returns false.
 */
export async function persist<T>(
  attempt: (signal: AbortSignal) => Promise<T>,
  deadline: number,
  wanted: () => boolean = () => true,
): Promise<T> {
  for (let delay = firstDelay; ; delay = Math.min(2 * delay, longestDelay)) {
    try {
      return await limited(attempt, attemptTime); // also past the deadline: the server decides
    } catch (err) {
      if (err instanceof BeckonError && !temporary.has(err.code)) throw err;
      const left = deadline - performance.now();
      if (left <= 0 || !wanted()) throw err;
      await pause(Math.min((err as Partial<BeckonError>).retryAfter ?? delay, left));
    }
  }
}

/** Runs an attempt and aborts it after a time in milliseconds. */
async function limited<T>(attempt: (signal: AbortSignal) => Promise<T>, time: number): Promise<T> {
  const late = new AbortController(); // React Native has no AbortSignal.timeout
  const timer = setTimeout(() => late.abort(), time);
  try {
    return await attempt(late.signal);
  } finally {
    clearTimeout(timer);
  }
}
