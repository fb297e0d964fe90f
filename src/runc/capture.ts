import { closeSync } from 'node:fs';
import { makePipe, READABLE, setNonblock, tryRead, Watch } from '../sys/index.js';

/** Output kept of a command: enough for any error text, and bounded. */
const MAX_OUTPUT = 64 * 1024;

/** Collects what a command writes. What is more than {@link MAX_OUTPUT} bytes is read and dropped, so it never stalls. */
export class OutputCapture {
  readonly writer: number;
  readonly #reader: number;
  readonly #watch: Watch;
  readonly #chunk = Buffer.allocUnsafe(4096);
  readonly #kept: Buffer[] = [];
  #length = 0;
  #handedOver = false;
  #closed = false;

  constructor() {
    const { read, write } = makePipe();
    this.writer = write;
    this.#reader = read;
    setNonblock(read, true);
    this.#watch = new Watch(read, () => {
      if (this.#readAll()) this.#close();
    }).unref();
    this.#watch.want(READABLE);
  }

  /** The command has its end. */
  handedOver(): void {
    if (this.#handedOver) return;
    this.#handedOver = true;
    closeSync(this.writer);
  }

  /**
   * The command has ended: what it wrote, as text; nothing the second time. Whoever inherited its output may go on writing: that is read and
   * dropped until the last of them is gone, as a closed pipe would kill them.
   */
  finish(): string {
    return this.finishBytes().toString();
  }

  /** The same as {@link finish}, as it was written. */
  finishBytes(): Buffer {
    this.handedOver();
    if (!this.#closed && this.#readAll()) this.#close();
    const bytes = Buffer.concat(this.#kept);
    this.#kept.length = 0;
    this.#length = MAX_OUTPUT;
    return bytes;
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch.close();
    closeSync(this.#reader);
  }

  /** Reads what a full pipe holds, or less; true when there will never be more. */
  #readAll(): boolean {
    // Bounded, as somebody who inherited the output may write without end.
    for (let turn = 0; turn < 32; turn++) {
      const n = tryRead(this.#reader, this.#chunk);
      if (n === undefined) return false;
      if (n === 0) return true;
      const room = Math.min(n, MAX_OUTPUT - this.#length);
      if (room > 0) this.#kept.push(Buffer.from(this.#chunk.subarray(0, room)));
      this.#length += room;
    }
    return false;
  }
}
