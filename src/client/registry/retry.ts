/** Trying again. */
import { pause } from '../abort.js';
import { isTransient, retryAfter } from './failure.js';

/** How often something is tried, and how long is waited in between: twice as long each time. */
export interface Patience {
  readonly attempts: number;
  readonly firstMs: number;
  readonly mostMs: number;
}

/** About a quarter of a minute in all. */
export const PATIENCE: Patience = { attempts: 8, firstMs: 150, mostMs: 5_000 };
/** Who is told to come back later than that is told so by an error. */
const MOST_ASKED_MS = 60_000;

/**
 * Waits before the next try.
 *
 * @param failures how many have failed in a row
 * @throws the error, when there is to be no other try
 */
export async function beforeNext(
  error: unknown,
  failures: number,
  { attempts, firstMs, mostMs }: Patience,
  signal: AbortSignal | undefined,
): Promise<void> {
  const asked = retryAfter(error);
  if (!isTransient(error) || failures >= attempts || (asked ?? 0) > MOST_ASKED_MS) throw error;
  const own = Math.min(mostMs, firstMs * 2 ** (failures - 1));
  // Not all at once, when many were turned away at once.
  await pause(asked ?? own * (0.75 + Math.random() / 2), signal);
}

/** Does it, again and again while it fails for what may pass. */
export async function retrying<T>(
  work: () => Promise<T>,
  patience: Patience,
  signal: AbortSignal | undefined,
): Promise<T> {
  for (let failures = 1; ; failures++) {
    try {
      return await work();
    } catch (error) {
      await beforeNext(error, failures, patience, signal);
    }
  }
}
