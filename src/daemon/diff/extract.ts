/**
 * Unpacks one layer into a directory. System calls are made in place, as the round trips of asynchronous ones would be most of
 * the time; the event loop comes round with every chunk that is read.
 */
import { chmodSync, closeSync, constants, fchmodSync, fchownSync, lchownSync, linkSync, lstatSync, mkdirSync, openSync, readdirSync, rmSync, symlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { errdefs } from '../../api/full.js';
import { getAttribute, listAttributes, mknod, setAttribute, setTimes } from '../../sys/index.js';
import { timeOf } from './copy.js';
import { Scope } from './scope.js';
import { TarReader, type Entry } from '../../oci/tar-reader.js';

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
}

/** Unpacks a tar stream; all of it is read, also what comes behind the archive. */
export async function extract(chunks: AsyncIterable<Uint8Array>, root: string, options: ExtractOptions = {}): Promise<void> {
  const reader = new TarReader(chunks);
  const layer = new Extraction(root, options);
  for (let entry = await reader.next(); entry !== undefined; entry = await reader.next()) await layer.add(entry, reader);
  layer.finish();
  await reader.drain();
}

class Extraction {
  readonly #scope: Scope;
  /** What the layer has made, which its own whiteouts do not touch. */
  readonly #made = new Set<string>();
  /** Directories' times, which change with what is put into them. */
  readonly #times = new Map<string, Entry>();

  constructor(readonly root: string, readonly options: ExtractOptions) {
    this.#scope = new Scope(root);
  }

  async add(entry: Entry, reader: TarReader): Promise<void> {
    const path = this.#scope.resolve(Scope.clean(entry.name));
    const base = path.slice(path.lastIndexOf('/') + 1);
    const parent = path.slice(0, Math.max(0, path.lastIndexOf('/')));
    this.#makeParents(parent);
    if (base.startsWith(WHITEOUT)) {
      this.#whiteout(parent, base);
      return;
    }
    const target = this.#scope.on(path);
    const deleted = this.#clear(path, target, entry);
    await this.#make(entry, target, reader);
    // What is below in other layers was deleted by this one, before it made the directory anew.
    if (deleted && entry.type === 'directory') setAttribute(target, OVERLAY_OPAQUE, Buffer.from('y'));
    this.#made.add(path);
  }

  finish(): void {
    // The deepest first: nothing changes a directory once its time is set.
    for (const [path, entry] of [...this.#times].reverse()) {
      const target = this.#scope.on(path);
      if (lstatSync(target, { throwIfNoEntry: false })?.isDirectory() === true) setTimes(target, entry.accessed ?? entry.modified, entry.modified);
    }
  }

  /** Takes away what is in the way; true when that is an overlay's whiteout. A directory stays for one of the same name. */
  #clear(path: string, target: string, entry: Entry): boolean {
    const old = path === '' ? undefined : lstatSync(target, { throwIfNoEntry: false });
    if (entry.type === 'directory') this.#times.set(path, entry);
    if (old === undefined || (old.isDirectory() && entry.type === 'directory')) return false;
    rmSync(target, { recursive: true, force: true });
    if (old.isDirectory()) this.#scope.forget();
    return this.options.lowers !== undefined && old.isCharacterDevice() && old.rdev === 0;
  }

