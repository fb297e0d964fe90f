/** The monitor of an author's shim (monitor/authored.c), which is there while there is no process of Node's. */
import { attachMonitor, setName } from '../../sys/index.js';
import type { Invocation } from '../program/flags.js';
import { showWorker, WORKER_NAME } from '../worker/identity.js';
import { idleMsOf } from '../worker/sleep.js';

/** What tells a worker its monitor's descriptors; the environment of what it runs has none of ours. */
const OURS = ['HAWSER_MONITOR', 'HAWSER_WAKE', 'HAWSER_SLEEP'] as const;

/** How the monitor is told what its workers are to run. */
export function wordsFor(command: readonly string[]): Record<string, string> {
  return Object.fromEntries(command.map((word, index) => [`HAWSER_AUTHORED_${index}`, word]));
}

/** What a worker is told of its monitor. */
export interface Monitored {
  /** It is to go on where another one has left off. */
  readonly isWoken: boolean;
  /** How long it has nothing to do before it sleeps, in milliseconds; undefined where it never does. */
  readonly idleMs: number | undefined;
}

/** Makes this process the worker of the monitor that has started it. Undefined when none has. */
export function beWorker(invocation: Invocation): Monitored | undefined {
  const [monitor, wake, sleep] = OURS.map((name) => process.env[name]);
  for (const name of OURS) delete process.env[name];
  const [control, bell] = (monitor ?? '').split(',').map(Number);
  if (control === undefined || bell === undefined) return undefined;
  attachMonitor({ control, bell });
  setName(WORKER_NAME);
  showWorker(invocation);
  return { isWoken: wake !== undefined, idleMs: idleMsOf(sleep) };
}
