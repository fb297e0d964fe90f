/** The messages of a stream as an iterator; the stream runs from the beginning, whenever the first one is asked for. */
/** Where the messages come from. */
export interface Source {
  pause(): void;
  resume(): void;
  isPaused(): boolean;
  /** Gives the call up. */
  cancel(): void;
}

/** So many messages wait here at most; then the server is not read from. */
const HIGH_WATER = 256;

export class MessageStream<T> implements AsyncIterableIterator<T> {
  readonly #queue: T[] = [];
  readonly #asking: { resolve: (result: IteratorResult<T>) => void; reject: (error: unknown) => void }[] = [];
  #error: unknown;
  #ended = false;

  #source: Source | undefined;

  /** @param source its messages and its end are told by `take` and `end` */
  from(source: Source): void {
    this.#source = source;
  }

  next(): Promise<IteratorResult<T>> {
    const value = this.#queue.shift();
    if (value !== undefined) {
      if (this.#source?.isPaused() && this.#queue.length < HIGH_WATER / 2) this.#source.resume();
      return Promise.resolve({ value, done: false });
    }
    if (this.#error !== undefined) {
      const error = this.#error;
      this.#error = undefined;
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- it is what the call has failed with
      return Promise.reject(error);
    }
    if (this.#ended) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve, reject) => this.#asking.push({ resolve, reject }));
  }

  return(): Promise<IteratorResult<T>> {
    this.#queue.length = 0;
    this.end(undefined);
    this.#source?.cancel();
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  take(message: T): void {
    if (this.#ended) return;
    const asking = this.#asking.shift();
    if (asking) {
      asking.resolve({ value: message, done: false });
      return;
    }
    this.#queue.push(message);
    if (this.#queue.length >= HIGH_WATER) this.#source?.pause();
  }

  /** @param error undefined when all has come */
  end(error: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    const [first, ...others] = this.#asking.splice(0);
    if (first === undefined) this.#error = error;
    else if (error === undefined) first.resolve({ value: undefined, done: true });
    else first.reject(error);
    for (const other of others) other.resolve({ value: undefined, done: true });
  }
}
