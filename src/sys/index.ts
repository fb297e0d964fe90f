/**
 * System calls that Node lacks, typed. The only room that loads native code.
 *
 * Calls throw {@link SysError}; those that are polled for readiness (`tryRead`, `tryWrite`, `tryAccept`,
 * `tryReceiveDescriptor`) return `undefined` instead of EAGAIN, as an exception there would be the normal case.
 */
import { constants } from 'node:os';
import { checked, SysError } from './error.js';
import { native, type Job } from './native.js';

export type { Job } from './native.js';
export { SysError } from './error.js';
export { goBuildInfo } from './build-info.js';
export { Watch, READABLE, WRITABLE } from './watch.js';
export { onExit, isWatched, type ExitStatus } from './exit.js';
export {
  getAttribute,
  listAttributes,
  mknod,
  nextData,
  setAttribute,
  setTimes,
  syncFileSystem,
  type Path,
  type Time,
} from './files.js';
export { realtime, realtimeMillis } from './clock.js';
export { exec, spawn, searchPath, execFailure, type Child, type SpawnOptions } from './spawn.js';
export { attachLoop, attachMount, cloneMapped, makeUserNamespace, mount, unmount } from './mount.js';
export { Relay, type Relayed } from './relay.js';
export { isChild, reapableOrphans, reap } from './orphans.js';

const { EAGAIN } = constants.errno;

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

/**
 * The soft limit of open files that children get (getrlimit(2), RLIMIT_NOFILE). Node raises its own to the hard limit
 * when it starts, and containers would inherit that.
 */
export function limitChildrenNofile(soft: number): void {
  native.setChildrenNofile(soft);
}

/** Gives memory that the C library keeps for later back to the kernel (malloc_trim(3)); takes about a millisecond. */
export function trimMemory(): void {
  native.trimMemory();
}

/** Reads what is there: the number of bytes, 0 at the end, undefined when there is nothing now. */
export function tryRead(fd: number, buffer: Uint8Array): number | undefined {
  const n = native.read(fd, buffer);
  return n === -EAGAIN ? undefined : checked(n, 'read', fd);
}

/** Like {@link tryRead}, with as many calls as it takes to have all that is there now, or the buffer full. */
export function tryReadMuch(fd: number, buffer: Uint8Array): number | undefined {
  const n = native.readMuch(fd, buffer);
  return n === -EAGAIN ? undefined : checked(n, 'read', fd);
}

/** Writes what there is room for: the number of bytes, undefined when there is no room now. */
export function tryWrite(fd: number, buffer: Uint8Array, from = 0, to = buffer.length): number | undefined {
  const n = native.write(fd, buffer, from, to);
  return n === -EAGAIN ? undefined : checked(n, 'write', fd);
}

/** An anonymous pipe, both ends blocking and close-on-exec. */
export function makePipe(): { read: number; write: number } {
  const ends = native.pipe();
  if (typeof ends === 'number') throw new SysError(ends, 'pipe2');
  return { read: ends[0], write: ends[1] };
}

/** An anonymous file in memory (memfd_create(2)); the name only shows in /proc. */
export function makeMemfd(name: string): number {
  return checked(native.memfd(name), 'memfd_create', name);
}

/** A non-blocking event counter (eventfd(2)). */
export function makeEventfd(): number {
  return checked(native.eventfd(), 'eventfd');
}

/** Makes a FIFO; the mode is subject to the umask (mkfifo(3)). */
export function makeFifo(path: string, mode: number): void {
  checked(native.mkfifo(path, mode), 'mkfifo', path);
}

/** Makes `onto` another number for what `fd` is (dup3(2)); 0, 1 and 2 stay open across exec. */
export function duplicate(fd: number, onto: number): void {
  checked(native.duplicate(fd, onto), 'dup3', fd);
}

/** Another number for what `fd` is, close-on-exec, not 0, 1 or 2. */
export function copyDescriptor(fd: number): number {
  return checked(native.copy(fd), 'fcntl', fd);
}

/** Sets or clears O_NONBLOCK of the open file description. */
export function setNonblock(fd: number, on: boolean): void {
  checked(native.setNonblock(fd, on), 'fcntl', fd);
}

/**
 * Takes an exclusive lock on an open file for as long as the file is open, here or in a child that has inherited it (flock(2)).
 *
 * @returns false when another has it
 */
export function tryLock(fd: number): boolean {
  const result = native.lock(fd);
  if (result === -EAGAIN) return false;
  checked(result, 'flock', fd);
  return true;
}

/** Sends one message to a unix datagram socket, without waiting. A path that begins with NUL is an abstract name. */
export function sendDatagram(path: string, text: string): void {
  checked(native.sendDatagram(path, text), 'sendto', path);
}

