/** What a worker is seen as: who counts shims counts monitors. */
import { setIdentity, shimPid } from '../../sys/index.js';
import type { Invocation } from '../program/flags.js';

/** As the kernel has it (prctl(2), PR_SET_NAME), and as the first word of its command line. */
export const WORKER_NAME = 'hawser-worker';

/** Shows this process as whose worker it is, and not as another shim. */
export function showWorker(invocation: Invocation): void {
  setIdentity(wordsOf(invocation), ownSettings());
}

/** Its command line. */
export function wordsOf({ namespace, id }: Invocation): string[] {
  return [WORKER_NAME, `${namespace}/${id}`, String(shimPid())];
}

/** This process's environment, as it is handed on: NAME=VALUE each. */
export function ownSettings(): string[] {
  return Object.entries(process.env).map(([name, value]) => `${name}=${value}`);
}
