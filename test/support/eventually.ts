/** Waiting for something to become true. How long it takes never decides a test; that it never comes does. */
import { setTimeout as delay } from 'node:timers/promises';

const BOUND_MS = 20_000;
/** By how much every bound is stretched: for machines that are slow through and through, such as an emulated one. */
const PATIENCE = Number(process.env.HAWSER_TEST_PATIENCE || 1);

/** A bound in milliseconds, as long as this machine needs it. */
export function patiently(ms: number): number {
  return ms * PATIENCE;
}

/** How often to repeat what goes wrong only now and then: less often where everything takes long. */
export function rounds(times: number): number {
  return Math.max(1, Math.floor(times / PATIENCE));
}

/** Resolves to the first result that is not undefined, false or null. */
export async function eventually<T>(
  what: string,
  probe: () => T | Promise<T>,
  boundMs = BOUND_MS,
): Promise<NonNullable<T>> {
  const bound = patiently(boundMs);
  const deadline = Date.now() + bound;
  for (let pause = 1; ; pause = Math.min(pause * 2, 50)) {
    const result = await probe();
    if (result !== undefined && result !== null && result !== false) return result;
    if (Date.now() > deadline) throw new Error(`this did not happen within ${bound / 1000} s: ${what}`);
    await delay(pause);
  }
}

/** Rejects, with a name for it, when a promise takes too long. */
export async function within<T>(what: string, promise: Promise<T>, boundMs = BOUND_MS): Promise<T> {
  const bound = patiently(boundMs);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`this did not happen within ${bound / 1000} s: ${what}`)), bound);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** True while a promise has not settled, after everything that is due now has run. */
export async function isPending(promise: Promise<unknown>): Promise<boolean> {
  const marker = {};
  await delay(20);
  return (
    (await Promise.race([
      promise.then(
        () => undefined,
        () => undefined,
      ),
      Promise.resolve(marker),
    ])) === marker
  );
}
