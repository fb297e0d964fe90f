import { errdefs } from '../../api/full.js';
import type { TtrpcError } from '../../ttrpc/status.js';

/**
 * One subscriber's queue. Whoever publishes never waits for it, and nobody else's queue is touched. A subscriber who does not
 * read is cut off once more than the limit waits for it: it gets what is in its queue and then ResourceExhausted, so that it
 * knows that it has missed something and where, and the daemon's memory is not its to fill.
 */
export class Subscriber<T> implements AsyncIterableIterator<T> {
  #queue: ({ item: T; size: number } | undefined)[] = [];
  /** Items before this one in the queue are taken. */
  #head = 0;
  #bytes = 0;
  #failure: TtrpcError | undefined;
  #over = false;
  #waiting: ((result: IteratorResult<T, undefined>) => void)[] = [];

  constructor(
    private readonly limit: number,
    private readonly onEnd: () => void,
  ) {}

  push(item: T, size: number): void {
    if (this.#over) return;
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) {
      waiting({ done: false, value: item });
      return;
    }
    if (this.#bytes + size > this.limit) {
      const waitingItems = this.#queue.length - this.#head;
      this.#failure = errdefs.resourceExhausted(
        `subscriber has left ${waitingItems} events unread and misses those after them; look at the state anew and subscribe again`,
      );
      this.#stop();
      return;
    }
    this.#queue.push({ item, size });
    this.#bytes += size;
  }

  /** Nothing comes any more; what is waiting is there to be taken. */
  finish(): void {
    this.#stop();
    for (const waiting of this.#waiting.splice(0)) waiting({ done: true, value: undefined });
  }

  /** Nothing comes any more, and what is waiting is dropped: nobody wants it. */
  end(): void {
    this.#queue = [];
    this.#head = 0;
    this.#bytes = 0;
    this.#failure = undefined;
    this.#stop();
    for (const waiting of this.#waiting.splice(0)) waiting({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<T, undefined>> {
    const entry = this.#queue[this.#head];
    if (entry !== undefined) {
      this.#taken(entry.size);
      return Promise.resolve({ done: false, value: entry.item });
    }
    if (this.#failure !== undefined) {
      const failure = this.#failure;
      this.#failure = undefined;
      return Promise.reject(failure);
    }
    if (this.#over) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  return(): Promise<IteratorResult<T, undefined>> {
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** shift() of a long array would move all of it. */
  #taken(size: number): void {
    this.#bytes -= size;
    this.#queue[this.#head++] = undefined;
    if (this.#head > 1024 && this.#head * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
  }

  #stop(): void {
    if (this.#over) return;
    this.#over = true;
    this.onEnd();
  }
}
