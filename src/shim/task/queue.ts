import type { PendingRequest, Requests } from '../observe/requests.js';

/** Something that runs, or waits for its turn. */
export interface SerialEntry {
  /** On whose account; undefined when nobody asked. */
  readonly request: PendingRequest | undefined;
  /** Milliseconds since the epoch. */
  readonly since: number;
}

/** Runs things one after the other, each after those asked for before it have settled. */
export class Serial {
  #last: Promise<unknown> = Promise.resolve();
  readonly #entries: SerialEntry[] = [];

  /** @param requests tell on whose account something is asked for */
  constructor(private readonly requests: Pick<Requests, 'current'>) {}

  run<T>(work: () => Promise<T>): Promise<T> {
    this.#entries.push({ request: this.requests.current, since: Date.now() });
    // They settle in their order.
    const result = this.#last.then(work).finally(() => this.#entries.shift());
    this.#last = result.catch(() => undefined);
    return result;
  }

  /** How many run or wait. */
  get pending(): number {
    return this.#entries.length;
  }

  /** Those that run or wait; the first runs. */
  get entries(): readonly SerialEntry[] {
    return this.#entries;
  }
}
