/** When what a worker knows is handed to its monitor, for the case that it ends without a word. */
export class Checkpoints {
  #isPlanned = false;
  /** Something has changed since the last time, and nothing is planned yet. */
  #isWanted = false;
  #isOver = false;

  /** @param keep hands over all that there is */
  constructor(private readonly keep: () => void) {}

  /** After all that follows at once. For what another process finds out by itself, should this one end before. */
  later(): void {
    if (this.#isOver || this.#isWanted) return;
    this.#isWanted = true;
    setImmediate(() => this.ifDue());
  }

  /** In this turn of the loop: what changes meanwhile goes with it. An event that is being written goes out first. */
  soon(): void {
    if (this.#isPlanned || this.#isOver) return;
    this.#isPlanned = true;
    process.nextTick(() => process.nextTick(() => this.ifDue()));
  }

  now(): void {
    this.#isPlanned = this.#isWanted = false;
    if (!this.#isOver) this.keep();
  }

  /** At once, if it would be done soon: who has asked is about to be answered. */
  ifDue(): void {
    if (this.#isPlanned || this.#isWanted) this.now();
  }

  /** Nothing is handed over any more. */
  stop(): void {
    this.#isOver = true;
  }
}
