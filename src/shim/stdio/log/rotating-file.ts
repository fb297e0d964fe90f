/** A file that is appended to, and rotated by size: x.log becomes x.log.1, that x.log.2, and so on. */
import {
  close,
  closeSync,
  constants,
  fstat,
  fstatSync,
  open,
  openSync,
  promises,
  readSync,
  write,
  type Stats,
} from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { copyDescriptor } from '../../../sys/index.js';
import type { Changes } from '../../observe/changes.js';
import type { Found, Leaving, Sink } from '../../worker/leaving.js';

const [closeFile, statFile, openFile, writeFile] = [
  promisify(close),
  promisify(fstat),
  promisify(open),
  promisify(write),
];
const { O_APPEND, O_CREAT, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;

/** How near to its limit a file is ended at a line's end already, so that lines of up to this are never cut in two. */
const NEAR = 16 * 1024;
/** How soon a rotation that failed is tried again. */
const RETRY_MS = 1000;
const NEWLINE = 0x0a;
/**
 * File systems (statfs(2), f_type) that no server stands behind, who may be away: bcachefs, btrfs, ext2 to ext4, f2fs, overlayfs, ramfs, tmpfs, xfs,
 * zfs.
 */
const LOCAL: ReadonlySet<number> = new Set([
  0xca451a4e, 0x9123683e, 0xef53, 0xf2f52010, 0x794c7630, 0x858458f6, 0x01021994, 0x58465342, 0x2fc12fc1,
]);

/** What a worker that rests leaves of a file. */
export interface RestingFile {
  /** Of the descriptor, in the list that goes with it. */
  readonly place: number;
  readonly dev: number;
  readonly ino: number;
  readonly size: number;
  readonly rotates: boolean;
  readonly isPrompt: boolean;
  readonly isLineOpen: boolean;
}

export class RotatingFile {
  #fd: number | undefined;
  #identity: Pick<Stats, 'dev' | 'ino'> = { dev: 0, ino: 0 };
  #size = 0;
  #rotates = false;
  /** Who writes to it need not expect to wait long: it is a file on a disk of this machine. */
  #isPrompt = false;
  /** What was written last is no whole line. */
  #lineOpen = false;
  /** What somebody has left unfinished is to be ended first. */
  #isTorn = false;
  #rotateAgainAt = 0;

  /**
   * @param maxSize in bytes; undefined: never rotated
   * @param keepsLines a line stands in one file, whole, however long it is, and alone: it is an entry of a log
   * @param changes told when another file is open than before: somebody else may have that one open, too
   */
  constructor(
    readonly path: string,
    private readonly maxSize: number | undefined,
    private readonly maxFiles: number,
    private readonly warn: (text: string) => void,
    private readonly changes?: Pick<Changes, 'note'>,
    private readonly keepsLines = false,
  ) {}

  get size(): number {
    return this.#size;
  }

  /** Opens it, also anew by its path: what was there may have been moved, replaced, or mounted over. */
  async open(): Promise<void> {
    await promises.mkdir(dirname(this.path), { recursive: true, mode: 0o755 });
    const fd = await openFile(this.path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK, 0o644);
    const stat = await statFile(fd);
    this.#isPrompt = stat.isFile() && (await isLocal(fd));
    const old = this.#fd;
    // What is still to come may be the rest of what was begun there.
    const goesOn =
      this.keepsLines && this.#lineOpen && stat.dev === this.#identity.dev && stat.ino === this.#identity.ino;
    [this.#fd, this.#identity, this.#size, this.#lineOpen] = [fd, stat, stat.size, goesOn];
    this.#isTorn = this.keepsLines && !goesOn && stat.isFile() && stat.size > 0 && !endsWithLine(fd);
    // A device or a FIFO is not for renaming.
    this.#rotates = stat.isFile() && this.maxSize !== undefined;
    if (old === undefined) return;
    this.changes?.note();
    await closeFile(old);
  }

  /** Writes some of these bytes, rotating before when need be; gives the number. Throws what the file system says. */
  async write(bytes: Uint8Array, from: number, to: number): Promise<number> {
    let end = this.#endWithin(bytes, from, to);
    if (end === from) {
      await this.#rotate();
      end = this.#endWithin(bytes, from, to);
    }
    if (this.#isTorn) {
      this.#size += (await writeFile(this.#fd!, '\n')).bytesWritten;
      this.#isTorn = false;
    }
    const { bytesWritten } = await writeFile(this.#fd!, bytes, from, end - from);
    this.#size += bytesWritten;
    if (bytesWritten > 0) this.#lineOpen = bytes[from + bytesWritten - 1] !== NEWLINE;
    return bytesWritten;
  }

  /** A descriptor of the file as it is open now, which is the caller's. Undefined when it is closed. */
  copy(): number | undefined {
    return this.#fd === undefined ? undefined : copyDescriptor(this.#fd);
  }

  /** Somebody has written so many bytes by a copy of the descriptor. */
  grew(bytes: number): void {
    this.#size += bytes;
  }

  /** While nobody saw it, so many bytes were written by a copy of the descriptor, or made into entries. */
  grewUnseen(bytes: number): void {
    if (bytes === 0) return;
    if (this.keepsLines) {
      this.measure();
      return;
    }
    this.#size += bytes;
    this.#lineOpen = this.#rotates && !endsWithLine(this.#fd!);
  }

  /** Somebody has written entries by a copy of the descriptor, and nobody knows how long they are. The last one may want its end, which is to come next. */
  measure(): void {
    this.#size = fstatSync(this.#fd!).size;
    this.#lineOpen = this.#size > 0 && !endsWithLine(this.#fd!);
  }

  /** Leaves it to another process. @throws CannotRest */
  rest(leaving: Leaving): RestingFile {
    if (this.#rotateAgainAt !== 0) leaving.underWay(`${this.path} cannot be rotated for now`);
    const { dev, ino } = this.#identity;
    return {
      place: leaving.keep(this.#fd!),
      dev,
      ino,
      size: this.#size,
      rotates: this.#rotates,
      isPrompt: this.#isPrompt,
      isLineOpen: this.#lineOpen,
    };
  }

  /** What may be written to it without a look at lines, by so many at once, and by who has better things to do than to wait. */
  sinkOf({ place }: RestingFile, writers: number): Sink {
    if (!this.#isPrompt) return { place, most: 0 };
    if (!this.#rotates) return { place };
    return { place, most: Math.max(0, Math.floor((this.maxSize! - this.#size - near(this.maxSize!)) / writers)) };
  }

  /**
   * Goes on with what another process has left.
   *
   * @param isSudden it may have been in the middle of a line, whose end never comes
   */
  resume({ place, dev, ino, size, rotates, isPrompt, isLineOpen }: RestingFile, found: Found, isSudden = false): void {
    this.#fd = found.fd(place);
    this.#identity = { dev, ino };
    [this.#size, this.#rotates, this.#isPrompt, this.#lineOpen] = [size, rotates, isPrompt, isLineOpen];
    if (!this.keepsLines || !isSudden) return;
    this.measure();
    [this.#isTorn, this.#lineOpen] = [this.#lineOpen, false];
  }

  async close(): Promise<void> {
    const fd = this.#fd;
    this.#fd = undefined;
    if (fd === undefined) return;
    this.changes?.note();
    await closeFile(fd);
  }

  /** Where to stop writing into the file as it is; `from` itself when what comes belongs into the next. */
  #endWithin(bytes: Uint8Array, from: number, to: number): number {
    if (!this.#rotates || Date.now() < this.#rotateAgainAt) return to;
    const maxSize = this.maxSize!;
    const room = maxSize - this.#size;
    if (to - from + near(maxSize) <= room) return to;
    const limit = Math.min(to, from + Math.max(room, 0));
    const newline = limit > from ? bytes.lastIndexOf(NEWLINE, limit - 1) : -1;
    if (newline >= from) return newline + 1;
    if (this.keepsLines) return this.#lineOpen || this.#size === 0 ? lineEnd(bytes, from, to) : from;
    // No line ends here: a new one belongs into the next file, one that has begun is cut where the file is full.
    return this.#lineOpen || this.#size === 0 ? limit : from;
  }

  /** A file that cannot be rotated grows on: nothing is lost for that. */
  async #rotate(): Promise<void> {
    try {
      await this.#moveAway();
      await this.open();
    } catch (error) {
      if (this.#rotateAgainAt === 0)
        this.warn(`${this.path} cannot be rotated, and grows on: ${(error as Error).message}`);
      this.#rotateAgainAt = Date.now() + RETRY_MS;
      return;
    }
    this.#rotateAgainAt = 0;
  }

  /** Each step is one rename, the oldest first, so that a crash in between loses no file; the oldest is replaced. */
  async #moveAway(): Promise<void> {
    const found = await unlessMissing(promises.stat(this.path));
    // Somebody else has rotated it.
    if (found?.dev !== this.#identity.dev || found.ino !== this.#identity.ino) return;
    const older = (n: number): string => (n === 0 ? this.path : `${this.path}.${n}`);
    // More may have been kept before.
    for (let n = this.maxFiles; await unlessMissing(promises.unlink(older(n)).then(() => true)); n++);
    for (let n = this.maxFiles - 2; n >= 0; n--) await unlessMissing(promises.rename(older(n), older(n + 1)));
    if (this.maxFiles === 1) await promises.unlink(this.path);
  }
}

function lineEnd(bytes: Uint8Array, from: number, to: number): number {
  const newline = bytes.indexOf(NEWLINE, from);
  return newline === -1 || newline >= to ? to : newline + 1;
}

/** How many bytes before its limit a file is looked at line by line. */
function near(maxSize: number): number {
  return Math.min(NEAR, Math.floor(maxSize / 8));
}

/** False where that cannot be known. */
async function isLocal(fd: number): Promise<boolean> {
  try {
    return LOCAL.has((await promises.statfs(`/proc/self/fd/${fd}`)).type);
  } catch (error) {
    if (error instanceof Error && 'code' in error) return false;
    throw error;
  }
}

/** False, too, where that cannot be known: a line that has begun is cut where the file is full. */
function endsWithLine(fd: number): boolean {
  let readable: number | undefined;
  try {
    readable = openSync(`/proc/self/fd/${fd}`, O_RDONLY | O_NONBLOCK);
    const last = Buffer.alloc(1);
    return readSync(readable, last, 0, 1, fstatSync(readable).size - 1) === 1 && last[0] === NEWLINE;
  } catch (error) {
    if (error instanceof Error && 'code' in error) return false;
    throw error;
  } finally {
    if (readable !== undefined) closeSync(readable);
  }
}

async function unlessMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
