/** How often each of a runtime's commands was run, and how it went. */

export interface CommandTotal {
  count: number;
  failed: number;
  /** From before its start until its end was seen, all of them together, in milliseconds. */
  totalMs: number;
}

/** Is told of every command of the runtimes that are given it. */
export interface CommandObserver {
  /** The command is about to be run. */
  begins(name: string): void;
  /** Its end has been seen, or it could not be run. `ms`: since begins(). */
  ended(name: string, ms: number, failed: boolean): void;
}

/** Counts the commands of those runtimes that have it as their observer. */
export class CommandTotals implements CommandObserver {
  readonly #totals = new Map<string, CommandTotal>();

  /**
   * Nothing is counted yet.
   *
   * @param onPhase called when a command begins and when its end has been seen
   */
  constructor(private readonly onPhase: (phase: 'begins' | 'ended', name: string) => void = () => undefined) {}

  begins(name: string): void {
    this.onPhase('begins', name);
  }

  ended(name: string, ms: number, failed: boolean): void {
    this.onPhase('ended', name);
    let total = this.#totals.get(name);
    if (!total) this.#totals.set(name, (total = { count: 0, failed: 0, totalMs: 0 }));
    total.count++;
    total.totalMs += ms;
    if (failed) total.failed++;
  }

  /** Goes on from what another process has counted. */
  resume(totals: Readonly<Record<string, CommandTotal>>): void {
    for (const [name, total] of Object.entries(totals)) this.#totals.set(name, { ...total });
  }

  /** By the command's name: `create`, `start`, … */
  byName(): ReadonlyMap<string, Readonly<CommandTotal>> {
    return this.#totals;
  }
}
