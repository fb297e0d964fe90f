/**
 * Unpacks one layer into a directory. System calls are made in place, as the round trips of asynchronous ones would be most of
 * the time; the event loop comes round with every chunk that is read.
 */
import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  ftruncateSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import * as errdefs from '../api/errdefs.js';
import { baseOf, EMPTY, inside, parentOf, shown, toBytes, type ByteString } from '../sys/byte-string.js';
import { getAttribute, listAttributes, mknod, setAttribute, setTimes } from '../sys/index.js';
import { timeOf } from './copy-tree.js';
import { remove } from './remove-tree.js';
import { Scope } from './scope.js';
import { O_PATH, Tree } from './tree.js';
import { TarReader, type Entry, type Piece } from './tar-reader.js';

const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';
/** overlayfs's own attributes (Documentation/filesystems/overlayfs.rst). */
const OVERLAY = 'trusted.overlay.';
const OVERLAY_OPAQUE = `${OVERLAY}opaque`;
const S_IFIFO = 0o010000;
const S_IFCHR = 0o020000;
const S_IFBLK = 0o060000;
const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

export interface ExtractOptions {
  /**
   * What the directory is the upper one of: then what a layer deletes is marked as overlayfs marks it, and directories that
   * the layer only passes through are made like these have them. Without it what is deleted goes.
   */
  readonly lowers?: readonly string[] | undefined;
  /** Told of what could not be set, which is not worth failing for. */
  readonly warn?: (text: string) => void;
  /** Files of any archive, not a layer: what begins with `.wh.` is a file, and the archive's own root stays as it is. */
  readonly plain?: boolean;
  /** Where in the directory the archive is unpacked: links still lead to where they do from the directory itself. */
  readonly below?: ByteString;
  /** Directories stay directories, and all else takes no directory's place, as `docker cp` has it. */
  readonly sameKinds?: boolean;
  /** Whose the files become: the archive's owners unless given, `mine` is of whoever unpacks. */
  readonly owner?: 'mine' | { readonly uid: number; readonly gid: number } | undefined;
}

/** Unpacks a tar stream into a directory; all of it is read, also what comes behind the archive. */
export async function extract(
  chunks: AsyncIterable<Uint8Array>,
  root: string | Tree,
  options: ExtractOptions = {},
): Promise<void> {
  const reader = new TarReader(chunks);
  const layer = new Extraction(root, options);
  try {
    for (let entry = await reader.next(); entry !== undefined; entry = await reader.next()) {
      try {
        await layer.add(entry, reader);
      } catch (error) {
        if (error instanceof Error) error.message = `entry ${shown(entry.name)}: ${error.message}`;
        throw error;
      }
    }
    layer.finish();
  } finally {
    layer.close();
  }
  await reader.drain();
}

class Extraction {
  readonly #scope: Scope;
  /** What the layer has made, which its own whiteouts do not touch. */
  readonly #made = new Set<ByteString>();
  /** Directories' times, which change with what is put into them. */
  readonly #times = new Map<ByteString, Pick<Entry, 'accessed' | 'modified'>>();
  readonly #lowers: readonly Tree[];

  constructor(
    root: string | Tree,
    readonly options: ExtractOptions,
  ) {
    this.#scope = new Scope(root);
    this.#lowers = (options.lowers ?? []).map((lower) => new Tree(lower));
  }

  async add(entry: Entry, reader: TarReader): Promise<void> {
    const { below = EMPTY, plain = false } = this.options;
    const path = this.#pathOf(entry.name);
    const base = baseOf(path);
    const parent = parentOf(path);
    if (plain && path === below) return;
    this.#makeParents(parent);
    if (base.startsWith(WHITEOUT) && !plain) {
      await this.#whiteout(parent, base);
      return;
    }
    const deleted = await this.#clear(path, entry);
    await this.#make(entry, path, reader);
    // What is below in other layers was deleted by this one, before it made the directory anew.
    if (deleted && entry.type === 'directory') setAttribute(this.#scope.on(path), OVERLAY_OPAQUE, Buffer.from('y'));
    this.#made.add(path);
  }

  /** A name of the archive's as a path in the directory. */
  #pathOf(name: ByteString): ByteString {
    const clean = Scope.clean(name);
    const { below = EMPTY } = this.options;
    return clean === '' ? below : this.#scope.resolve(inside(below, clean));
  }

