/** One mount, with all that its options ask for (contract §6.7). */
import { closeSync, existsSync, readlinkSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { attachLoop, mount, pageSize, SysError } from '../../sys/index.js';
import type { Mount } from '../record/mount.js';
import { mountWithHelper } from './fuse.js';
import { mapLowers, openMaps, remap } from './idmap.js';
import { lockedFlags } from './mountinfo.js';
import { mountFlags, parseOptions, type MountOptions } from '../../oci/mount-options.js';
import { fitLowers, type Lowers } from '../../oci/overlay.js';

/** What begins the name, after that of the rootfs, of a directory that is needed for as long as mounting takes. */
export const SCRATCH = '.lower-';

const LOOP_TRIES = 100;

/** Types that containerd's mount manager (2.2) turns into others before a shim sees them. */
const unresolved = /^(format|mkdir|mkfs)\//;

/** @param rootfs names the scratch directories, which lie beside it */
export async function mountOne(one: Mount, target: string, rootfs: string): Promise<void> {
  if (unresolved.test(one.type)) {
    throw new Error(
      `mount type ${one.type} is for the daemon's mount manager, which should have taken it; the snapshotter needs a newer containerd`,
    );
  }
  if (await mountWithHelper(one, target)) return;
  const options = parseOptions(one.options);
  /** What is needed for as long as this takes, to be undone in reverse. */
  const undo: (() => Promise<void> | void)[] = [];
  try {
    await mountAll(one, target, options, `${rootfs}${SCRATCH}`, undo);
  } finally {
    for (const work of undo.reverse()) await work();
  }
}

async function mountAll(
  one: Mount,
  target: string,
  options: MountOptions,
  scratch: string,
  undo: (() => Promise<void> | void)[],
): Promise<void> {
  const { set, mapped } = options;
  const isOverlay = one.type === 'overlay';
  const maps = mapped && (await openMaps(mapped, undo));
  let lowers: Lowers = { data: options.data };
  if (isOverlay)
    lowers =
      maps === undefined ? fitLowers(options.data, scratch, undo) : await mapLowers(options.data, maps, scratch, undo);
  const source = options.loop ? await loopDevice(one.source, options, undo) : one.source;
  const data = lowers.data.join(',');
  if (Buffer.byteLength(data) >= pageSize()) {
    throw new Error(
      `mount options is too long: ${Buffer.byteLength(data)} bytes, and the kernel reads ${pageSize() - 1}`,
    );
  }
  try {
    await mount(source, target, one.type, set, data, lowers.cwd);
    // A bind ignores all other flags: read-only takes a second call (mount(2)).
    if ((set & mountFlags.BIND) !== 0 && (set & mountFlags.RDONLY) !== 0)
      await mount('', target, '', set | lockedFlags(target) | mountFlags.REMOUNT, '');
    if (maps !== undefined && !isOverlay) await remap(target, maps, (set & mountFlags.REC) !== 0);
    for (const propagation of options.propagation) await mount('', target, '', propagation, '');
  } catch (error) {
    const why = !(error instanceof SysError) ? String(error) : error.syscall === 'mount' ? error.code : error.message;
    throw new Error(
      `mount source: ${JSON.stringify(source)}, target: ${JSON.stringify(target)}, fstype: ${one.type}, flags: ${set}, data: ${JSON.stringify(data)}, err: ${why}`,
      { cause: error },
    );
  }
}

/** A loop device for a file. It is open until the mount is done, and frees itself when that is undone. */
async function loopDevice(file: string, { set, directIo }: MountOptions, undo: (() => void)[]): Promise<string> {
  for (let tries = 1; ; tries++) {
    try {
      const device = await attachLoop(file, { readOnly: (set & mountFlags.RDONLY) !== 0, directIo });
      undo.push(() => closeSync(device));
      return readlinkSync(`/proc/self/fd/${device}`);
    } catch (error) {
      const { code, message } = error as SysError;
      if (code === 'ENOENT' && existsSync(file))
        throw new Error(`${message}: the kernel has none to give; load its module (modprobe loop)`, { cause: error });
      if (code !== 'EBUSY' || tries === LOOP_TRIES) throw error;
      // Others look for a free device too, at different times from now on.
      await delay(Math.random() * 10 * Math.min(tries, 20));
    }
  }
}
