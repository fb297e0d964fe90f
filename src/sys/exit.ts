/** Who exited: one pidfd for each process that somebody waits for. */
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { checked, SysError } from './error.js';
import { native, type WaitResult } from './native.js';
import { READABLE, Watch } from './watch.js';

const { ECHILD, ESRCH } = constants.errno;

/** How soon a process that a tracer holds is looked at again. */
const TRACED_MS = 100;

/** A shell's view of how a process ended: its exit code, or 128 + the signal that killed it. */
export type ExitStatus = number;

/** Reported when the status went to somebody else or was never ours to collect. */
const UNKNOWN_STATUS = 255;

interface Watched {
  callbacks: ((status: ExitStatus) => void)[];
  release: () => void;
}

const watched = new Map<number, Watched>();
/** Their end is told by the monitor, and nobody waits for it yet. */
const armed = new Set<number>();

/** True while {@link onExit} waits for this pid. */
export function isWatched(pid: number): boolean {
  return watched.has(pid);
}

/**
 * Calls back once, from the event loop, when a child of this process (or one reparented to it) has ended, and collects
 * its status. A process that ended before is found as the zombie it is left as, so there is no race between learning a
 * pid and calling this. Never touches another pid: a wait for "any child" would take statuses that libuv waits for, and
 * libuv then drops that child's exit event without a word.
 */
export function onExit(pid: number, callback: (status: ExitStatus) => void): void {
  const known = watched.get(pid);
  if (known) {
    known.callbacks.push(callback);
    return;
  }
  const entry: Watched = { callbacks: [callback], release: () => undefined };
  watched.set(pid, entry);
  if (armed.delete(pid)) return;
  const state = native.monitorWatch(pid);
  if (state === null) return;
  if (typeof state === 'object') {
    setImmediate(() => noteEnded(pid, state.status));
    return;
  }
  // There is no monitor, or one of before it told; or it is none of its children.
  const pidfd = native.pidfdOpen(pid);
  if (pidfd === -ESRCH) {
    setImmediate(collect, pid);
  } else if (pidfd < 0) {
    watchBySignal(pid, entry);
  } else {
    try {
      watchByPidfd(pid, pidfd, entry);
    } catch (error) {
      closeSync(pidfd);
      if (!(error instanceof SysError)) throw error;
      watchBySignal(pid, entry);
    }
  }
}

/** The monitor tells the end of this one, which somebody is about to wait for. */
export function arm(pid: number): void {
  armed.add(pid);
}

/** Nobody tells any more, of anybody. */
export function forgetAll(): void {
  armed.clear();
  for (const entry of watched.values()) entry.release();
  watched.clear();
}

/** The monitor says that a process has ended, which is there until it is heard. */
export function noteEnded(pid: number, status: ExitStatus): void {
  armed.delete(pid);
  const entry = watched.get(pid);
  if (!entry) return;
  watched.delete(pid);
  // Now, so that it is gone by the time anybody is answered.
  checked(native.monitorCollect(pid), 'sendmsg');
  try {
    tell(entry, pid, { pid, status });
  } finally {
    entry.release();
  }
}

function watchByPidfd(pid: number, pidfd: number, entry: Watched): void {
  let again: NodeJS.Timeout | undefined;
  const watch = new Watch(pidfd, () => {
    collect(pid);
    if (watched.get(pid) !== entry) return;
    // It has ended, but a tracer has yet to let go of it: the pidfd stays ready all the while.
    watch.want(0);
    again = setTimeout(() => watch.want(READABLE), TRACED_MS);
  });
  watch.want(READABLE);
  entry.release = () => {
    clearTimeout(again);
    watch.close();
    closeSync(pidfd);
  };
}

/** Kernels before 5.3, sandboxes that forbid the call, and processes out of descriptors have no pidfd: SIGCHLD says that
 * somebody ended. */
function watchBySignal(pid: number, entry: Watched): void {
  const check = (): void => collect(pid);
  process.on('SIGCHLD', check);
  entry.release = () => void process.off('SIGCHLD', check);
  setImmediate(check);
}

function collect(pid: number): void {
  const entry = watched.get(pid);
  if (!entry) return;
  const result = native.waitFor(pid, false);
  if (result === null) return;
  watched.delete(pid);
  armed.delete(pid);
  try {
    tell(entry, pid, result);
  } finally {
    // After those who wait to hear of it; before what they have promised goes on, so that whoever is answered finds it
    // closed.
    entry.release();
  }
}

function tell(entry: Watched, pid: number, result: WaitResult | number): void {
  let status = UNKNOWN_STATUS;
  if (typeof result === 'object') status = result.status;
  else if (result !== -ECHILD) checked(result, 'waitid', pid);
  for (const callback of entry.callbacks) {
    try {
      callback(status);
    } catch (error) {
      // Its defect, to be seen as one; the others are told nevertheless.
      setImmediate(() => {
        throw error;
      });
    }
  }
}
