/** When to collect: soon after something was deleted, now and then as leases expire, and at once when somebody waits for it. */
export class Schedule {
  #running: Promise<void> | undefined;
  #wanted: Promise<void> | undefined;
  #soon: NodeJS.Timeout | undefined;
  readonly #interval: NodeJS.Timeout;
  #closed = false;

  /**
   * @param delayMs after a deletion; others within that time are collected with it
   * @param failed told when a collection that nobody waits for fails
   */
  constructor(
    readonly work: () => Promise<void>,
    readonly delayMs: number,
    intervalMs: number,
    readonly failed: (error: unknown) => void,
  ) {
    this.#interval = setInterval(() => this.#start(), intervalMs).unref();
  }

  /** Something was deleted. */
  changed(): void {
    if (this.#closed || this.#soon !== undefined) return;
    this.#soon = setTimeout(() => {
      this.#soon = undefined;
      this.#start();
    }, this.delayMs).unref();
  }

  /** Collects. What is deleted before the call is among it: when a collection is under way, another one follows. */
  now(): Promise<void> {
    if (this.#running === undefined) return this.#run();
    this.#wanted ??= this.#running
      .catch(() => undefined)
      .then(() => {
        this.#wanted = undefined;
        return this.#run();
      });
    return this.#wanted;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#interval);
    clearTimeout(this.#soon);
    // Who waits for one is told how it ended.
    await Promise.allSettled([this.#running, this.#wanted]);
  }

  #start(): void {
    if (!this.#closed) this.now().catch((error: unknown) => this.failed(error));
  }

  #run(): Promise<void> {
    const running = this.work().finally(() => {
      this.#running = undefined;
    });
    this.#running = running;
    return running;
  }
}
