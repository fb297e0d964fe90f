/** What is done with a descriptor, whatever it is of; and pipes, FIFOs, files in memory and counters, which are made here. */
import { constants } from 'node:os';
import { checked, SysError } from './error.js';
import { native } from './native.js';

const { EAGAIN } = constants.errno;

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

/** Another number for what `fd` is (fcntl(2), F_DUPFD_CLOEXEC). */
export function copyOf(fd: number): number {
  return checked(native.copyOf(fd), 'fcntl', fd);
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

/** True when a pipe's or FIFO's last writer is gone (poll(2), POLLHUP); there must have been one. */
export function isHungUp(fd: number): boolean {
  return checked(native.isHungUp(fd), 'poll', fd) === 1;
}

/** Bytes that lie unread in a pipe or FIFO (pipe(7), FIONREAD). */
export function bytesWaiting(fd: number): number {
  return checked(native.waiting(fd), 'ioctl', 'FIONREAD');
}

/** How many bytes a pipe or FIFO has room for (fcntl(2), F_GETPIPE_SZ). */
export function pipeSize(fd: number): number {
  return checked(native.pipeSize(fd, 0), 'fcntl', 'F_GETPIPE_SZ');
}

/** Gives a pipe or FIFO room for more; gives how much it has now. EPERM when that is more than this user may have. */
export function growPipe(fd: number, size: number): number {
  return checked(native.pipeSize(fd, size), 'fcntl', 'F_SETPIPE_SZ');
}
