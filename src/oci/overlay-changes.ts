/** What an overlay's upper directory says was changed: nothing else need be read (Documentation/filesystems/overlayfs.rst). */
import { EMPTY, inside, type ByteString } from '../sys/byte-string.js';
import { getAttribute } from '../sys/index.js';
import { alike, type Change } from './changes.js';
import type { Tree } from './tree.js';

/** Files after which others get their turn. */
const BREATH = 100;
const OPAQUE = 'trusted.overlay.opaque';
const REDIRECT = 'trusted.overlay.redirect';

/** Where a directory of the upper one is as well: what is below it in the lower ones may be seen through it, or not at all. */
type Below = 'seen' | 'hidden' | 'none';

/**
 * Changes as `changes` gives them, from the lower directories to the overlay. What was written over by the same is taken as changed.
 *
 * @returns undefined where the kernel has noted moves of directories, for which both sides must be compared
 */
export async function overlayChanges(lower: Tree, upper: Tree): Promise<Change[] | undefined> {
  const found: Change[] = [];
  let count = 0;
  // No recursion, as a tree may be deeper than the stack.
  const waiting: { path: ByteString; below: Below }[] = [{ path: EMPTY, below: 'seen' }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { path: directory, below } = next;
    const names = upper.names(directory);
    for (const name of names) {
      if (++count % BREATH === 0) await new Promise(setImmediate);
      const path = inside(directory, name);
      const now = upper.stat(path);
      const old = below === 'none' ? undefined : lower.stat(path);
      if (now === undefined) continue;
      if (now.isCharacterDevice() && now.rdev === 0n) {
        if (old !== undefined) found.push({ path, kind: 'deleted' });
        continue;
      }
      if (!now.isDirectory()) {
        found.push({ path, kind: old === undefined ? 'added' : 'modified' });
        continue;
      }
      if (getAttribute(upper.on(path), REDIRECT) !== undefined) return undefined;
      const opaque = getAttribute(upper.on(path), OPAQUE)?.toString() === 'y';
      if (old === undefined) found.push({ path, kind: 'added' });
      else if (!old.isDirectory()) found.push({ path, kind: 'modified' });
      else found.push({ path, kind: alike(lower.on(path), old, upper.on(path), now) ? 'same' : 'modified' });
      waiting.push({ path, below: old?.isDirectory() !== true ? 'none' : opaque ? 'hidden' : 'seen' });
    }
    if (below !== 'hidden') continue;
    const there = new Set(names);
    for (const name of lower.names(directory))
      if (!there.has(name)) found.push({ path: inside(directory, name), kind: 'deleted' });
  }
  return found;
}
