/**
 * Letting the init of a created container go on. In runc that is all that `start` does: the init waits until somebody opens
 * a FIFO beside the container's state, writes one byte there, and becomes the container's program; who has read the byte
 * removes the FIFO, by whose absence runc knows a running container from a created one. Doing so here saves a process.
 */
import { closeSync, fstatSync, unlinkSync } from 'node:fs';
import { goBuildInfo, openLasting, READABLE, tryRead, Watch } from '../sys/index.js';

const RUNC = /\bpath\tgithub\.com\/opencontainers\/runc\n/;

/** Whether a program is runc itself, and nothing that wraps it or only bears its name: another's start may do more. */
export function isRunc(file: string): boolean {
  return RUNC.test(goBuildInfo(file));
}

/**
 * Releases an init that waits at the FIFO.
 *
 * @param ended settles when the init has ended
 * @returns false when it has not been released: there is no such FIFO, or the init has ended. runc knows what to say then.
 */
export async function releaseInit(fifo: string, ended: Promise<unknown>): Promise<boolean> {
  const fd = tryOpen(fifo);
  if (fd === undefined) return false;
  let watch: Watch | undefined;
  try {
    const read = new Promise<void>((resolve) => {
      watch = new Watch(fd, () => resolve());
      watch.want(READABLE);
    });
    // What was read by nobody else is gone with this descriptor, so from here on only the init's end is a way back.
    await Promise.race([read, ended]);
    const byte = Buffer.alloc(1);
    if (!tryRead(fd, byte)) return false;
    unlinkSync(fifo);
    return true;
  } finally {
    watch?.close();
    closeSync(fd);
  }
}

/** Without waiting for a writer: it comes because somebody reads. */
function tryOpen(fifo: string): number | undefined {
  let fd: number;
  try {
    // An init that writes when its reader has just ended would fail.
    fd = openLasting(fifo);
  } catch (error) {
    if (['ENOENT', 'ELOOP'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
  if (fstatSync(fd).isFIFO()) return fd;
  closeSync(fd);
  return undefined;
}
