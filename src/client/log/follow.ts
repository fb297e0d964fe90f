/** Reads a log as it grows, also when it is rotated meanwhile. */
import { closeSync, fstatSync, readSync, statSync, watch, type FSWatcher } from 'node:fs';
import { dirname } from 'node:path';
import { locate, nth, olderFiles, openIfThere, type Position } from './files.js';

const CHUNK = 64 * 1024;
/** Where the kernel tells of no changes, a look now and then must do. */
const LOOK_MS = 250;
/** A log that has not grown for so long after its container's end has it all. */
const QUIET_MS = 100;

export class LogFollower {
  readonly #path: string;
  #fd: number | undefined;
  #offset: number;
  readonly #from: Position;
  #ended = false;
  #complete = false;
  #stopped = false;
  #wake: () => void = () => undefined;
  #watcher: FSWatcher | undefined;

  constructor(path: string, from: Position) {
    this.#path = path;
    this.#from = from;
    this.#offset = from.offset;
  }

  /** Nothing will be written any more, so that the reader's end is the log's; what is on its way may take a moment unless `complete`. */
  end(complete: boolean): void {
    this.#ended = true;
    this.#complete = complete;
    this.#wake();
  }

  /** Reads no more. */
  stop(): void {
    this.#stopped = true;
    this.#wake();
  }

  /** What is there and what comes, until end() or stop(). */
  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void, void> {
    try {
      this.#begin();
      let quietSince: number | undefined;
      while (!this.#stopped) {
        const ending = this.#ended;
        const chunk = this.#read();
        if (chunk !== undefined) {
          quietSince = undefined;
          yield chunk;
          continue;
        }
        if (this.#rotate()) continue;
        if (ending) {
          quietSince ??= Date.now();
          if (this.#complete || Date.now() - quietSince >= QUIET_MS) return;
        }
        await this.#change(ending ? QUIET_MS / 4 : LOOK_MS);
      }
    } finally {
      this.#watcher?.close();
      if (this.#fd !== undefined) closeSync(this.#fd);
      this.#fd = undefined;
    }
  }

  /** Opens the file that is to be read first. When it is being renamed meanwhile, it is looked for again. */
  #begin(): void {
    for (;;) {
      const { file, found } = locate(this.#path, this.#from.inode);
      const fd = this.#open(file);
      if (fd === undefined) return;
      if (!found) this.#offset = 0;
      const right = found ? fstatSync(fd).ino === this.#from.inode : olderFiles(this.#path) === file;
      if (right) {
        this.#fd = fd;
        return;
      }
      closeSync(fd);
    }
  }

  #read(): Buffer | undefined {
    if (this.#fd === undefined) this.#begin();
    if (this.#fd === undefined) return undefined;
    const buffer = Buffer.allocUnsafe(CHUNK);
    const length = readSync(this.#fd, buffer, 0, CHUNK, this.#offset);
    if (length > 0) {
      this.#offset += length;
      return buffer.subarray(0, length);
    }
    // Somebody has emptied it, as logrotate's copytruncate does.
    if (fstatSync(this.#fd).size < this.#offset) this.#offset = 0;
    return undefined;
  }

  /** Goes on to the file that came after the one at hand. True when there may be something to read. */
  #rotate(): boolean {
    if (this.#fd === undefined) return false;
    const mine = fstatSync(this.#fd);
    const now = statSync(this.#path, { throwIfNoEntry: false });
    if (now === undefined || (now.ino === mine.ino && now.dev === mine.dev)) return false;
    // What was written between the last read and the renaming.
    if (mine.size > this.#offset) return true;
    const older = olderFiles(this.#path);
    let next = older;
    for (let n = 1; n <= older; n++) {
      if (statSync(nth(this.#path, n), { throwIfNoEntry: false })?.ino === mine.ino) next = n - 1;
    }
    const fd = this.#open(next);
    if (fd === undefined) return false;
    closeSync(this.#fd);
    [this.#fd, this.#offset] = [fd, 0];
    return true;
  }

  #open(n: number): number | undefined {
    return openIfThere(nth(this.#path, n));
  }

  /** Resolves when the log may have changed, and after a while anyway. */
  #change(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#wake(), ms);
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = () => undefined;
        resolve();
      };
      this.#watcher ??= this.#watch();
      if (this.#stopped) this.#wake();
    });
  }

  #watch(): FSWatcher | undefined {
    try {
      const watcher = watch(dirname(this.#path), { persistent: false }, () => this.#wake());
      // Looking now and then goes on.
      watcher.on('error', () => watcher.close());
      return watcher;
    } catch (error) {
      // No more watches are to be had, or the directory is not there yet.
      if (error instanceof Error && 'code' in error) return undefined;
      throw error;
    }
  }
}
