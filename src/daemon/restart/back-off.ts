/**
 * How long to wait before a container that keeps ending is started once more. containerd starts it at every look; that stays so
 * for the first few times, and then the time doubles, as docker has it, up to a minute.
 */

/** Starts at every look before the time grows. */
const FREE = 3;
const MOST_MS = 60_000;
/** One that ran for so long has worked. */
const WORKED_MS = 10_000;

export class BackOff {
  /** `at` by a clock that nobody sets, `since` in milliseconds since the epoch. */
  readonly #starts = new Map<string, { at: number; since: number; times: number }>();

  /** @param intervalMs between two looks */
  constructor(
    private readonly intervalMs: number,
    private readonly now = () => performance.now(),
    private readonly clock: () => number = Date.now,
  ) {}

  /**
   * A container is being started.
   *
   * @param endedAt when it ended, in milliseconds since the epoch; undefined when it has not run
   */
  started(key: string, endedAt: number | undefined): void {
    const before = this.#starts.get(key);
    const worked = before !== undefined && (endedAt ?? 0) - before.since >= WORKED_MS;
    this.#starts.set(key, {
      at: this.now(),
      since: this.clock(),
      times: before === undefined || worked ? 1 : before.times + 1,
    });
  }

  /** Whether it may be started now. */
  isOver(key: string): boolean {
    const last = this.#starts.get(key);
    return last === undefined || this.now() >= last.at + this.#waitMs(last.times);
  }

  /** Forgets all but these: their containers are gone, or looked after no more. */
  keep(keys: ReadonlySet<string>): void {
    for (const key of this.#starts.keys()) if (!keys.has(key)) this.#starts.delete(key);
  }

  #waitMs(times: number): number {
    if (times <= FREE) return 0;
    return Math.min(this.intervalMs * 2 ** (times - FREE), Math.max(MOST_MS, this.intervalMs));
  }
}
