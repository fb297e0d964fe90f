/** The end of a FIFO that a process's output is read from. */
import { closeSync, constants, openSync } from 'node:fs';
import { Readable } from 'node:stream';
import { READABLE, tryRead, Watch } from '../../sys/index.js';

const CHUNK = 64 * 1024;
/** Chunks read before other events get their turn. */
const BURST = 16;
/**
 * What is read beyond the stream's own bound once the process has ended. What a process leaves in pipes is less, so it is
 * all here when the shim is told that it is not needed any more, however slow the reader.
 */
const LAST_BYTES = 1024 * 1024;

/** One for all: it is used within one turn only. */
const scratch = Buffer.allocUnsafeSlow(CHUNK);

/**
 * Ends when the last writer is gone; or at {@link finish} with what is there then. Its end of the FIFO is open from the beginning:
 * nothing that is written is lost.
 */
export class FifoReadable extends Readable {
  readonly #watch: Watch;
  #fd: number | undefined;
  #wanted = false;
  #finishing = false;
  /** What may still be read while nobody asks for more. */
  #allowance = 0;
  #quiet: { ms: number; resolve: () => void; timer: NodeJS.Timeout } | undefined;

  constructor(path: string) {
    super({ highWaterMark: CHUNK });
    this.#fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    this.#watch = new Watch(this.#fd, () => this.#pull());
  }

  override _read(): void {
    this.#wanted = true;
    if (this.#fd === undefined) return;
    this.#watch.want(READABLE);
    if (this.#finishing) setImmediate(() => this.#pull());
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#close();
    callback(error);
  }

  /**
   * The process has ended. Resolves when its output has, or when there has not been any for so many milliseconds: somebody else
   * has the FIFO open, too.
   */
  drained(quietMs: number): Promise<void> {
    if (this.#fd === undefined) return Promise.resolve();
    this.#allowance = LAST_BYTES;
    this.#watch.want(READABLE);
    return new Promise((resolve) => {
      this.#quiet = { ms: quietMs, resolve, timer: setTimeout(() => this.#isQuiet(), quietMs) };
    });
  }

  /** Reads what is there, and ends. */
  finish(): void {
    if (this.#fd === undefined || this.#finishing) return;
    this.#finishing = true;
    this.#allowance = Math.max(this.#allowance, LAST_BYTES);
    this.#pull();
  }

  #pull(): void {
    for (let turn = 0; turn < BURST; turn++) {
      if (this.#fd === undefined) return;
      if (!this.#wanted && this.#allowance <= 0) {
        this.#watch.want(0);
        return;
      }
      const n = tryRead(this.#fd, scratch);
      if (n === undefined && !this.#finishing) return;
      if (n === undefined || n === 0) {
        this.#end();
        return;
      }
      this.#allowance -= n;
      this.#quiet?.timer.refresh();
      this.#wanted = this.push(Buffer.from(scratch.subarray(0, n)));
    }
    // The watch calls again; but it may rest while what is left is read.
    if (this.#finishing) setImmediate(() => this.#pull());
  }

  #isQuiet(): void {
    const quiet = this.#quiet;
    if (quiet === undefined) return;
    // Not quiet: nobody reads.
    if (!this.#wanted && this.#allowance <= 0) quiet.timer.refresh();
    else this.#settleQuiet();
  }

  #settleQuiet(): void {
    clearTimeout(this.#quiet?.timer);
    this.#quiet?.resolve();
    this.#quiet = undefined;
  }

  #end(): void {
    this.#close();
    this.push(null);
  }

  #close(): void {
    this.#watch.close();
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
    this.#settleQuiet();
  }
}
