/** The messages of a stream as an iterator; the stream runs from the beginning, whenever the first one is asked for. */
import type { Readable } from 'node:stream';

/** So many messages wait here at most; then the server is not read from. */
const HIGH_WATER = 256;

export class MessageStream<T> implements AsyncIterableIterator<T> {
  readonly #queue: T[] = [];
  readonly #asking: { resolve: (result: IteratorResult<T>) => void; reject: (error: unknown) => void }[] = [];
  #error: unknown;
  #ended = false;

  /** @param cancel gives the call up */
  constructor(
    private readonly source: Readable,
    errorOf: (error: unknown) => unknown,
    private readonly cancel: () => void,
  ) {
    source.on('data', (message: T) => this.#take(message));
    source.once('end', () => this.#end(undefined));
    // The library tells of an error beside the stream's own state, once or twice.
    source.on('error', (error) => this.#end(errorOf(error)));
  }

  next(): Promise<IteratorResult<T>> {
    const value = this.#queue.shift();
    if (value !== undefined) {
      if (this.source.isPaused() && this.#queue.length < HIGH_WATER / 2) this.source.resume();
      return Promise.resolve({ value, done: false });
    }
    if (this.#error !== undefined) {
      const error = this.#error;
      this.#error = undefined;
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- it was made by errorOf
      return Promise.reject(error);
    }
    if (this.#ended) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve, reject) => this.#asking.push({ resolve, reject }));
  }

  return(): Promise<IteratorResult<T>> {
    this.#queue.length = 0;
    this.#end(undefined);
    this.cancel();
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #take(message: T): void {
    if (this.#ended) return;
    const asking = this.#asking.shift();
    if (asking) {
      asking.resolve({ value: message, done: false });
      return;
    }
    this.#queue.push(message);
    if (this.#queue.length >= HIGH_WATER) this.source.pause();
  }

  #end(error: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    const [first, ...others] = this.#asking.splice(0);
    if (first === undefined) this.#error = error;
    else if (error === undefined) first.resolve({ value: undefined, done: true });
    else first.reject(error);
    for (const other of others) other.resolve({ value: undefined, done: true });
  }
}
