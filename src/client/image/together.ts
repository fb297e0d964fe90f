/** Several blobs at once. */
import { throwIfAborted } from '../abort.js';
import type { Scope } from './content.js';

/** So many are on their way. */
const PARALLEL = 3;

type Enter = (work: () => Promise<void>) => Promise<void>;

/**
 * Does work of several parts, of which only so many run at a time. When one fails the others are given up, and waited for.
 *
 * @param work is given a scope that ends then, and what takes up a part
 */
export async function together(scope: Scope, work: (scope: Scope, enter: Enter) => Promise<void>): Promise<void> {
  const controller = new AbortController();
  const signal = scope.signal === undefined ? controller.signal : AbortSignal.any([scope.signal, controller.signal]);
  const parts: Promise<void>[] = [];
  // The others fail with the abort that it leads to, and may be told of earlier.
  let first: unknown;
  let running = 0;
  const waiting: (() => void)[] = [];
  const enter: Enter = (part) => {
    const started = (async () => {
      if (running === PARALLEL) await new Promise<void>((resolve) => waiting.push(resolve));
      else running++;
      try {
        throwIfAborted(signal);
        await part();
      } catch (error) {
        first ??= error;
        controller.abort(error);
        throw error;
      } finally {
        // Its place goes to the next one.
        const next = waiting.shift();
        if (next === undefined) running--;
        else next();
      }
    })();
    started.catch(() => undefined);
    parts.push(started);
    return started;
  };
  try {
    await work({ ...scope, signal }, enter);
  } catch (error) {
    first ??= error;
    controller.abort(error);
    await Promise.allSettled(parts);
    throw first;
  }
}
