/** Children that nobody here started: reparented to us because their parent died and we are its subreaper. */
import { readdirSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { native } from './native.js';
import { arm, isWatched } from './exit.js';
import { shimPid } from './monitor.js';

const { ECHILD, ENOSYS } = constants.errno;

/**
 * Ended children that nobody waits for by {@link onExit}. Some may still be libuv's (started by node:child_process and
 * not collected yet): whoever reaps must leave it the time to do so.
 */
export function reapableOrphans(): number[] {
  // One call settles the usual case: no zombie at all, or the first is one that its watcher will collect.
  const first = native.waitFor(0, true);
  if (first === null || typeof first === 'number') return [];
  return childrenOf(shimPid()).filter((pid) => !isWatched(pid) && isZombie(pid));
}

/** Collects one ended child and forgets its status; false when it is not ours or still runs. */
export function reap(pid: number): boolean {
  const result = native.waitFor(pid, false);
  return typeof result === 'object' && result !== null;
}

/** True while a pid is a child of ours that nobody has collected yet, running or not, or one reparented to us. */
export function isChild(pid: number): boolean {
  const state = native.monitorWatch(pid);
  // Whoever asks waits for it next.
  if (state === null && !isWatched(pid)) arm(pid);
  return (state === -ENOSYS ? native.waitFor(pid, true) : state) !== -ECHILD;
}

/** True for a child of ours that has not ended. */
export function isRunning(pid: number): boolean {
  return native.waitFor(pid, true) === null;
}

function isZombie(pid: number): boolean {
  const result = native.waitFor(pid, true);
  return typeof result === 'object' && result !== null;
}

/** Pids of all children of a process. The kernel keeps them by thread: an orphan goes to any thread of its new parent. */
export function childrenOf(parent: number): number[] {
  const tasks = `/proc/${parent}/task`;
  return readdirSync(tasks).flatMap((tid) => {
    try {
      return readFileSync(`${tasks}/${tid}/children`, 'latin1').split(' ').filter(Boolean).map(Number);
    } catch (error) {
      // The thread ended meanwhile, or the kernel was built without CONFIG_PROC_CHILDREN.
      if (error instanceof Error && 'code' in error) return [];
      throw error;
    }
  });
}
