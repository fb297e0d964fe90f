/**
 * A rehearsal has what every request goes through optimized once, for all that are forked: each of them has one thread, which
 * would have to do it while somebody waits for an answer.
 */
import { setFlagsFromString } from 'node:v8';

/** What makes V8 optimize something: how much of it has been run (in bytes of its code), or how often; and what that is by default. */
export function thresholdOf(v8: string): { name: string; eager: number; usual: number } {
  return Number.parseInt(v8, 10) < 12
    ? { name: '--interrupt-budget', eager: 2000, usual: 67_584 }
    : { name: '--invocation-count-for-turbofan', eager: 300, usual: 3000 };
}

/** Until the work is over, what runs a few hundred times is optimized. */
export async function optimizingEagerly<T>(work: () => Promise<T>): Promise<T> {
  const { name, eager, usual } = thresholdOf(process.versions.v8);
  setFlagsFromString(`${name}=${eager}`);
  try {
    return await work();
  } finally {
    setFlagsFromString(`${name}=${usual}`);
  }
}
