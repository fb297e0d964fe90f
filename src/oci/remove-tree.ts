import { lstatSync, readdirSync, rmdirSync, unlinkSync } from 'node:fs';
import { EMPTY, inside, type ByteString } from '../sys/byte-string.js';
import { withTree, type Tree } from './tree.js';

/** Files after which others get their turn. */
const BREATH = 100;

/** Removes a path of a tree, and all below it. That it is not there is no error. Node's own rm() fails where a path is longer than the kernel takes. */
export async function remove(tree: Tree, path: ByteString): Promise<void> {
  // No recursion, as a tree may be deeper than the stack.
  const open: { path: ByteString; names: string[] }[] = [];
  let count = 0;
  const enter = (one: ByteString): void => {
    const stat = lstatSync(tree.on(one), { throwIfNoEntry: false });
    if (stat?.isDirectory() === true) open.push({ path: one, names: readdirSync(tree.on(one), 'latin1') });
    else if (stat !== undefined) unlinkSync(tree.on(one));
  };
  enter(path);
  for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
    if (++count % BREATH === 0) await new Promise(setImmediate);
    const name = top.names.pop();
    if (name !== undefined) {
      enter(inside(top.path, name as ByteString));
      continue;
    }
    rmdirSync(tree.on(top.path));
    open.pop();
  }
}

/** Removes a directory, or whatever is there, with all below it. */
export function removeTree(path: string): Promise<void> {
  return withTree(path, (tree) => remove(tree, EMPTY));
}
