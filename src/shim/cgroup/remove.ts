/** Taking away the cgroups that a runtime made and, having been killed, could not remove. */
import { existsSync, rmdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { CgroupMount } from '../../oci/cgroup-mounts.js';
import { cgroupDirectories } from './paths.js';

const RETRIES = 40;
const PAUSE_MS = 50;

/**
 * The cgroups that a container is to have, and that are there already: whoever made them, it was not for this container.
 *
 * @param path the spec's `linux.cgroupsPath`
 */
export function cgroupsThere(path: string, mounts?: CgroupMount[]): string[] {
  return isPlain(path) ? cgroupDirectories(path, mounts).filter((dir) => existsSync(dir)) : [];
}

/**
 * Removes what is empty of a container's cgroups, in all hierarchies. Waits, some two seconds at most, for processes in it
 * that are about to end.
 *
 * @param path the spec's `linux.cgroupsPath`
 * @param before those that are to stay, as they were there before
 */
export async function removeCgroups(path: string, before: readonly string[] = []): Promise<void> {
  if (!isPlain(path)) return;
  let left = cgroupDirectories(path).filter((dir) => !before.includes(dir));
  for (let tries = 0; left.length > 0; tries++) {
    left = left.filter((dir) => !tryRemove(dir, tries === RETRIES));
    if (left.length > 0) await delay(PAUSE_MS);
  }
}

/** systemd removes by itself what it was asked to make, so only an absolute path means anything here. */
function isPlain(path: string): boolean {
  return path.startsWith('/') && path !== '/';
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
