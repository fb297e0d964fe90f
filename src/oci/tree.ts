import { closeSync, constants, lstatSync, openSync, readdirSync, type BigIntStats } from 'node:fs';
import { HeldDirectories } from './held.js';
import { fromBytes, shown, toBytes, type ByteString } from '../sys/byte-string.js';

/** A path for the kernel has so many bytes, and a NUL (PATH_MAX). */
const MAX_PATH = 4095;
/** Where a longer path is parted; what is behind a part has room for one more name. */
const STEP = 2048;
/** Descriptors that are kept for the next call. */
const MAX_HELD = 16;
/** open(2): for a place in the tree, and not for what is in it. Node has no name for it. */
export const O_PATH = 0o10000000;

/**
 * Paths below a directory, as system calls take them: bytes, and never longer than the kernel allows. A container can make deeper
 * trees, step by step; what lies deep in one is reached from a descriptor of a directory on its way.
 */
export class Tree {
  readonly #root: ByteString;
  readonly #held = new HeldDirectories(MAX_HELD);

  constructor(root: string | Buffer) {
    this.#root = fromBytes(Buffer.from(root));
  }

  /** A path on disk, for one call: not to be kept. The path in the tree has no symbolic links on its way, and the empty one is the root. */
  on(path: ByteString): Buffer {
    if (path === '') return toBytes(this.#root);
    if (this.#root.length + 1 + path.length <= MAX_PATH) return toBytes(`${this.#root}/${path}` as ByteString);
    const at = partOf(path, Math.floor((path.length - 1) / STEP));
    // One name that is as long is for the kernel to refuse.
    if (at <= 0) return toBytes(`${this.#root}/${path}` as ByteString);
    const part = path.slice(0, at) as ByteString;
    const fd = this.#held.hold(part, () => this.#open(part));
    return toBytes(`/proc/self/fd/${fd}${path.slice(at)}` as ByteString);
  }

  /** What is at a path, as lstat(2) has it; undefined where nothing is, or what should be a directory on its way is none. */
  stat(path: ByteString): BigIntStats | undefined {
    try {
      return lstatSync(this.on(path), { bigint: true, throwIfNoEntry: false });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
      throw error;
    }
  }

  /** What a directory has, in no order. */
  names(path: ByteString): ByteString[] {
    return readdirSync(this.on(path), 'latin1') as ByteString[];
  }

  /** Lets go of all descriptors; also before a directory that was asked for becomes another. */
  close(): void {
    this.#held.close();
  }

  /** Opens a directory part by part. */
  #open(directory: ByteString): number {
    let fd: number | undefined;
    for (let [from, n] = [0, 1]; from < directory.length; n++) {
      const to = n * STEP < directory.length ? partOf(directory, n) : directory.length;
      if (to <= from)
        throw Object.assign(new Error(`${shown(directory)} has a name that is too long`), { code: 'ENAMETOOLONG' });
      const before = fd;
      try {
        fd = openSync(
          toBytes(
            `${before === undefined ? this.#root : `/proc/self/fd/${before}`}/${directory.slice(from, to)}` as ByteString,
          ),
          O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW,
        );
      } finally {
        if (before !== undefined) closeSync(before);
      }
      from = to + 1;
    }
    return fd!;
  }
}

/** Where the n-th part of a path ends: at the last slash that stands before so many steps. */
function partOf(path: ByteString, n: number): number {
  return path.lastIndexOf('/', n * STEP);
}

/** Does something with a tree, or with one below a directory, and lets go of it. */
export async function withTree<R>(root: string | Buffer | Tree, work: (tree: Tree) => Promise<R>): Promise<R> {
  const tree = root instanceof Tree ? root : new Tree(root);
  try {
    return await work(tree);
  } finally {
    tree.close();
  }
}
