/** What is mounted, as the kernel tells it (proc(5), mountinfo). */
import { readFileSync, realpathSync } from 'node:fs';
import { sep } from 'node:path';
import { unescaped } from '../../oci/mountinfo.js';
import { flagsOf, mountFlags } from '../../oci/mount-options.js';

/**
 * Mount points at and below a directory, deepest first. A stack counts once.
 *
 * @param beside also those whose path goes on with this after the directory's name
 */
export function mountPoints(dir: string, beside: string): string[] {
  let real: string;
  try {
    real = realpathSync(dir);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  const found = new Set(
    mounts()
      .map(({ point }) => point)
      .filter((point) => point === real || point.startsWith(real + sep) || point.startsWith(real + beside)),
  );
  return [...found].sort((a, b) => b.length - a.length);
}

/**
 * The flags that a read-only remount of a bind must repeat. In a user namespace the mounts of those outside keep theirs:
 * leaving one out is refused. Elsewhere there are none, and a bind gets the flags it is given.
 */
export function lockedFlags(target: string): number {
  if (/^\s*0\s+0\s+4294967295\s*$/.test(readFileSync('/proc/self/uid_map', 'latin1'))) return 0;
  const real = realpathSync(target);
  const { NODEV, NOEXEC, NOSUID, NOATIME, NODIRATIME, RELATIME } = mountFlags;
  const lockable = NODEV | NOEXEC | NOSUID | NOATIME | NODIRATIME | RELATIME;
  return flagsOf(mounts().findLast(({ point }) => point === real)?.options ?? '') & lockable;
}

function mounts(): { point: string; options: string }[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [, , , , point, options] = line.split(' ', 6);
      return point === undefined || options === undefined ? [] : [{ point: unescaped(point), options }];
    });
}