  finish(): void {
    // The deepest first: nothing changes a directory once its time is set.
    for (const [path, entry] of [...this.#times].reverse()) {
      if (this.#scope.tree.stat(path)?.isDirectory() === true)
        setTimes(this.#scope.on(path), entry.accessed ?? entry.modified, entry.modified);
    }
  }

  close(): void {
    this.#scope.tree.close();
    for (const lower of this.#lowers) lower.close();
  }

  /** Takes away what is in the way; true when that is an overlay's whiteout. A directory stays for one of the same name. */
  async #clear(path: ByteString, entry: Entry): Promise<boolean> {
    const old = path === '' ? undefined : this.#scope.tree.stat(path);
    if (entry.type === 'directory') this.#times.set(path, entry);
    if (old === undefined || (old.isDirectory() && entry.type === 'directory')) return false;
    if (this.options.sameKinds === true && old.isDirectory())
      throw errdefs.failedPrecondition(`a ${entry.type} cannot take the place of a directory`);
    if (this.options.sameKinds === true && entry.type === 'directory')
      throw errdefs.failedPrecondition('a directory cannot take the place of what is none');
    await remove(this.#scope.tree, path);
    if (old.isDirectory()) this.#scope.forget();
    return this.options.lowers !== undefined && old.isCharacterDevice() && old.rdev === 0n;
  }

  async #make(entry: Entry, path: ByteString, reader: TarReader): Promise<void> {
    const target = this.#scope.on(path);
    switch (entry.type) {
      case 'file': {
        const fd = openSync(target, NEW_FILE, 0o600);
        try {
          let end = 0;
          for (let piece = await reader.piece(); piece !== undefined; piece = await reader.piece())
            end = writeAll(fd, piece);
          // A hole at the end.
          if (end < entry.size) ftruncateSync(fd, entry.size);
          this.#own(entry, (uid, gid) => fchownSync(fd, uid, gid));
          this.#attributes(entry, target);
          fchmodSync(fd, entry.mode);
        } finally {
          closeSync(fd);
        }
        setTimes(target, entry.accessed ?? entry.modified, entry.modified);
        return;
      }
      case 'link':
        // Its inode has all else already.
        linkSync(this.#scope.on(this.#pathOf(entry.linkname)), this.#scope.on(path));
        return;
      case 'directory':
        if (lstatSync(target, { throwIfNoEntry: false }) === undefined) mkdirSync(target, 0o700);
        break;
      case 'symlink':
        symlinkSync(toBytes(entry.linkname), target);
        break;
      case 'character':
        mknod(target, S_IFCHR | 0o600, entry.major, entry.minor);
        break;
      case 'block':
        mknod(target, S_IFBLK | 0o600, entry.major, entry.minor);
        break;
      case 'fifo':
        mknod(target, S_IFIFO | 0o600, 0, 0);
        break;
    }
    // In this order: a change of owner takes set-id bits and capabilities away.
    this.#own(entry, (uid, gid) => lchownSync(target, uid, gid));
    this.#attributes(entry, target);
    if (entry.type !== 'symlink') setMode(target, entry.mode);
    if (entry.type !== 'directory') setTimes(target, entry.accessed ?? entry.modified, entry.modified);
  }

  #own({ uid, gid }: Entry, set: (uid: number, gid: number) => void): void {
    const { owner } = this.options;
    if (owner === undefined) set(uid, gid);
    else if (owner !== 'mine') set(owner.uid, owner.gid);
  }

  #attributes(entry: Entry, target: Buffer): void {
    for (const [name, value] of entry.attributes) {
      try {
        setAttribute(target, name, value);
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        // The kernel lets only files and directories have attributes of users (xattr(7)).
        const notFor =
          code === 'EPERM' && name.startsWith('user.') && entry.type !== 'file' && entry.type !== 'directory';
        if (code !== 'ENOTSUP' && code !== 'EOPNOTSUPP' && !notFor) throw error;
        this.options.warn?.(
          `${shown(entry.name)}: this ${notFor ? entry.type : 'file system'} has no extended attribute ${shown(name)}`,
        );
      }
    }
  }

  #makeParents(path: ByteString): void {
    const missing = [];
    for (let parent = path; parent !== '' && !this.#isDirectory(parent); parent = parentOf(parent))
      missing.push(parent);
    for (const parent of missing.reverse()) this.#makeParent(parent);
  }

  #makeParent(path: ByteString): void {
    const like = this.#lowers
      .map((lower) => ({ lower, stat: lower.stat(path) }))
      .find(({ stat }) => stat?.isDirectory() === true);
    const target = this.#scope.on(path);
    mkdirSync(target, 0o755);
    if (like?.stat === undefined) {
      setMode(target, 0o755);
      return;
    }
    const {
      lower,
      stat: { uid, gid, mode, atimeNs, mtimeNs },
    } = like;
    lchownSync(target, Number(uid), Number(gid));
    const source = lower.on(path);
    for (const name of listAttributes(source))
      if (!name.startsWith(OVERLAY)) setAttribute(target, name, getAttribute(source, name) ?? Buffer.alloc(0));
    setMode(target, Number(mode) & 0o7777);
    this.#times.set(path, { accessed: timeOf(atimeNs), modified: timeOf(mtimeNs) });
  }

  #isDirectory(path: ByteString): boolean {
    const stat = this.#scope.tree.stat(path);
    if (stat === undefined) return false;
    if (!stat.isDirectory())
      throw errdefs.invalidArgument(
        `the ${this.options.plain === true ? 'archive' : 'layer'} has something in ${shown(path)}, which is no directory`,
      );
    return true;
  }

