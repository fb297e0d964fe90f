/** Files of a container's root file system, by the paths that they have in it. */
import { lstatSync, readFileSync, readlinkSync } from 'node:fs';
import { dirname, join, normalize, resolve } from 'node:path';

/** As many as the kernel follows. */
const MAX_LINKS = 40;

/**
 * The text of a file below a root; undefined when it is not there. Symbolic links lead to what they lead to inside of the
 * container: never out of the root.
 */
export function readInRoot(root: string, path: string): string | undefined {
  const found = resolveInRoot(root, path);
  return found !== undefined && lstatSync(found).isFile() ? readFileSync(found, 'utf8') : undefined;
}

function resolveInRoot(root: string, path: string): string | undefined {
  let at = '/';
  let links = 0;
  const words = normalize(`/${path}`).split('/').filter(Boolean);
  while (words.length > 0) {
    const next = resolve(at, words.shift()!);
    const stat = lstatSync(join(root, next), { throwIfNoEntry: false });
    if (stat === undefined) return undefined;
    if (stat.isSymbolicLink()) {
      if (++links > MAX_LINKS) return undefined;
      const target = resolve(dirname(next), readlinkSync(join(root, next)));
      words.unshift(...target.split('/').filter(Boolean));
      at = '/';
    } else at = next;
  }
  return join(root, at);
}
