/** What a zygote does for a launcher (monitor/zygote.c), and the process that what it forks then shows itself as. */
import { checked, SysError } from './error.js';
import { native, type Job } from './native.js';

export type { Job } from './native.js';

/** What {@link forkForJobs} has come to. */
export interface Forked {
  /** In a forked process: its job. */
  job?: Job;
  /** In the zygote: for how many launchers. */
  forked: number;
  /** In the zygote: the watched descriptor has ended the waiting. */
  isOver: boolean;
}

/**
 * Forks a process for each launcher that connects, in which this returns its job; see monitor/zygote.c for the other side. It
 * blocks. Such a process has this thread, and no other of the zygote's.
 *
 * @param watched a descriptor that ends the waiting when it is readable
 * @param waitMs after so long it returns in the zygote, too, also where somebody has come
 * @param shown for one that is forked ahead of its launcher, and ends with the zygote: what it shows as its command line meanwhile
 */
export function forkForJobs(
  listener: number,
  watched: number | undefined,
  waitMs: number,
  shown?: readonly string[],
): Forked {
  const result = native.forkForJobs(listener, watched ?? -1, waitMs, shown ?? null);
  if (typeof result === 'number') throw new SysError(result, 'fork');
  if (result.job) {
    // Node has kept the zygote's, and at its end would wait for threads that are not there.
    Object.defineProperty(process, 'pid', { value: result.job.pid, configurable: true });
    Object.assign(process, { reallyExit: (status?: number) => native.exitNow(status ?? 0) });
  }
  return result;
}

/**
 * In a process that was forked ahead: tells its zygote what it has written to by now, once, so that the next ones have that copied beforehand. Nothing
 * elsewhere.
 */
export function reportWritten(): void {
  native.reportWritten();
}

/** Shows the words and settings as this process's command line and environment in /proc. */
export function setIdentity(words: readonly string[], settings: readonly string[]): void {
  checked(native.setIdentity(words, settings), 'prctl', 'PR_SET_MM');
}

/** Names this process, as ps and pgrep show it; 15 bytes are kept (prctl(2), PR_SET_NAME). */
export function setName(name: string): void {
  native.setName(name);
}
