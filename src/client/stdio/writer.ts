/** The end of a FIFO that a process's input is written to. */
import { closeSync, constants, openSync } from 'node:fs';
import { Writable } from 'node:stream';
import { tryWrite, Watch, WRITABLE } from '../../sys/index.js';

type Callback = (error?: Error | null) => void;

/** VEOF of termios(3), as terminals begin with: ctrl-d. */
const END_OF_INPUT = 4;
/** What ends a line that is typed. */
const LINE_ENDS = [0x0a, 0x0d];

/**
 * What is written before {@link open} waits. Ending it closes the FIFO, then has the shim close its own end: the process finds the
 * end of its input. At a terminal that is typed, and the shim's end stays open, for whoever attaches later. When the process has ended, what is left is dropped, which is no error.
 */
export class FifoWritable extends Writable {
  #fd: number | undefined;
  #watch: Watch | undefined;
  #constructed: Callback | undefined;
  /** Whether, and how, it was ready before the stream asked. */
  #outcome: { error: Error | undefined } | undefined;
  #pending: { chunk: Buffer; at: number; callback: Callback } | undefined;
  #retry: NodeJS.Timeout | undefined;
  #last = LINE_ENDS[0];

  /** @param closeIo has the shim close its end; undefined at a terminal */
  constructor(
    private readonly path: string,
    private readonly closeIo: (() => Promise<void>) | undefined,
  ) {
    super({ highWaterMark: 64 * 1024 });
  }

  /** The shim has been told of the FIFO. It may not have opened it yet: nobody waits for it in a system call. */
  open(pauseMs = 1): void {
    if (this.#fd !== undefined) return;
    if (this.destroyed) {
      this.abandon();
      return;
    }
    try {
      this.#fd = openSync(this.path, constants.O_WRONLY | constants.O_NONBLOCK);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENXIO') {
        this.#ready(error as Error);
        return;
      }
      this.#retry = setTimeout(() => this.open(Math.min(pauseMs * 2, 50)), pauseMs);
      return;
    }
    this.#watch = new Watch(this.#fd, () => this.#flush());
    this.#ready();
  }

  /** Nobody will read. What was not written is dropped. */
  abandon(): void {
    clearTimeout(this.#retry);
    this.destroy();
    this.#ready();
  }

  override _construct(callback: Callback): void {
    if (this.#outcome === undefined) this.#constructed = callback;
    else callback(this.#outcome.error);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: Callback): void {
    this.#last = chunk.at(-1) ?? this.#last;
    this.#pending = { chunk, at: 0, callback };
    this.#flush();
  }

  override _final(callback: Callback): void {
    if (this.closeIo !== undefined) {
      this.#close();
      this.closeIo().then(() => callback(), callback);
      return;
    }
    // Behind a line that has begun, the first one only hands that over.
    const times = LINE_ENDS.includes(this.#last!) ? 1 : 2;
    const typed: Callback = (error) => {
      if (!error) this.#close();
      callback(error);
    };
    this.#pending = { chunk: Buffer.alloc(times, END_OF_INPUT), at: 0, callback: typed };
    this.#flush();
  }

  override _destroy(error: Error | null, callback: Callback): void {
    this.#close();
    const pending = this.#pending;
    this.#pending = undefined;
    pending?.callback(new Error(`${this.path}: nobody reads it any more`));
    callback(error);
  }

  #flush(): void {
    const pending = this.#pending;
    if (pending === undefined || this.#fd === undefined) return;
    try {
      while (pending.at < pending.chunk.length) {
        const n = tryWrite(this.#fd, pending.chunk, pending.at);
        if (n === undefined) {
          this.#watch?.want(WRITABLE);
          return;
        }
        pending.at += n;
      }
    } catch (error) {
      // Nobody reads any more.
      if ((error as NodeJS.ErrnoException).code === 'EPIPE') this.destroy();
      else this.destroy(error as Error);
      return;
    }
    this.#watch?.want(0);
    this.#pending = undefined;
    pending.callback();
  }

  /** Writing may begin, or what waits for that may end. */
  #ready(error?: Error): void {
    this.#outcome ??= { error };
    const constructed = this.#constructed;
    this.#constructed = undefined;
    constructed?.(error);
  }

  #close(): void {
    clearTimeout(this.#retry);
    this.#watch?.close();
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}
