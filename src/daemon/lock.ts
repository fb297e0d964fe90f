/** One daemon for one root: the lock, and who has it. */
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { tryLock } from '../sys/index.js';

/**
 * Takes `<root>/hawserd.lock` for as long as this process lives; the kernel gives it back however that ends.
 *
 * @returns gives it back earlier
 * @throws Error with the pid of the daemon that has it
 */
export function lockRoot(root: string): () => void {
  const path = join(root, 'hawserd.lock');
  const fd = openSync(path, 'a+', 0o600);
  if (!tryLock(fd)) {
    const pid = readFileSync(path, 'utf8').trim() || '(unknown)';
    closeSync(fd);
    throw new Error(
      `root ${root} is in use by the hawserd of process ${pid}: stop that one, or give this one another --root and --state`,
    );
  }
  ftruncateSync(fd);
  writeSync(fd, `${process.pid}\n`);
  return () => closeSync(fd);
}
