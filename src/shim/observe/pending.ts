/** What the shim is waiting for that is neither a runtime command nor a process: for "why is it stuck". */

export interface Wait {
  /** What for, in a word or two: `fifo reader`, `terminal`, `logger`, `mount`, `umount`, `output`. */
  readonly what: string;
  /** Of which FIFO, process or mount point. */
  readonly subject: string;
  /** Milliseconds since the epoch. */
  readonly since: number;
}

export class Waits {
  readonly #pending = new Set<Wait>();

  /** Notes what a promise is for as long as it has not settled. */
  async for<T>(what: string, subject: string, work: Promise<T>): Promise<T> {
    const wait = { what, subject, since: Date.now() };
    this.#pending.add(wait);
    try {
      return await work;
    } finally {
      this.#pending.delete(wait);
    }
  }

  /** Those that have not settled, oldest first. */
  pending(): Wait[] {
    return [...this.#pending];
  }
}
