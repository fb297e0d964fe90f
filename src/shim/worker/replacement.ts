/**
 * Another version of the program is to take the monitor's place (monitor/replace.c): this worker makes room for one of that version, as
 * soon as nothing is under way that it could not go on with.
 */
import { performance } from 'node:perf_hooks';
import { staysWithMonitor, successor } from '../../sys/index.js';
import { FORMAT } from './format.js';
import { keepsFromLeaving, Leaving } from './leaving.js';

/** How soon it is tried again: what is under way is mostly a command of the runtime's, or an event. */
const RETRY_MS = 5;

export class Replacement<T> {
  #isTrying = false;
  #since = 0;

  /**
   * @param prepare puts all into what is left, and gives the record; throws CannotRest
   * @param leave leaves that with the monitor, and ends this process; throws SysError
   */
  constructor(
    private readonly prepare: (leaving: Leaving) => T,
    private readonly leave: (record: T, leaving: Leaving) => never,
  ) {}

  /** The monitor says so. It may say so again: what it wants then is what counts. */
  async asked(): Promise<void> {
    this.#since = performance.now();
    if (this.#isTrying) return;
    this.#isTrying = true;
    try {
      while (!this.#try()) await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    } finally {
      this.#isTrying = false;
    }
  }

  /** True when there is nothing more to try: nobody wants it any more, or the monitor has been told why not. */
  #try(): boolean {
    const next = successor();
    if (!next) return true;
    const { readable, seconds } = next;
    if (FORMAT > readable) {
      staysWithMonitor(`what its worker knows has format ${FORMAT}, and the new program reads ${readable} at the most`);
      return true;
    }
    const leaving = new Leaving();
    try {
      const record = this.prepare(leaving);
      if (seconds >= 0) this.leave(record, leaving);
      leaving.giveUp();
      staysWithMonitor('');
      return true;
    } catch (error) {
      leaving.giveUp();
      if (!keepsFromLeaving(error)) {
        staysWithMonitor(`leaving failed: ${String(error)}`);
        throw error;
      }
      if (performance.now() - this.#since < Math.abs(seconds) * 1000) return false;
      staysWithMonitor(error.message);
      return true;
    }
  }
}