  async #make(entry: Entry, target: string, reader: TarReader): Promise<void> {
    switch (entry.type) {
      case 'file': {
        const fd = openSync(target, NEW_FILE, 0o600);
        try {
          for (let piece = await reader.body(); piece !== undefined; piece = await reader.body()) writeAll(fd, piece);
          fchownSync(fd, entry.uid, entry.gid);
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
        linkSync(this.#scope.on(this.#scope.resolve(Scope.clean(entry.linkname))), target);
        return;
      case 'directory':
        if (lstatSync(target, { throwIfNoEntry: false }) === undefined) mkdirSync(target, 0o700);
        break;
      case 'symlink': symlinkSync(entry.linkname, target); break;
      case 'character': mknod(target, S_IFCHR | 0o600, entry.major, entry.minor); break;
      case 'block': mknod(target, S_IFBLK | 0o600, entry.major, entry.minor); break;
      case 'fifo': mknod(target, S_IFIFO | 0o600, 0, 0); break;
    }
    // In this order: a change of owner takes set-id bits and capabilities away.
    lchownSync(target, entry.uid, entry.gid);
    this.#attributes(entry, target);
    if (entry.type !== 'symlink') chmodSync(target, entry.mode);
    if (entry.type !== 'directory') setTimes(target, entry.accessed ?? entry.modified, entry.modified);
  }

  #attributes(entry: Entry, target: string): void {
    for (const [name, value] of entry.attributes) {
      try {
        setAttribute(target, name, value);
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code !== 'ENOTSUP' && code !== 'EOPNOTSUPP') throw error;
        this.options.warn?.(`${entry.name}: this file system has no extended attribute ${name}`);
      }
    }
  }

  #makeParents(path: string): void {
    if (path === '' || this.#isDirectory(path)) return;
    const at = path.lastIndexOf('/');
    this.#makeParents(at === -1 ? '' : path.slice(0, at));
    const target = this.#scope.on(path);
    const like = this.options.lowers?.map((lower) => join(lower, path)).find((dir) => lstatSync(dir, { throwIfNoEntry: false })?.isDirectory() === true);
    mkdirSync(target, 0o755);
    if (like === undefined) {
      chmodSync(target, 0o755);
      return;
    }
    const { uid, gid, mode, atimeNs, mtimeNs } = lstatSync(like, { bigint: true });
    lchownSync(target, Number(uid), Number(gid));
    for (const name of listAttributes(like)) if (!name.startsWith(OVERLAY)) setAttribute(target, name, getAttribute(like, name) ?? Buffer.alloc(0));
    chmodSync(target, Number(mode) & 0o7777);
    this.#times.set(path, { accessed: timeOf(atimeNs), modified: timeOf(mtimeNs) } as Entry);
  }

  #isDirectory(path: string): boolean {
    const stat = lstatSync(this.#scope.on(path), { throwIfNoEntry: false });
    if (stat === undefined) return false;
    if (!stat.isDirectory()) throw errdefs.invalidArgument(`the layer has something in ${JSON.stringify(path)}, which is no directory`);
    return true;
  }

  #whiteout(parent: string, base: string): void {
    if (base === OPAQUE) {
      if (this.options.lowers === undefined) this.#empty(parent);
      else setAttribute(this.#scope.on(parent), OVERLAY_OPAQUE, Buffer.from('y'));
      return;
    }
    // Other names that begin so are marks of aufs for itself.
    if (base.startsWith(WHITEOUT + WHITEOUT)) return;
    const name = base.slice(WHITEOUT.length);
    if (name === '' || name === '.' || name === '..') throw errdefs.invalidArgument(`the layer deletes ${JSON.stringify(`${parent}/${name}`)}, which is no file`);
    const path = parent === '' ? name : `${parent}/${name}`;
    if (this.#made.has(path)) return;
    const target = this.#scope.on(path);
    rmSync(target, { recursive: true, force: true });
    this.#scope.forget();
    if (this.options.lowers !== undefined) mknod(target, S_IFCHR, 0, 0);
  }

  /** Removes what earlier layers have put into a directory. */
  #empty(path: string): void {
    for (const name of readdirSync(this.#scope.on(path))) {
      const child = path === '' ? name : `${path}/${name}`;
      const target = this.#scope.on(child);
      if (!this.#made.has(child)) rmSync(target, { recursive: true, force: true });
      else if (lstatSync(target).isDirectory()) this.#empty(child);
    }
    this.#scope.forget();
  }
}

function writeAll(fd: number, data: Buffer): void {
  for (let done = 0; done < data.length;) done += writeSync(fd, data, done);
}
