/** Where in a rootfs something is mounted: never outside of it, whatever links lie in the image. */
import { lstatSync, mkdirSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Mount } from '../record/mount.js';

/** As many as the kernel follows for containerd's own code. */
const MAX_LINKS = 255;

/**
 * The place for a mount, made when it is not there: a file where a file is bound, else a directory. Links are followed as
 * the container would follow them: the rootfs is the root, and its parent too.
 */
export function targetOf(
  rootfs: string,
  { target, source, options }: Pick<Mount, 'target' | 'source' | 'options'>,
): string {
  if (!target) return rootfs;
  const path = resolveInside(rootfs, target);
  if (lstatSync(path, { throwIfNoEntry: false })) return path;
  const bind = options.includes('bind') || options.includes('rbind');
  if (bind && statSync(source, { throwIfNoEntry: false })?.isDirectory() === false) {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    writeFileSync(path, '', { mode: 0o644, flag: 'wx' });
  } else mkdirSync(path, { recursive: true, mode: 0o711 });
  return path;
}

/** A path without links in it. */
function resolveInside(root: string, target: string): string {
  const left = target.split('/');
  let at: string[] = [];
  for (let links = 0; left.length > 0;) {
    const part = left.shift()!;
    if (part === '' || part === '.') continue;
    if (part === '..') {
      at.pop();
      continue;
    }
    const path = join(root, ...at, part);
    if (!lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()) {
      at.push(part);
      continue;
    }
    if (++links > MAX_LINKS)
      throw new Error(`mount target ${JSON.stringify(target)} goes through more than ${MAX_LINKS} links`);
    const link = readlinkSync(path);
    if (link.startsWith('/')) at = [];
    left.unshift(...link.split('/'));
  }
  return join(root, ...at);
}
