/**
 * The log of a container whose output comes to this command: the same entries, and the same rotation, as the shim writes of those that run without one
 * (docs/stdio.md). A disk takes them while whoever reads the output waits: it goes into the kernel's memory.
 */
import { closeSync, fstatSync, mkdirSync, openSync, readSync, renameSync, unlinkSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { nth } from '../../client/log/files.js';
import type { LogStream } from '../../client/log/entries.js';
import type { LogPlace } from '../../client/log/place.js';
import { logEntries } from '../../sys/index.js';

/** More than the longest entry has. */
const BLOCK = 64 * 1024;
const NEWLINE = 0x0a;

export class LogWriter {
  readonly #entries = Buffer.allocUnsafeSlow(BLOCK);
  #fd: number | undefined;
  #size = 0;
  /** It ends within an entry, which a full disk has cut. */
  #isTorn = false;
  #isFailing = false;

  /** @param warn told once when it cannot be written: what is printed meanwhile is not kept */
  constructor(
    private readonly place: LogPlace,
    private readonly warn: (text: string) => void,
  ) {
    this.#attempt(() => this.#open());
  }

  /** What was printed just now. */
  write(stream: LogStream, bytes: Uint8Array): void {
    this.#attempt(() => {
      if (this.#fd === undefined) this.#open();
      for (let at = 0; at < bytes.length;) {
        const { taken, put } = logEntries(bytes, at, bytes.length, stream, this.#entries, 0);
        this.#append(put);
        at += taken;
      }
      this.#isFailing = false;
    });
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #attempt(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof Error && 'code' in error)) throw error;
      if (!this.#isFailing)
        this.warn(
          `the log ${this.place.path} cannot be written, and what is printed meanwhile is not kept: ${error.message}`,
        );
      this.#isFailing = true;
    }
  }

  #open(): void {
    const { path } = this.place;
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const fd = openSync(path, 'a+', 0o644);
    this.close();
    [this.#fd, this.#size] = [fd, fstatSync(fd).size];
    const last = Buffer.alloc(1);
    this.#isTorn = this.#size > 0 && readSync(fd, last, 0, 1, this.#size - 1) === 1 && last[0] !== NEWLINE;
  }

  /** Whole entries; each stands in one file. */
  #append(length: number): void {
    for (let at = 0; at < length;) {
      let end = this.#endWithin(at, length);
      if (end === at) {
        this.#rotate();
        end = this.#endWithin(at, length);
      }
      if (this.#isTorn) this.#size += writeSync(this.#fd!, '\n');
      this.#isTorn = true;
      while (at < end) {
        const written = writeSync(this.#fd!, this.#entries, at, end - at);
        this.#size += written;
        at += written;
      }
      this.#isTorn = false;
    }
  }

  #endWithin(from: number, to: number): number {
    const { maxSize = Infinity } = this.place;
    const room = maxSize - this.#size;
    if (to - from <= room) return to;
    const newline = room > 0 ? this.#entries.lastIndexOf(NEWLINE, from + room - 1) : -1;
    if (newline >= from) return newline + 1;
    return this.#size === 0 ? this.#entries.indexOf(NEWLINE, from) + 1 : from;
  }

  /** The oldest first, so that a crash in between loses none. */
  #rotate(): void {
    const { path, maxFiles } = this.place;
    // More may have been kept before.
    for (let n = maxFiles; unlessMissing(() => unlinkSync(nth(path, n))); n++);
    for (let n = maxFiles - 2; n >= 0; n--) unlessMissing(() => renameSync(nth(path, n), nth(path, n + 1)));
    if (maxFiles === 1) unlessMissing(() => unlinkSync(path));
    this.#open();
  }
}

/** True when it was there. */
function unlessMissing(work: () => void): boolean {
  try {
    work();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
