import { lstatSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { errdefs } from '../../api/full.js';

const MAX_LINKS = 255;

/**
 * Paths inside a directory, as they would be if it were the root: links in it lead nowhere else. What is looked up lies still
 * meanwhile but for what its owner does, who says so to {@link forget}.
 */
export class Scope {
  /** Paths known to be directories and no links. */
  readonly #directories = new Set<string>(['']);

  constructor(readonly root: string) {}

  /** A name from an archive as a path without `.`, `..` and slashes around it. One that leads out of the root is refused. */
  static clean(name: string): string {
    const words: string[] = [];
    for (const word of name.split('/')) {
      if (word === '..' && words.pop() === undefined) throw errdefs.invalidArgument(`${JSON.stringify(name)} leads out of the root file system, and is not followed`);
      if (word !== '' && word !== '.' && word !== '..') words.push(word);
    }
    if (name.includes('\0')) throw errdefs.invalidArgument(`the name ${JSON.stringify(name)} has a NUL in it`);
    return words.join('/');
  }

  /** Where a clean path leads when the links on its way are followed, not one at its end. What is not there has no links. */
  resolve(path: string): string {
    const at = path.lastIndexOf('/');
    const base = path.slice(at + 1);
    const parent = this.#follow(at === -1 ? [] : path.slice(0, at).split('/'));
    return parent === '' ? base : `${parent}/${base}`;
  }

  /** The path on disk of one that was resolved. */
  on(path: string): string {
    return path === '' ? this.root : join(this.root, path);
  }

  #follow(words: string[]): string {
    const whole = words.join('/');
    if (this.#directories.has(whole)) return whole;
    let links = 0;
    let reached = '';
    const rest = [...words];
    for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
      if (word === '' || word === '.') continue;
      if (word === '..') {
        // At the root it stays there, as in the kernel.
        reached = reached.slice(0, Math.max(0, reached.lastIndexOf('/')));
        continue;
      }
      const next = reached === '' ? word : `${reached}/${word}`;
      if (!this.#directories.has(next)) {
        const stat = lstatSync(join(this.root, next), { throwIfNoEntry: false });
        if (stat?.isSymbolicLink() === true) {
          if (++links > MAX_LINKS) throw errdefs.invalidArgument(`${JSON.stringify(whole)} has too many levels of symbolic links`);
          const target = readlinkSync(join(this.root, next));
          if (target.startsWith('/')) reached = '';
          rest.unshift(...target.split('/'));
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
  }
}
