/** What files have beyond what Node's fs can set. No call follows a symbolic link at a path's end. */
import { constants } from 'node:os';
import { fromBytes, toBytes, type ByteString } from './byte-string.js';
import { checked, SysError } from './error.js';
import { native } from './native.js';

const { EINVAL, ENODATA, ENXIO, EOPNOTSUPP } = constants.errno;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;

/** A path as text, or as the bytes that it is. */
export type Path = string | Buffer;

/**
 * Replaces a file so that a reader sees the old content or the new, never a part.
 *
 * @throws SysError of what failed; the old content is there then, and nothing else
 */
export function replaceFile(path: string, content: string | Uint8Array, mode: number): void {
  const bytes = typeof content === 'string' ? Buffer.from(content) : Buffer.from(content);
  checked(native.replaceFile(whole(path, 'open'), `${path}.${process.pid}.tmp`, bytes, mode), 'replace', path);
}

/** mknod(2): a device, FIFO or socket, by the file type in the mode. */
export function mknod(path: Path, mode: number, major: number, minor: number): void {
  checked(native.mknod(whole(path, 'mknod'), mode, major, minor), 'mknod', path.toString());
}

/** A moment as the kernel has it: whole seconds since the epoch, and nanoseconds. */
export interface Time {
  readonly seconds: number;
  readonly nanos: number;
}

/** Time of last access and of last change (utimensat(2)). */
export function setTimes(path: Path, accessed: Time, modified: Time): void {
  checked(
    native.setTimes(whole(path, 'utimensat'), accessed.seconds, accessed.nanos, modified.seconds, modified.nanos),
    'utimensat',
    path.toString(),
  );
}

/** Sets an extended attribute (lsetxattr(2)). The name has a character for each of its bytes. */
export function setAttribute(path: Path, name: string, value: Uint8Array): void {
  checked(
    native.setAttribute(whole(path, 'lsetxattr'), whole(toBytes(name as ByteString), 'lsetxattr'), Buffer.from(value)),
    'lsetxattr',
    path.toString(),
  );
}

/** An extended attribute; undefined when there is none of that name (lgetxattr(2)). */
export function getAttribute(path: Path, name: string): Buffer | undefined {
  const value = native.getAttribute(whole(path, 'lgetxattr'), whole(toBytes(name as ByteString), 'lgetxattr'));
  if (typeof value !== 'number') return value;
  if (value === -ENODATA || value === -EOPNOTSUPP) return undefined;
  throw new SysError(value, 'lgetxattr', path.toString());
}

/** Names of all extended attributes; none where the file system has none (llistxattr(2)). */
export function listAttributes(path: Path): ByteString[] {
  const names = native.listAttributes(whole(path, 'llistxattr'));
  if (typeof names !== 'number') return fromBytes(names).split('\0').filter(Boolean) as ByteString[];
  if (names === -EOPNOTSUPP) return [];
  throw new SysError(names, 'llistxattr', path.toString());
}

/**
 * The next stretch of an open file that is no hole, from an offset on (lseek(2), SEEK_DATA and SEEK_HOLE); undefined when there is
 * none. A file system that knows no holes has all of the file as one. The descriptor's own offset is changed.
 */
export function nextData(fd: number, from: number): { start: number; end: number } | undefined {
  const start = native.seek(fd, from, SEEK_DATA);
  if (start === -ENXIO) return undefined;
  checked(start, 'lseek', fd);
  return { start, end: checked(native.seek(fd, start, SEEK_HOLE), 'lseek', fd) };
}

/** Flushes the file system that a path lies in, off the event loop (syncfs(2)). */
export async function syncFileSystem(path: string): Promise<void> {
  checked(await native.syncFileSystem(path), 'syncfs', path);
}

/** The kernel would take what is before a NUL for the whole, and work on another file. */
function whole(bytes: Path, syscall: string): Path {
  if (bytes.includes('\0')) throw new SysError(-EINVAL, syscall, JSON.stringify(bytes.toString()));
  return bytes;
}
