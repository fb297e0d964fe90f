/**
 * Holds a container's network namespace by a mount, as `ip netns` does: plugins take away what they have made, such as rules for addresses that
 * only the interface tells, while its processes are gone.
 */
import { closeSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { mount, unmount } from '../../sys/index.js';

// mount(2), umount2(2)
const MS_BIND = 4096;
const MNT_DETACH = 2;

/** @param pid of a process in the namespace */
export async function holdNamespace(pid: number, pin: string): Promise<void> {
  mkdirSync(dirname(pin), { recursive: true, mode: 0o755 });
  closeSync(openSync(pin, 'a', 0o444));
  await mount(`/proc/${pid}/ns/net`, pin, '', MS_BIND, '');
}

/** Whether a namespace is mounted there, as this process sees it. */
export function isHeld(pin: string): boolean {
  return mountsAt(pin) > 0;
}

/** Lets go of it, if it is held. */
export async function releaseNamespace(pin: string): Promise<void> {
  for (let left = mountsAt(pin); left > 0; left--) await unmount(pin, MNT_DETACH);
  rmSync(pin, { force: true });
}

function mountsAt(path: string): number {
  // proc(5): the fifth field is the mount point, with blanks and the like as octal numbers.
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter(
      (line) =>
        line.split(' ')[4]?.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8))) ===
        path,
    ).length;
}
