/**
 * The wall clock as other programs read it (clock_gettime(2), CLOCK_REALTIME). Node's own has milliseconds, cut off, so that
 * what it gives lies before what a client has just read; its fine one, from the process's begin on, drifts away when the clock is set.
 */
import { native } from './native.js';
import type { Time } from './files.js';

const SECOND = 1_000_000_000n;
const MILLISECOND = 1_000_000;

/** The present, in nanoseconds. It has the form of a google.protobuf.Timestamp. */
export function realtime(): Time & { readonly seconds: number; readonly nanos: number } {
  const now = native.realtime();
  return { seconds: Number(now / SECOND), nanos: Number(now % SECOND) };
}

/**
 * The present in milliseconds since the epoch, with a fraction. Such a number steps by a quarter of a microsecond these days; this
 * is the first step that is not before the true time.
 */
export function realtimeMillis(): number {
  const now = native.realtime();
  const rounded = Number(now / BigInt(MILLISECOND)) + Number(now % BigInt(MILLISECOND)) / MILLISECOND;
  return isBefore(rounded, now) ? rounded + 2 ** -12 : rounded;
}

function isBefore(ms: number, ns: bigint): boolean {
  const whole = Math.floor(ms);
  // The fraction has at most 12 binary digits, so this product is exact.
  return BigInt(whole) * BigInt(MILLISECOND) + BigInt(Math.floor((ms - whole) * MILLISECOND)) < ns;
}
