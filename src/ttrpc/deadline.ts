/** Points in time at which something is given up. */

/** setTimeout takes no longer delay than this, and fires at once when given one. */
const LONGEST_DELAY = 2 ** 31 - 1;

/** Milliseconds since the epoch, from a clock that is never set: what deadlines are compared with. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}

/** Calls back when a deadline has passed, unless cleared. */
export class DeadlineTimer {
  #timer: NodeJS.Timeout;

  constructor(
    readonly deadline: number,
    private readonly expired: () => void,
  ) {
    this.#timer = this.#arm();
  }

  clear(): void {
    clearTimeout(this.#timer);
  }

  #arm(): NodeJS.Timeout {
    const left = this.deadline - now();
    if (left > LONGEST_DELAY)
      return setTimeout(() => {
        this.#timer = this.#arm();
      }, LONGEST_DELAY);
    return setTimeout(this.expired, Math.max(0, left));
  }
}
