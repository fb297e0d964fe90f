/** What a {@link Pump} copies into. */
import { tryWrite, Watch, WRITABLE } from '../../sys/index.js';

export interface Sink {
  /** Takes these bytes, or as many of the first as there is room for. Throws when it will never take any more. */
  write(buffer: Buffer, from: number, to: number): number;
  /** Calls back once when there is room again. */
  whenRoom(callback: () => void): void;
  /** A non-blocking descriptor that may be written to instead. */
  readonly descriptor?: number;
  /** No callback comes after this. */
  close(): void;
}

/** A non-blocking descriptor, which stays the caller's: a FIFO, a pipe, a terminal. */
export class DescriptorSink implements Sink {
  #watch: Watch | undefined;
  #waiting: (() => void) | undefined;

  /** @param shared somebody else watches the descriptor too: it is a terminal that is also read */
  constructor(
    readonly descriptor: number,
    private readonly shared = false,
  ) {}

  write(buffer: Buffer, from: number, to: number): number {
    return tryWrite(this.descriptor, buffer, from, to) ?? 0;
  }

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
