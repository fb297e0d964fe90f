/** Memory that lives on when this process does not, by a descriptor that another has, too. */
import { ftruncateSync } from 'node:fs';
import { makeMemfd } from './descriptors.js';
import { SysError } from './error.js';
import { native } from './native.js';

/** New memory, all zero; the descriptor is the caller's. */
export function shareMemory(name: string, bytes: number): { fd: number; memory: Buffer } {
  const fd = makeMemfd(name);
  ftruncateSync(fd, bytes);
  return { fd, memory: mapShared(fd, bytes) };
}

/** The first bytes of what another process has shared. What is written there is there for all, at once. */
export function mapShared(fd: number, bytes: number): Buffer {
  const memory = native.mapShared(fd, bytes);
  if (typeof memory === 'number') throw new SysError(memory, 'mmap', fd);
  return memory;
}
