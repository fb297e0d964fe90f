/** Work that a signal gives up, with what it has made taken away again. */
import { constants } from 'node:os';
import { Exit, SIGNALLED } from '../errors.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** @throws Exit with 128 and the signal's number when one has come */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  let came: (typeof SIGNALS)[number] | undefined;
  const handlers = SIGNALS.map((name) => {
    const handler = (): void => {
      came ??= name;
      controller.abort(new Error(`interrupted by ${name}`));
    };
    process.on(name, handler);
    return () => process.off(name, handler);
  });
  try {
    return await work(controller.signal);
  } catch (error) {
    if (came !== undefined) throw new Exit(SIGNALLED + constants.signals[came]);
    throw error;
  } finally {
    for (const off of handlers) off();
  }
}
