/** When what a worker knows is handed to its monitor, for the case that it ends without a word. */
export class Checkpoints {
  #isPlanned = false;
  #isOver = false;

  /** @param keep hands over all that there is */
  constructor(private readonly keep: () => void) {}

  /** In this turn of the loop: what changes meanwhile goes with it. */
  soon(): void {
    if (this.#isPlanned || this.#isOver) return;
    this.#isPlanned = true;
    process.nextTick(() => {
      if (this.#isPlanned) this.now();
    });
  }

  now(): void {
    this.#isPlanned = false;
    if (!this.#isOver) this.keep();
  }

  /** Nothing is handed over any more. */
  stop(): void {
    this.#isOver = true;
  }
}
