/**
 * Collects true orphans: processes that were reparented to the shim because their parent died, and that nobody waits
 * for. Known processes (inits, execs, runtime commands) are collected by their own watch, see sys/exit.ts.
 */
import { reap, reapableOrphans } from '../../sys/index.js';

/** Settles by itself; anything that is collected by others within one turn of the loop is gone by then. */
const LOOK_AGAIN_MS = 50;

export class OrphanReaper {
  /** Runtime commands under way, by the number each began with, and when: one may be about to tell us a pid. */
  readonly #adoptions = new Map<number, number>();
  #next = 0;
  /** Orphans seen, and the last adoption that was begun by then. */
  #seen = new Map<number, number>();
  #timer: NodeJS.Timeout | undefined;
  readonly #onSigchld = (): void => this.#lookSoon();

  start(): void {
    process.on('SIGCHLD', this.#onSigchld);
    this.#lookSoon();
  }

  stop(): void {
    process.off('SIGCHLD', this.#onSigchld);
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /**
   * Runs something that may end with the pid of a child that is ours from then on. That child may be dead before its
   * pid is known; so, until this settles, unknown zombies stay as they are, holding their status for whoever asks.
   * The pid must be waited for before this settles.
   */
  async adopting<T>(work: () => Promise<T>): Promise<T> {
    const number = ++this.#next;
    this.#adoptions.set(number, Date.now());
    try {
      return await work();
    } finally {
      this.#adoptions.delete(number);
      this.#lookSoon();
    }
  }

  /** For the state dump: since when unknown zombies are left as they are, and which there are. */
  describe(): { adoptions: number[]; zombies: number[] } {
    return { adoptions: [...this.#adoptions.values()], zombies: [...this.#seen.keys()] };
  }

  #lookSoon(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#sweep();
    }, LOOK_AGAIN_MS).unref();
  }

  /**
   * An orphan goes in the second sweep that sees it, and only when every adoption that was under way at the first has
   * ended. The turn of the loop between the sweeps is libuv's chance: it collects the children of node:child_process.
   */
  #sweep(): void {
    const oldest = Math.min(...this.#adoptions.keys());
    const seen = new Map<number, number>();
    for (const pid of reapableOrphans()) {
      const since = this.#seen.get(pid);
      if (since !== undefined && oldest > since && reap(pid)) continue;
      seen.set(pid, since ?? this.#next);
    }
    this.#seen = seen;
    // What only an adoption holds back is looked at when that ends.
    if ([...seen.values()].some((since) => oldest > since)) this.#lookSoon();
  }
}