/** True when a pipe's or FIFO's last writer is gone (poll(2), POLLHUP); there must have been one. */
export function isHungUp(fd: number): boolean {
  return checked(native.isHungUp(fd), 'poll', fd) === 1;
}

/** Bytes that lie unread in a pipe or FIFO (pipe(7), FIONREAD). */
export function bytesWaiting(fd: number): number {
  return checked(native.waiting(fd), 'ioctl', 'FIONREAD');
}

/** Who is at the other end of a connected unix socket, as of connect time (unix(7), SO_PEERCRED). */
export function peerCredentials(fd: number): { pid: number; uid: number; gid: number } {
  const result = native.peerCredentials(fd);
  if (typeof result === 'number') throw new SysError(result, 'getsockopt', 'SO_PEERCRED');
  return result;
}

/** A listening, non-blocking unix stream socket. Paths of over 107 bytes are ENAMETOOLONG; one that begins with NUL is an abstract name. */
export function listenUnix(path: string): number {
  return checked(native.listenUnix(path), 'listen', path);
}

/** The next connection waiting at a listening socket, non-blocking; undefined when there is none now. */
export function tryAccept(fd: number): number | undefined {
  const result = native.accept(fd);
  return result === -EAGAIN ? undefined : checked(result, 'accept', fd);
}

/** The one descriptor that the next message carries; EBADMSG when it carries none or several. */
export function tryReceiveDescriptor(socket: number): number | undefined {
  const result = native.receiveDescriptor(socket);
  return result === -EAGAIN ? undefined : checked(result, 'recvmsg', socket);
}

/** Sets a terminal's size; numbers are cut to 16 bits (ioctl_tty(2), TIOCSWINSZ). */
export function setWindowSize(fd: number, columns: number, rows: number): void {
  checked(native.setWindowSize(fd, columns, rows), 'ioctl', 'TIOCSWINSZ');
}

/** Opens the slave end of a pseudo-terminal by its master (ioctl_tty(2), TIOCGPTPEER). */
export function openTerminalPeer(master: number): number {
  return checked(native.openTerminalPeer(master), 'ioctl', 'TIOCGPTPEER');
}

/**
 * Makes a pseudo-terminal and sends its master through the unix socket at the path, as an OCI runtime does with its console
 * socket (see `ConsoleSocket` of hawser/runc).
 *
 * @returns the slave, close-on-exec, to be given to a process and closed by the caller
 */
export function sendTerminal(path: string): number {
  return checked(native.sendTerminal(path), 'sendTerminal', path);
}

/** What {@link forkForJobs} has come to. */
export interface Forked {
  /** In a forked process: its job. */
  job?: Job;
  /** In the zygote: how many have been forked. */
  forked: number;
  /** In the zygote: the watched descriptor has ended the waiting. */
  isOver: boolean;
}

/**
 * Forks a process for each launcher that connects, in which this returns its job; see monitor/zygote.c for the other side. It
 * blocks. Such a process has this thread, and no other of the zygote's.
 *
 * @param watched a descriptor that ends the waiting when it is readable
 * @param waitMs so long after the last launcher it returns in the zygote, too
 */
export function forkForJobs(listener: number, watched: number | undefined, waitMs: number): Forked {
  const result = native.forkForJobs(listener, watched ?? -1, waitMs);
  if (typeof result === 'number') throw new SysError(result, 'fork');
  if (result.job) {
    // Node has kept the zygote's, and at its end would wait for threads that are not there.
    Object.defineProperty(process, 'pid', { value: result.job.pid, configurable: true });
    Object.assign(process, { reallyExit: (status?: number) => native.exitNow(status ?? 0) });
  }
  return result;
}

/** Shows the words and settings as this process's command line and environment in /proc. */
export function setIdentity(words: readonly string[], settings: readonly string[]): void {
  checked(native.setIdentity(words, settings), 'prctl', 'PR_SET_MM');
}

/**
 * Says that a process is about to be moved to another cgroup, by this one or another. The kernel then prepares for it, which
 * takes some ten milliseconds, while whoever does it gets ready: see migration.c. Returns at once. Never throws: without it
 * all goes on, only later.
 *
 * @param root where cgroups are mounted; where they are mounted elsewhere, it does nothing
 */
export function expectMigration(root = '/sys/fs/cgroup'): void {
  native.expectMigration(root);
}

/** Names this process, as ps and pgrep show it; 15 bytes are kept (prctl(2), PR_SET_NAME). */
export function setName(name: string): void {
  native.setName(name);
}
