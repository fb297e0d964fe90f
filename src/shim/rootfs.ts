/** Mounting a container's rootfs and taking it down again (contract §6.7). */
import { mkdirSync, readFileSync, realpathSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { mount, SysError, unmount } from '../sys/index.js';
import { mountFlags, parseOptions } from './mount-options.js';

/** One mount, as the daemon describes it (containerd.types.Mount). */
export interface Mount {
  type: string;
  source: string;
  /** A directory inside the rootfs; empty for the rootfs itself. */
  target: string;
  options: string[];
}

/** mount(2) reads one page of data at most. */
const PAGE = 4096;
/** Room that the rest of an overlay's options may need. */
const SLACK = 512;

const UMOUNT_NOFOLLOW = 8;
const BUSY_RETRIES = 50;
const BUSY_PAUSE_MS = 50;

/** Mounts all, in order; when one fails, those before it are taken down again. */
export async function mountRootfs(mounts: readonly Mount[], rootfs: string): Promise<void> {
  if (mounts.length === 0) return;
  mkdirSync(rootfs, { recursive: true, mode: 0o711 });
  try {
    for (const one of mounts) await mountOne(one, targetOf(rootfs, one.target));
  } catch (error) {
    let text = `failed to mount rootfs component: ${(error as Error).message}`;
    try {
      await unmountRootfs(rootfs);
    } catch (second) {
      text += `; and taking down what was mounted failed too: ${(second as Error).message}`;
    }
    throw new Error(text, { cause: error });
  }
}

/** Unmounts everything at and below a directory, stacked layers too. Nothing mounted there is success. */
export async function unmountRootfs(rootfs: string): Promise<void> {
  for (const point of mountPoints(rootfs)) await unmountAll(point);
}

/** Mount points at and below a directory, deepest first. A stack counts once. */
function mountPoints(dir: string): string[] {
  let real: string;
  try {
    real = realpathSync(dir);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  const found = new Set<string>();
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    const field = line.split(' ', 5)[4];
    if (field === undefined) continue;
    const point = unescapeMountinfo(field);
    if (point === real || point.startsWith(real + sep)) found.add(point);
  }
  return [...found].sort((a, b) => b.length - a.length);
}

/** Spaces and the like stand as octal escapes in mountinfo (proc(5)). */
function unescapeMountinfo(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
}

/** Until the kernel says that nothing is mounted there. */
async function unmountAll(point: string): Promise<void> {
  let busy = 0;
  for (;;) {
    try {
      await unmount(point, UMOUNT_NOFOLLOW);
    } catch (error) {
      const { code } = error as SysError;
      if (code === 'EINVAL' || code === 'ENOENT') return;
      if (code !== 'EBUSY' || ++busy > BUSY_RETRIES) throw error;
      await delay(BUSY_PAUSE_MS);
    }
  }
}

/** A target inside the rootfs, which a symlink there must not lead out of. */
function targetOf(rootfs: string, target: string): string {
  if (!target) return rootfs;
  const path = join(rootfs, join(sep, target));
  mkdirSync(path, { recursive: true, mode: 0o711 });
  const inside = relative(realpathSync(rootfs), realpathSync(path));
  if (inside === '..' || inside.startsWith(`..${sep}`)) throw new Error(`mount target ${JSON.stringify(target)} leads out of the rootfs`);
  return path;
}

async function mountOne(one: Mount, target: string): Promise<void> {
  const { set, data } = parseOptions(one.options);
  if (one.type.startsWith('fuse.') || one.type.startsWith('fuse3.')) throw new Error(`mount type ${one.type} is not supported`);
  const lowers = one.type === 'overlay' ? shortLowerdirs(one.options, data) : undefined;
  const text = (lowers?.data ?? data).join(',');
  if (text.length >= PAGE) throw new Error('mount options is too long');
  const readOnlyBind = (set & mountFlags.BIND) !== 0 && (set & mountFlags.RDONLY) !== 0;
  try {
    await mount(one.source, target, one.type, set, text, lowers?.cwd);
    // A bind ignores all other flags: read-only takes a second call (mount(2)).
    if (readOnlyBind) await mount('', target, '', set | mountFlags.REMOUNT, '');
  } catch (error) {
    const why = error instanceof SysError ? error.code : String(error);
    throw new Error(
      `mount source: ${JSON.stringify(one.source)}, target: ${JSON.stringify(target)}, fstype: ${one.type}, flags: ${set}, data: ${JSON.stringify(text)}, err: ${why}`,
      { cause: error },
    );
  }
}

/** Many layers don't fit into a page of absolute paths: names relative to their common parent are shorter. */
function shortLowerdirs(options: readonly string[], data: readonly string[]): { cwd: string; data: string[] } | undefined {
  if (options.join(',').length < PAGE - SLACK) return undefined;
  const at = data.findIndex((option) => option.startsWith('lowerdir='));
  const dirs = data[at]?.slice('lowerdir='.length).split(':') ?? [];
  if (dirs.length === 0 || !dirs.every((dir) => dir.startsWith('/'))) return undefined;
  const cwd = commonParent(dirs);
  if (cwd === '/') return undefined;
  const short = [...data];
  short[at] = `lowerdir=${dirs.map((dir) => relative(cwd, dir) || '.').join(':')}`;
  return { cwd, data: short };
}

function commonParent(dirs: readonly string[]): string {
  const paths = dirs.map((dir) => dir.split('/').slice(0, -1));
  const [first = [], ...rest] = paths;
  let depth = 0;
  while (depth < first.length && rest.every((path) => path[depth] === first[depth])) depth++;
  return first.slice(0, depth).join('/') || '/';
}
