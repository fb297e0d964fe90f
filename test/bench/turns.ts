/** Has the shims take turns, so that what the machine's neighbours do meanwhile happens to all of them alike. */
import { pause, type Lab } from './lab.js';
import type { Shim } from './shim.js';
import { OURS, type Samples } from './statistics.js';

/** A turn that takes longer than this hangs, or its shim does. */
const BOUND_MS = 120_000;

export interface TurnOptions {
  /** Turns before those that count. */
  warmUp?: number;
  /** Whose turns; default: all. */
  shims?: readonly Shim[];
  boundMs?: number;
}

export class Turns {
  /** What could not be measured, and why. */
  readonly leftOut: string[] = [];

  constructor(
    readonly lab: Lab,
    /** Ours first. */
    readonly shims: readonly Shim[],
    readonly rounds: number,
    readonly say: (text: string) => void,
  ) {}

  get ours(): Shim {
    return this.shims.find(({ name }) => name === OURS)!;
  }

  /**
   * Each round every shim has its turn, in its cgroup; who begins changes. What one has left to do is over before the next one's
   * turn. Who fails is left out of the rest, and {@link leftOut} says so.
   *
   * @returns what was measured, by the name of the shim
   */
  async take<T>(
    what: string,
    rounds: number,
    measure: (shim: Shim, round: number) => Promise<T>,
    { warmUp = 0, shims = this.shims, boundMs = BOUND_MS }: TurnOptions = {},
  ): Promise<Record<string, T[]>> {
    const found: Record<string, T[]> = Object.fromEntries(this.shims.map(({ name }) => [name, []]));
    const failed = new Set<Shim>();
    for (let i = -warmUp; i < rounds; i++) {
      this.say(`${what}: ${i + warmUp + 1} of ${rounds + warmUp}`);
      for (let j = 0; j < shims.length; j++) {
        const shim = shims[(i + warmUp + j) % shims.length]!;
        if (failed.has(shim)) continue;
        try {
          const result = await this.#bounded(shim, measure(shim, i), boundMs);
          if (i >= 0) found[shim.name]!.push(result);
        } catch (error) {
          failed.add(shim);
          this.leftOut.push(`${what}: ${shim.name}: ${String(error)}`);
          // Whatever half of it runs yet would be the others' noise.
          await shim.forget();
        }
      }
    }
    return found;
  }

  /** As {@link take}, each turn by itself: in the shim's cgroup, and with everything at rest before it. */
  alone<T>(
    what: string,
    rounds: number,
    measure: (shim: Shim, round: number) => Promise<T>,
    options: TurnOptions = {},
  ): Promise<Record<string, T[]>> {
    const turn = async (shim: Shim, round: number): Promise<T> => {
      for (const one of this.shims) await one.cgroup.settle();
      return shim.cgroup.inside(() => measure(shim, round));
    };
    return this.take(what, rounds, turn, options);
  }

  /** Once it is over time all that it waits for is ended, so it fails soon. */
  async #bounded<T>(shim: Shim, work: Promise<T>, boundMs: number): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`nothing after ${boundMs / 1000} s; its processes have been ended`)),
        boundMs,
      );
    });
    try {
      return await Promise.race([work, late]);
    } catch (error) {
      await shim.forget();
      await Promise.race([work.catch(() => undefined), pause(10_000)]);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }
}

/** One number of each result. */
export function pick<T>(found: Readonly<Record<string, readonly T[]>>, number: (one: T) => number): Samples {
  return Object.fromEntries(Object.entries(found).map(([name, list]) => [name, list.map(number)]));
}

/** The lists of numbers of each turn in one. */
export function flat(found: Readonly<Record<string, readonly (readonly number[])[]>>): Samples {
  return Object.fromEntries(Object.entries(found).map(([name, lists]) => [name, lists.flat()]));
}
