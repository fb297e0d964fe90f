/** Mounting, which may take long: every call runs off the event loop. */
import { checked } from './error.js';
import { native } from './native.js';

// linux/loop.h
const LO_FLAGS_READ_ONLY = 1;
const LO_FLAGS_AUTOCLEAR = 4;
const LO_FLAGS_DIRECT_IO = 16;
// linux/mount.h
const MOUNT_ATTR_RDONLY = 1;

/** mount(2). With `cwd`, relative paths in the data are taken from there. */
export async function mount(
  source: string,
  target: string,
  type: string,
  flags: number,
  data: string,
  cwd?: string,
): Promise<void> {
  checked(await native.mount(source, target, type, data, cwd ?? null, flags), 'mount', target);
}

/**
 * Mounts something where nobody else sees it. It is there for as long as the descriptor is open, by its path in /proc/self/fd, and goes
 * with this process however that ends.
 *
 * @returns a descriptor of the mount's root (O_PATH), to be closed by the caller
 */
export async function mountApart(
  source: string,
  type: string,
  flags: number,
  data: string,
  cwd?: string,
): Promise<number> {
  return checked(await native.mountApart(source, type, data, cwd ?? null, flags), 'mount', source);
}

/** The bytes of a page of this kernel's, of which mount(2) reads one for its data: 4096 but on some arm64 and ppc64 kernels. */
export function pageSize(): number {
  return native.pageSize();
}

/** umount2(2). */
export async function unmount(target: string, flags: number): Promise<void> {
  checked(await native.unmount(target, flags), 'umount2', target);
}

/**
 * Ties a file to a free loop device (loop(4)). The kernel frees the device when this descriptor is closed and nothing is
 * mounted from it any more.
 *
 * @returns a descriptor of the device, to be closed by the caller
 * @throws SysError EBUSY when somebody else took the device that was free: try again
 */
export async function attachLoop(file: string, { readOnly = false, directIo = false } = {}): Promise<number> {
  const flags = LO_FLAGS_AUTOCLEAR | (readOnly ? LO_FLAGS_READ_ONLY : 0) | (directIo ? LO_FLAGS_DIRECT_IO : 0);
  return checked(await native.attachLoop(file, flags), 'loop device for', file);
}

/**
 * A user namespace with these maps and no process in it (user_namespaces(7)).
 *
 * @param uidMap lines as in /proc/PID/uid_map: id inside, id outside, how many
 * @returns its descriptor, to be closed by the caller
 */
export async function makeUserNamespace(uidMap: string, gidMap: string): Promise<number> {
  return checked(await native.makeUserNamespace(uidMap, gidMap), 'user namespace', uidMap.trim());
}

/**
 * A copy of the mount at a path, its owners shifted by a user namespace's maps (mount_setattr(2), Linux 5.12). It is
 * attached nowhere, and goes with its descriptor unless {@link attachMount} puts it somewhere.
 */
export async function cloneMapped(
  path: string,
  userns: number,
  { recursive = false, readOnly = false } = {},
): Promise<number> {
  return checked(
    await native.cloneMapped(path, userns, Number(recursive), readOnly ? MOUNT_ATTR_RDONLY : 0),
    'mount_setattr',
    path,
  );
}

/** Puts a mount that {@link cloneMapped} made at a path (move_mount(2)). The descriptor stays open. */
export async function attachMount(tree: number, target: string): Promise<void> {
  checked(await native.attachMount(target, tree), 'move_mount', target);
}
