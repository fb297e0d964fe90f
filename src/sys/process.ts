/** Processes that exist: whose children they are, signals to them; and this one's memory. */
import { checked } from './error.js';
import { native } from './native.js';

/** Makes this process the one that orphans below it are reparented to (prctl(2), PR_SET_CHILD_SUBREAPER). */
export function becomeSubreaper(): void {
  checked(native.setSubreaper(), 'prctl', 'PR_SET_CHILD_SUBREAPER');
}

/** Sends a signal by number through a pidfd, so that it cannot hit a process that reuses the pid. */
export function signalPidfd(pidfd: number, signal: number): void {
  checked(native.pidfdSendSignal(pidfd, signal), 'pidfd_send_signal');
}

/** A pidfd, to be closed by the caller (pidfd_open(2)). */
export function openPidfd(pid: number): number {
  return checked(native.pidfdOpen(pid), 'pidfd_open', pid);
}

/** Gives memory that the C library keeps for later back to the kernel (malloc_trim(3)); takes about a millisecond. */
export function trimMemory(): void {
  native.trimMemory();
}

/**
 * Lets go of what this process has read of its program and its libraries: it is read again when it is needed, of the kernel's cache as a rule.
 */
export function releaseFiles(): void {
  native.releaseFiles();
}
