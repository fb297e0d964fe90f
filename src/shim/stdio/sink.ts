/** What a {@link Pump} copies into. */
import { Watch, WRITABLE, type EntryStream } from '../../sys/index.js';

export interface Sink {
  /** Takes these bytes, or as many of the first as there is room for. Throws when it will never take any more. */
  write(buffer: Buffer, from: number, to: number): number;
  /** Calls back once when there is room again. */
  whenRoom(callback: () => void): void;
  /**
   * For a thread that writes instead, once all that was taken before is where it goes: a descriptor, which is the caller's to
   * close. Undefined when all that comes has to be looked at just now.
   */
  forThread?(): Promise<number | undefined>;
  /** What is written becomes entries of this stream in a log; a thread is to make them, too. */
  readonly stream?: EntryStream | undefined;
  /** A thread has copied so many bytes; `left` is what it has read and not written, where that is entries already. */
  written?(bytes: number, left?: Buffer): void;
  /** No callback comes after this. */
  close(): void;
}

/** A non-blocking descriptor, which stays the caller's: a FIFO, a pipe, a terminal. */
export class DescriptorSink {
  #watch: Watch | undefined;
  #waiting: (() => void) | undefined;

  /** @param shared somebody else watches the descriptor too: it is a terminal that is also read */
  constructor(
    readonly descriptor: number,
    private readonly shared = false,
  ) {}

  /** Calls back once when there is room. */
  whenRoom(callback: () => void): void {
    this.#waiting = callback;
    this.#watch ??= new Watch(
      this.descriptor,
      () => {
        this.#watch?.want(0);
        const waiting = this.#waiting;
        this.#waiting = undefined;
        waiting?.();
      },
      this.shared,
    );
    this.#watch.want(WRITABLE);
  }

  /** No callback comes after this. */
  close(): void {
    this.#watch?.close();
    this.#waiting = undefined;
  }
}

/** Takes everything and keeps the number of bytes. */
export class CountingSink implements Sink {
  bytes = 0;

  write(_buffer: Buffer, from: number, to: number): number {
    this.bytes += to - from;
    return to - from;
  }

  whenRoom(): void {
    /* There always is. */
  }

  close(): void {
    /* Nothing is open. */
  }
}
