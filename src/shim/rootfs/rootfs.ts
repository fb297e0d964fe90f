/** Mounting a container's rootfs and taking it down again (contract §6.7). */
import { mkdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { unmount, type SysError } from '../../sys/index.js';
import type { Mount } from '../record/mount.js';
import { mountOne, SCRATCH } from './mount.js';
import { mountPoints } from './mountinfo.js';
import { targetOf } from './mount-target.js';
import { Waits } from '../observe/pending.js';

const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;
/** How long something may go on using a mount that is to go: as long as containerd waits. */
const BUSY_MS = 2500;
/** Less where the daemon waits for 5 seconds in all (contract §1.10). */
const LAZY_BUSY_MS = 1000;
const BUSY_PAUSE_MS = 50;

/**
 * Mounts all, in order; when one fails, those before it are taken down again.
 *
 * @param waits where each mount is noted while it is under way
 */
export async function mountRootfs(mounts: readonly Mount[], rootfs: string, waits = new Waits()): Promise<void> {
  if (mounts.length === 0) return;
  mkdirSync(rootfs, { recursive: true, mode: 0o711 });
  try {
    for (const one of mounts) await waits.for('mount', rootfs, mountOne(one, targetOf(rootfs, one), rootfs));
  } catch (error) {
    let text = `failed to mount rootfs component: ${(error as Error).message}`;
    try {
      await unmountRootfs(rootfs, { lazy: true, waits });
    } catch (second) {
      text += `; and taking down what was mounted failed too: ${(second as Error).message}`;
    }
    throw new Error(text, { cause: error });
  }
}

/**
 * Unmounts everything at and below a rootfs, stacked layers too, and what was mounted beside it to make it. Nothing
 * mounted there is success.
 *
 * @param lazy what stays in use is detached: it goes when its last user does. For where nobody tries again.
 * @param waits where each unmounting is noted while it is under way
 */
export async function unmountRootfs(rootfs: string, { lazy = false, waits = new Waits() } = {}): Promise<void> {
  const deadline = Date.now() + (lazy ? LAZY_BUSY_MS : BUSY_MS);
  for (const point of mountPoints(rootfs, SCRATCH)) await waits.for('umount', point, unmountAll(point, deadline, lazy));
}

/** Until the kernel says that nothing is mounted there. */
async function unmountAll(point: string, deadline: number, lazy: boolean): Promise<void> {
  let flags = UMOUNT_NOFOLLOW;
  for (;;) {
    try {
      await unmount(point, flags);
    } catch (error) {
      const { code } = error as SysError;
      if (code === 'EINVAL' || code === 'ENOENT') return;
      if (code !== 'EBUSY') throw error;
      if (Date.now() < deadline) await delay(BUSY_PAUSE_MS);
      else if (lazy) flags |= MNT_DETACH;
      else throw error;
    }
  }
}
