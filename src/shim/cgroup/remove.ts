/** Taking away the cgroups that a runtime made and, having been killed, could not remove. */
import { rmdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { cgroupDirectories } from './paths.js';

const RETRIES = 40;
const PAUSE_MS = 50;

/**
 * Removes what is empty of a container's cgroups, in all hierarchies. Waits, some two seconds at most, for processes in it
 * that are about to end.
 *
 * @param path the spec's `linux.cgroupsPath`; systemd removes by itself what it was asked to make, so only an absolute
 *   path means anything here
 */
export async function removeCgroups(path: string): Promise<void> {
  if (!path.startsWith('/') || path === '/') return;
  let left = cgroupDirectories(path);
  for (let tries = 0; left.length > 0; tries++) {
    left = left.filter((dir) => !tryRemove(dir, tries === RETRIES));
    if (left.length > 0) await delay(PAUSE_MS);
  }
}

function tryRemove(dir: string, last: boolean): boolean {
  try {
    rmdirSync(dir);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return true;
    if (code !== 'EBUSY' || last) throw error;
    return false;
  }
}
