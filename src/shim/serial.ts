/** Runs things one after the other, each after those asked for before it have settled. */
export class Serial {
  #last: Promise<unknown> = Promise.resolve();
  #pending = 0;

  run<T>(work: () => Promise<T>): Promise<T> {
    this.#pending++;
    const result = this.#last.then(work).finally(() => this.#pending--);
    this.#last = result.catch(() => undefined);
    return result;
  }

  /** How many run or wait. */
  get pending(): number {
    return this.#pending;
  }
}
