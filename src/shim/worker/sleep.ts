/**
 * A shim with nothing to do has no worker: what it knows and has open it leaves with its monitor, which wakes another when
 * somebody asks for something, a process ends, the kernel kills for want of memory, or a copy needs more than to be copied.
 */
import { performance } from 'node:perf_hooks';
import { keepsFromLeaving, Leaving } from './leaving.js';

const TICK_MS = 1_000;
/** How long nothing must have happened, unless HAWSER_SLEEP says otherwise (in seconds). */
const IDLE_MS = 5_000;
/**
 * One that was woken so soon may be woken so again and again: it waits twice as long the next time. To wake for a probe that is run every ten seconds takes
 * some milliseconds of the processor where there is a zygote, and without one as many as Node takes to start; to stay awake for it takes some megabytes,
 * for each container.
 */
const SHORT_MS = 3_000;
const SHORT_WITHOUT_ZYGOTE_MS = 60_000;
const LONGEST_IDLE_MS = 300_000;
const SOON_MS = 10_000;

/** How often a shim has slept, and why it is awake. Plain data, a part of what is left. */
export interface SleepRecord {
  readonly times: number;
  readonly idleMs: number;
  /** Milliseconds since the epoch; absent before the first time. */
  readonly since?: number;
  /** What has woken it, in a few words. */
  readonly wokenBy?: string;
  /** How many requests were answered while it slept. Absent in what an older version has left. */
  readonly answered?: number | undefined;
}

/** For the state dump. */
export interface SleepSnapshot extends SleepRecord {
  /** Why it did not sleep when it had nothing to do; undefined when that did not happen. */
  readonly cannot: string | undefined;
}

export class Sleep {
  #record: SleepRecord;
  #cannot: string | undefined;
  #last = '';
  #since = performance.now();
  readonly #timer: NodeJS.Timeout | undefined;

  /**
   * @param idleMs undefined: never
   * @param activity something that is another when something has happened
   * @param leave leaves all with the monitor, and ends this process; throws CannotRest, or SysError
   * @param onAwake called when it has nothing to do, and can't sleep
   * @param never why it never sleeps, for the state dump
   */
  constructor(
    idleMs: number | undefined,
    private readonly activity: () => string,
    private readonly leave: (leaving: Leaving, sleep: SleepRecord) => void,
    private readonly onAwake: () => void,
    earlier?: SleepRecord,
    never?: string,
  ) {
    this.#cannot = never;
    this.#record = earlier ?? { times: 0, idleMs: idleMs ?? 0 };
    if (idleMs !== undefined) this.#timer = setInterval(() => this.look(), Math.min(TICK_MS, idleMs)).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** What memory could be given back for goes with this process in some seconds. */
  get isSoon(): boolean {
    return this.#timer !== undefined && this.#cannot === undefined && this.#record.idleMs <= SOON_MS;
  }

  get record(): SleepRecord {
    return this.#record;
  }

  /** So many requests more were answered while it slept. */
  answered(count: number): void {
    this.#record = { ...this.#record, answered: (this.#record.answered ?? 0) + count };
  }

  describe(): SleepSnapshot {
    return { ...this.#record, cannot: this.#cannot };
  }

  /** Falls asleep when nothing has happened for long enough. */
  look(): void {
    const now = this.activity();
    if (now !== this.#last) this.#begin(now);
    else if (performance.now() - this.#since >= this.#record.idleMs) {
      this.#begin(now);
      this.#fallAsleep();
    }
  }

  #begin(activity: string): void {
    this.#last = activity;
    this.#since = performance.now();
  }

  #fallAsleep(): void {
    const leaving = new Leaving();
    try {
      const { times, idleMs, answered } = this.#record;
      this.leave(leaving, { times: times + 1, idleMs, answered, since: Date.now() });
    } catch (error) {
      leaving.giveUp();
      if (!keepsFromLeaving(error)) throw error;
      this.#cannot = error.message;
      this.onAwake();
    }
  }
}

/**
 * The record of one that has been woken.
 *
 * @param isForked by a zygote, and not started anew
 */
export function woken(record: SleepRecord, idleMs: number | undefined, by: string, isForked: boolean): SleepRecord {
  const slept = Date.now() - (record.since ?? 0);
  const short = isForked ? SHORT_MS : SHORT_WITHOUT_ZYGOTE_MS;
  const base = idleMs ?? IDLE_MS;
  return {
    ...record,
    idleMs: slept < short ? Math.min(record.idleMs * 2, LONGEST_IDLE_MS) : base,
    wokenBy: by,
  };
}

/** How long a shim waits before it sleeps, in milliseconds; undefined where it never does. */
export function idleMsOf(setting: string | undefined): number | undefined {
  if (setting === 'off') return undefined;
  return (Number(setting) || IDLE_MS / 1000) * 1000;
}
