/** Mounts whose files seem to belong to others: owners shifted by the maps of a user namespace. */
import { closeSync, mkdirSync, mkdtempSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { attachMount, cloneMapped, makeUserNamespace, unmount } from '../../sys/index.js';
import { splitLowers, unescapeLower, type Lowers } from '../../oci/overlay.js';

const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;

type Undo = (() => Promise<void> | void)[];

/** A user namespace with these maps, `inside:outside:count[,…]`, as a descriptor that is closed when all is done. */
export async function openMaps({ uids, gids }: { uids: string; gids: string }, undo: Undo): Promise<number> {
  const userns = await makeUserNamespace(mapLines('uidmap', uids), mapLines('gidmap', gids));
  undo.push(() => closeSync(userns));
  return userns;
}

/** The same maps as the kernel reads them. */
function mapLines(name: string, text: string): string {
  return text
    .split(',')
    .map((part) => {
      if (!/^\d+:\d+:\d+$/.test(part))
        throw new Error(`mount option ${name}=${text} is not of the form inside:outside:count[,…]`);
      return `${part.replaceAll(':', ' ')}\n`;
    })
    .join('');
}

/** Puts a shifted copy of what is mounted at a path in its place. */
export async function remap(target: string, maps: number, recursive: boolean): Promise<void> {
  const tree = await shifted(target, maps, { recursive });
  try {
    await unmount(target, MNT_DETACH | UMOUNT_NOFOLLOW);
    await attachMount(tree, target);
  } finally {
    closeSync(tree);
  }
}

/** An overlay cannot be shifted itself; its lower layers can. Each is mounted once more, shifted, while the overlay is made. */
export async function mapLowers(data: readonly string[], maps: number, scratch: string, undo: Undo): Promise<Lowers> {
  const { dirs, join: joined } = splitLowers(data);
  if (dirs.length === 0) throw new Error('an overlay with uidmap= has no lowerdir=');
  const cwd = mkdtempSync(scratch);
  undo.push(() => rmdirSync(cwd));
  for (const [n, dir] of dirs.entries()) {
    const point = join(cwd, String(n));
    mkdirSync(point, { mode: 0o700 });
    undo.push(() => rmdirSync(point));
    const tree = await shifted(unescapeLower(dir), maps, { readOnly: true });
    try {
      await attachMount(tree, point);
    } finally {
      closeSync(tree);
    }
    undo.push(() => unmount(point, MNT_DETACH | UMOUNT_NOFOLLOW));
  }
  return { cwd, data: joined(dirs.map((_, n) => String(n))) };
}

async function shifted(
  path: string,
  maps: number,
  options: { recursive?: boolean; readOnly?: boolean },
): Promise<number> {
  try {
    return await cloneMapped(path, maps, options);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EINVAL' && code !== 'ENOSYS' && code !== 'EPERM') throw error;
    throw new Error(
      `mount options uidmap= and gidmap= are not possible at ${path}: they take Linux 5.12 and a file system that knows them (${code})`,
      { cause: error },
    );
  }
}
