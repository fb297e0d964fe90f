/** What files have beyond what Node's fs can set. No call follows a symbolic link at a path's end. */
import { constants } from 'node:os';
import { checked, SysError } from './error.js';
import { native } from './native.js';

const { ENODATA, EOPNOTSUPP } = constants.errno;

/** mknod(2): a device, FIFO or socket, by the file type in the mode. */
export function mknod(path: string, mode: number, major: number, minor: number): void {
  checked(native.mknod(path, mode, major, minor), 'mknod', path);
}

/** A moment as the kernel has it: whole seconds since the epoch, and nanoseconds. */
export interface Time {
  readonly seconds: number;
  readonly nanos: number;
}

/** Time of last access and of last change (utimensat(2)). */
export function setTimes(path: string, accessed: Time, modified: Time): void {
  checked(native.setTimes(path, accessed.seconds, accessed.nanos, modified.seconds, modified.nanos), 'utimensat', path);
}

/** Sets an extended attribute (lsetxattr(2)). */
export function setAttribute(path: string, name: string, value: Uint8Array): void {
  checked(native.setAttribute(path, name, Buffer.from(value)), 'lsetxattr', path);
}

/** An extended attribute; undefined when there is none of that name (lgetxattr(2)). */
export function getAttribute(path: string, name: string): Buffer | undefined {
  const value = native.getAttribute(path, name);
  if (typeof value !== 'number') return value;
  if (value === -ENODATA || value === -EOPNOTSUPP) return undefined;
  throw new SysError(value, 'lgetxattr', path);
}

/** Names of all extended attributes; none where the file system has none (llistxattr(2)). */
export function listAttributes(path: string): string[] {
  const names = native.listAttributes(path);
  if (typeof names !== 'number') return names.toString().split('\0').filter(Boolean);
  if (names === -EOPNOTSUPP) return [];
  throw new SysError(names, 'llistxattr', path);
}

/** Flushes the file system that a path lies in, off the event loop (syncfs(2)). */
export async function syncFileSystem(path: string): Promise<void> {
  checked(await native.syncFileSystem(path), 'syncfs', path);
}
