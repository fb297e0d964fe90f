import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { constants } from 'node:os';
import { unescaped } from '../../oci/mountinfo.js';
import { unmount } from '../../sys/index.js';

// sys/mount.h
const MNT_DETACH = 2;

/** Where something is mounted at or below a path, the last mounted first. */
export function mountPointsBelow(path: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => unescaped(line.split(' ')[4] ?? ''))
    .filter((point) => point === path || point.startsWith(`${path}/`))
    .reverse();
}

/** Detaches all that is mounted at or below a path; throws what umount2(2) throws. What is removed next would else be its content. */
export async function unmountBelow(path: string): Promise<void> {
  for (const point of mountPointsBelow(path)) {
    try {
      await unmount(point, MNT_DETACH);
    } catch (error) {
      // Gone with the one above it.
      if ((error as { errno?: number }).errno !== -constants.errno.EINVAL) throw error;
    }
  }
}

/** Removes a directory, but never what is mounted in it. */
export async function removeTree(path: string): Promise<void> {
  await unmountBelow(path);
  await rm(path, { recursive: true, force: true });
}
