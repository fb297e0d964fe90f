import { setTimeout as delay } from 'node:timers/promises';
import { errdefs } from '../../api/full.js';

/** How often it is looked whether a reference is free by now, with pauses that double from a millisecond on: half a second in all. */
const TRIES = 10;

/** References that somebody writes to. */
export class Locks {
  readonly #held = new Map<string, number>();

  /** Those that are held now. */
  held(): Iterable<string> {
    return this.#held.keys();
  }

  isHeld(ref: string): boolean {
    return this.#held.has(ref);
  }

  /** Takes a reference; what this gives lets go of it. Unavailable when it is not free soon. */
  async take(ref: string): Promise<() => void> {
    for (let n = 0; this.#held.has(ref); n++) {
      if (n === TRIES) {
        const since = this.#held.get(ref)!;
        throw errdefs.unavailable(
          `ref ${ref} locked for ${((Date.now() - since) / 1000).toFixed(3)}s (since ${new Date(since).toISOString()})`,
        );
      }
      await delay(2 ** n / 2);
    }
    const mark = Date.now();
    this.#held.set(ref, mark);
    let free = false;
    return () => {
      if (!free) this.#held.delete(ref);
      free = true;
    };
  }
}
