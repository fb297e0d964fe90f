/** Work that a signal gives up, with what it has made taken away again. */
import { endedBy, onSignals } from './on-signals.js';

/** @throws Exit with 128 and the signal's number when one has come */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  let came: NodeJS.Signals | undefined;
  const stop = onSignals(['SIGINT', 'SIGTERM', 'SIGHUP'], (name) => {
    came ??= name;
    controller.abort(new Error(`interrupted by ${name}`));
  });
  try {
    return await work(controller.signal);
  } catch (error) {
    if (came !== undefined) throw endedBy(came);
    throw error;
  } finally {
    stop();
  }
}
