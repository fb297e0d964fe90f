import type { ReadGate } from './read-gate.js';

/** How much a stream that isn't read from may hold up. */
export interface StallLimits {
  /** Messages that a stream keeps for its reader; one more holds up the connection. */
  readonly bufferedMessages: number;
  /** For how long it may do so; then it fails. */
  readonly stallMs: number;
}

/** What peers expect: 64 messages, one second. */
export const STALL_LIMITS: StallLimits = { bufferedMessages: 64, stallMs: 1000 };

export const STREAM_FULL = 'ttrpc: stream buffer full';

interface Waiter<T> {
  resolve(result: IteratorResult<T, undefined>): void;
  reject(error: Error): void;
}

/**
 * The messages of a stream that have come and aren't read yet; iterating over it reads them.
 *
 * An inbox that is over its limit stops the connection from being read, so that the sender has to wait, but not for longer than
 * `stallMs`: one reader that has gone to sleep must not cost the others more than that.
 */
export class Inbox<T> implements AsyncIterableIterator<T> {
  #messages: T[] = [];
  #read = 0;
  #waiters: Waiter<T>[] = [];
  #over: { readonly error?: Error } | undefined;
  #stalled: NodeJS.Timeout | undefined;

  /** `stuck` is called when the inbox has been over its limit for too long, `left` when the reader has gone away early. */
  constructor(
    private readonly gate: ReadGate,
    private readonly limits: StallLimits,
    private readonly stuck: () => void,
    private readonly left: () => void,
  ) {}

  get size(): number {
    return this.#messages.length - this.#read;
  }

  /** Nothing more comes; what has come can still be read. */
  get over(): boolean {
    return this.#over !== undefined;
  }

  push(message: T): void {
    if (this.#over) return;
    const waiter = this.#waiters.shift();
    if (waiter !== undefined) {
      waiter.resolve({ value: message, done: false });
      return;
    }
    this.#messages.push(message);
    if (this.size > this.limits.bufferedMessages && this.#stalled === undefined) {
      this.gate.hold(this);
      this.#stalled = setTimeout(this.stuck, this.limits.stallMs);
    }
  }

  end(): void {
    this.#finish({});
  }

  /** Reading throws, once what has come before is read. */
  fail(error: Error): void {
    this.#finish({ error });
  }

  next(): Promise<IteratorResult<T, undefined>> {
    if (this.size > 0) {
      const value = this.#messages[this.#read++] as T;
      if (this.#read === this.#messages.length || this.#read >= 1024) {
        this.#messages = this.#messages.slice(this.#read);
        this.#read = 0;
      }
      if (this.size <= this.limits.bufferedMessages) this.#unblock();
      return Promise.resolve({ value, done: false });
    }
    if (this.#over === undefined) return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
    const over = this.#over;
    // Thrown once, as by a generator.
    this.#over = {};
    return over.error !== undefined ? Promise.reject(over.error) : Promise.resolve({ value: undefined, done: true });
  }

  /** Called by a `for await` that is left early. */
  return(): Promise<IteratorResult<T, undefined>> {
    this.#messages = [];
    this.#read = 0;
    const early = !this.over;
    this.end();
    if (early) this.left();
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #finish(over: { readonly error?: Error }): void {
    if (this.#over) return;
    this.#over = over;
    this.#unblock();
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const [index, waiter] of waiters.entries()) {
      if (index === 0 && over.error !== undefined) {
        this.#over = {};
        waiter.reject(over.error);
      } else waiter.resolve({ value: undefined, done: true });
    }
  }

  #unblock(): void {
    if (this.#stalled === undefined) return;
    clearTimeout(this.#stalled);
    this.#stalled = undefined;
    this.gate.release(this);
  }
}
