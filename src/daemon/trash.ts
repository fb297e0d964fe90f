import { randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, renameSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree } from '../oci/remove-tree.js';
import { settleAll } from './settle.js';
import { Gate } from './shims/gate.js';

/** Removals under way: they take their time on the disk, and there are few threads for it. */
const AT_ONCE = 4;

/**
 * Where files and directories go that are to be removed. A removal takes time, and meanwhile its name may be needed again, or what
 * it was decided by may have changed. So it is two steps: {@link take} moves away in one system call, which can be done in the
 * same turn as the decision; what follows happens under a name that nobody else has.
 */
export class Trash {
  readonly #gate = new Gate(AT_ONCE);
  readonly #removals = new Map<string, Promise<void>>();

  /** @param dir its own, on the file system of all that it takes; made here */
  constructor(readonly dir: string) {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
  }

  /**
   * Takes a file or directory from where it is, at once; nothing, if it is not there.
   *
   * @returns removes it for good; what is not removed so is by {@link empty}
   */
  take(path: string): () => Promise<void> {
    const taken = join(this.dir, randomUUID());
    try {
      renameSync(path, taken);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      return () => Promise.resolve();
    }
    return () => this.#remove(taken);
  }

  /** Removes all that was taken, by an earlier process too. One that cannot be removed does not keep the others; it is thrown at the end. */
  async empty(): Promise<void> {
    await settleAll(readdirSync(this.dir).map((name) => this.#remove(join(this.dir, name))));
  }

  #remove(path: string): Promise<void> {
    const known = this.#removals.get(path);
    if (known !== undefined) return known;
    const removal = this.#gate.run(() => removed(path)).finally(() => this.#removals.delete(path));
    this.#removals.set(path, removal);
    return removal;
  }
}

/** Node's own removal does not hold the daemon up, and fails where a path is longer than the kernel takes. */
async function removed(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
  } catch {
    // The second way meets what the first met, if it was anything else.
    await removeTree(path);
  }
}
