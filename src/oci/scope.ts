import { readlinkSync } from 'node:fs';
import * as errdefs from '../api/errdefs.js';
import { baseOf, EMPTY, inside, parentOf, shown, type ByteString } from '../sys/byte-string.js';
import { Tree } from './tree.js';

const MAX_LINKS = 255;
/** Four times what the kernel takes for one path: enough for a tree that was made step by step, and no more memory than that. */
const MAX_NAME = 16 << 10;

/**
 * Paths inside a directory, as they would be if it were the root: links in it lead nowhere else. What is looked up lies still
 * meanwhile but for what its owner does, who says so to {@link forget}.
 */
export class Scope {
  readonly tree: Tree;
  /** Paths known to be directories and no links. */
  readonly #directories = new Set<string>(['']);

  constructor(root: string | Tree) {
    this.tree = typeof root === 'string' ? new Tree(root) : root;
  }

  /** A name from an archive as a path without `.`, `..` and slashes around it. One that leads out of the root is refused. */
  static clean(name: ByteString): ByteString {
    if (name.length > MAX_NAME)
      throw errdefs.invalidArgument(
        `the name ${shown(name)} has ${name.length} bytes, which is more than the ${MAX_NAME} that are followed`,
      );
    const words: string[] = [];
    for (const word of name.split('/')) {
      if (word === '..' && words.pop() === undefined)
        throw errdefs.invalidArgument(`${shown(name)} leads out of the root file system, and is not followed`);
      if (word !== '' && word !== '.' && word !== '..') words.push(word);
    }
    if (name.includes('\0')) throw errdefs.invalidArgument(`the name ${shown(name)} has a NUL in it`);
    return words.join('/') as ByteString;
  }

  /** Where a clean path leads when the links on its way are followed, not one at its end. What is not there has no links. */
  resolve(path: ByteString): ByteString {
    const parent = parentOf(path);
    return inside(this.#follow(parent === '' ? [] : (parent.split('/') as ByteString[])), baseOf(path));
  }

  /** Where a clean path leads when all links are followed, one at its end, too. */
  follow(path: ByteString): ByteString {
    return this.#follow(path === '' ? [] : (path.split('/') as ByteString[]));
  }

  /** The path on disk of one that was resolved, for one call. */
  on(path: ByteString): Buffer {
    return this.tree.on(path);
  }

  #follow(words: ByteString[]): ByteString {
    const whole = words.join('/') as ByteString;
    if (this.#directories.has(whole)) return whole;
    let links = 0;
    let reached = EMPTY;
    const rest = [...words];
    for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
      if (word === '' || word === '.') continue;
      if (word === '..') {
        // At the root it stays there, as in the kernel.
        reached = parentOf(reached);
        continue;
      }
      const next = inside(reached, word);
      if (!this.#directories.has(next)) {
        const stat = this.tree.stat(next);
        if (stat?.isSymbolicLink() === true) {
          if (++links > MAX_LINKS)
            throw errdefs.invalidArgument(`${shown(whole)} has too many levels of symbolic links`);
          const target = readlinkSync(this.tree.on(next), 'latin1');
          if (target.startsWith('/')) reached = EMPTY;
          rest.unshift(...(target.split('/') as ByteString[]));
          continue;
        }
        if (stat?.isDirectory() === true) this.#directories.add(next);
      }
      reached = next;
    }
    return reached;
  }

  /** Something that was there is no more. */
  forget(): void {
    this.#directories.clear();
    this.#directories.add('');
    this.tree.close();
  }
}
