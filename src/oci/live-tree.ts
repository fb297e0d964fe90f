/** Paths below a directory that others may be changing, such as a running container's root: no link leads out of it, whenever it is put there. */
import { constants, openSync, realpathSync } from 'node:fs';
import { baseOf, EMPTY, inside, parentOf, toBytes, type ByteString } from '../sys/byte-string.js';
import { HeldDirectories } from './held.js';
import { O_PATH, Tree } from './tree.js';

const STEP = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;
/** Descriptors of directories that are kept for the next call. */
const MAX_HELD = 64;

/**
 * Each directory on the way is opened from the one above it, by its name alone and following no link; a path on disk is the descriptor
 * of the last one and a name. What is swapped for a link meanwhile makes the call fail, or is the link itself for calls that follow none
 * at a path's end: others must not be made.
 */
export class LiveTree extends Tree {
  readonly #held = new HeldDirectories(MAX_HELD);

  /**
   * @param root a descriptor (O_PATH), which stays the caller's
   * @param mounts what lies elsewhere, by its path in the tree: a directory or file of this machine's
   */
  constructor(
    readonly root: number,
    private readonly mounts: ReadonlyMap<ByteString, string> = new Map(),
  ) {
    super(`/proc/self/fd/${root}/.`);
  }

  override on(path: ByteString): Buffer {
    if (path === '' || this.mounts.has(path)) return this.#mountPoint(path);
    return toBytes(`/proc/self/fd/${this.#directory(parentOf(path))}/${baseOf(path)}` as ByteString);
  }

  /** With what is mounted in it, also where nothing was made to mount it on. */
  override names(path: ByteString): ByteString[] {
    const mounted = [...this.mounts.keys()].filter((one) => one !== '' && parentOf(one) === path).map(baseOf);
    return [...new Set([...super.names(path), ...mounted])];
  }

  override close(): void {
    super.close();
    this.#held.close();
  }

  /** A directory mounted there is meant with all below it, a file is named by where it lies. */
  #mountPoint(path: ByteString): Buffer {
    const source = this.mounts.get(path);
    if (source === undefined) return Buffer.from(`/proc/self/fd/${this.root}/.`);
    try {
      return Buffer.from(`/proc/self/fd/${this.#directory(path)}/.`);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOTDIR') throw error;
      return Buffer.from(realpathSync(source));
    }
  }

  #directory(path: ByteString): number {
    const mounted = this.mounts.get(path);
    if (path === '' && mounted === undefined) return this.root;
    return this.#held.hold(path, () => {
      if (mounted !== undefined) return openSync(mounted, O_PATH | constants.O_DIRECTORY);
      return openSync(toBytes(`/proc/self/fd/${this.#above(path)}/${baseOf(path)}` as ByteString), STEP);
    });
  }

  /** The directory above, reached in steps from the deepest one that is open: no recursion, as a tree may be deeper than the stack. */
  #above(path: ByteString): number {
    const parent = parentOf(path);
    let at = parent;
    while (at !== '' && !this.#held.has(at) && !this.mounts.has(at)) at = parentOf(at);
    for (const word of parent.slice(at.length).split('/').filter(Boolean)) {
      this.#directory(at);
      at = inside(at, word as ByteString);
    }
    return at === EMPTY ? this.root : this.#directory(at);
  }
}