  async #whiteout(parent: ByteString, base: ByteString): Promise<void> {
    if (base === OPAQUE) {
      if (this.options.lowers === undefined) await this.#empty(parent);
      else setAttribute(this.#scope.on(parent), OVERLAY_OPAQUE, Buffer.from('y'));
      return;
    }
    // Other names that begin so are marks of aufs for itself.
    if (base.startsWith(WHITEOUT + WHITEOUT)) return;
    const name = base.slice(WHITEOUT.length) as ByteString;
    if (name === '' || name === '.' || name === '..')
      throw errdefs.invalidArgument(`the layer deletes ${shown(`${parent}/${name}` as ByteString)}, which is no file`);
    const path = inside(parent, name);
    if (this.#made.has(path)) return;
    await remove(this.#scope.tree, path);
    this.#scope.forget();
    if (this.options.lowers !== undefined) mknod(this.#scope.on(path), S_IFCHR, 0, 0);
  }

  /** Removes what earlier layers have put into a directory. */
  async #empty(path: ByteString): Promise<void> {
    for (const name of readdirSync(this.#scope.on(path), 'latin1') as ByteString[]) {
      const child = inside(path, name);
      if (!this.#made.has(child)) await remove(this.#scope.tree, child);
      else if (lstatSync(this.#scope.on(child)).isDirectory()) await this.#empty(child);
    }
    this.#scope.forget();
  }
}

/** chmod(2) of what is no link, and of no link's target that somebody puts there meanwhile. */
function setMode(path: Buffer, mode: number): void {
  const fd = openSync(path, O_PATH | constants.O_NOFOLLOW);
  try {
    chmodSync(`/proc/self/fd/${fd}`, mode);
  } finally {
    closeSync(fd);
  }
}

/** Gives where in the file the piece ends. */
function writeAll(fd: number, { at, data }: Piece): number {
  for (let done = 0; done < data.length;) done += writeSync(fd, data, done, data.length - done, at + done);
  return at + data.length;
}
