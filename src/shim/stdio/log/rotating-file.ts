/** A file that is appended to, and rotated by size: x.log becomes x.log.1, that x.log.2, and so on. */
import { close, constants, fstat, open, promises, write, type Stats } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { copyDescriptor } from '../../../sys/index.js';

const [closeFile, statFile, openFile, writeFile] = [
  promisify(close),
  promisify(fstat),
  promisify(open),
  promisify(write),
];
const { O_APPEND, O_CREAT, O_NONBLOCK, O_WRONLY } = constants;

/** How near to its limit a file is ended at a line's end already, so that lines of up to this are never cut in two. */
const NEAR = 16 * 1024;
/** How soon a rotation that failed is tried again. */
const RETRY_MS = 1000;
const NEWLINE = 0x0a;

export class RotatingFile {
  #fd: number | undefined;
  #identity: Pick<Stats, 'dev' | 'ino'> = { dev: 0, ino: 0 };
  #size = 0;
  #rotates = false;
  /** What was written last is no whole line. */
  #lineOpen = false;
  #rotateAgainAt = 0;

  /** @param maxSize in bytes; undefined: never rotated */
  constructor(
    readonly path: string,
    private readonly maxSize: number | undefined,
    private readonly maxFiles: number,
    private readonly warn: (text: string) => void,
  ) {}

  get size(): number {
    return this.#size;
  }

  /** Opens it, also anew by its path: what was there may have been moved, replaced, or mounted over. */
  async open(): Promise<void> {
    await promises.mkdir(dirname(this.path), { recursive: true, mode: 0o755 });
    const fd = await openFile(this.path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK, 0o644);
    const stat = await statFile(fd);
    const old = this.#fd;
    [this.#fd, this.#identity, this.#size, this.#lineOpen] = [fd, stat, stat.size, false];
    // A device or a FIFO is not for renaming.
    this.#rotates = stat.isFile() && this.maxSize !== undefined;
    if (old !== undefined) await closeFile(old);
  }

  /** Writes some of these bytes, rotating before when need be; gives the number. Throws what the file system says. */
  async write(bytes: Uint8Array, from: number, to: number): Promise<number> {
    let end = this.#endWithin(bytes, from, to);
    if (end === from) {
      await this.#rotate();
      end = this.#endWithin(bytes, from, to);
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

  async close(): Promise<void> {
    const fd = this.#fd;
    this.#fd = undefined;
    if (fd !== undefined) await closeFile(fd);
  }

  /** Where to stop writing into the file as it is; `from` itself when what comes belongs into the next. */
  #endWithin(bytes: Uint8Array, from: number, to: number): number {
    if (!this.#rotates || Date.now() < this.#rotateAgainAt) return to;
    const maxSize = this.maxSize!;
    const room = maxSize - this.#size;
    if (to - from + Math.min(NEAR, maxSize >> 3) <= room) return to;
    const limit = Math.min(to, from + Math.max(room, 0));
    const newline = limit > from ? bytes.lastIndexOf(NEWLINE, limit - 1) : -1;
    if (newline >= from) return newline + 1;
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

async function unlessMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
