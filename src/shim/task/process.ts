import type { ExitStatus } from '../../sys/index.js';
import { onExit } from '../../sys/index.js';
import type { Host } from './host.js';
import type { ProcessRecord } from '../record/record.js';
import type { Stdio } from '../stdio/index.js';

/** What belongs to a process but is no data: its stdio, the Waits for it, and when its exit may be published. */
export class LiveProcess {
  stdio: Stdio | undefined;
  readonly #waiters = new Set<() => void>();
  #holds = 0;
  #held: (() => void)[] = [];

  constructor(
    readonly record: ProcessRecord,
    private readonly host: Pick<Host, 'onExit'> = { onExit },
  ) {}

  /** Nothing is published of it before release() has been called as often: what comes first is being answered. */
  hold(): void {
    this.#holds++;
  }

  release(): void {
    if (--this.#holds > 0) return;
    for (const publish of this.#held.splice(0)) {
      // One that fails must not keep the others from being published; it is a defect, and seen as one.
      try {
        publish();
      } catch (error) {
        setImmediate(() => {
          throw error;
        });
      }
    }
  }

  /** Calls now, or when nothing holds it back any more; in the order in which it was asked for. */
  whenFree(publish: () => void): void {
    if (this.#holds > 0) this.#held.push(publish);
    else publish();
  }

  /**
   * Learns the pid. `seen` is called as soon as the process has ended, `free` after that, when nothing holds it back.
   * A process that has ended already is no special case.
   */
  watch(pid: number, seen: (status: ExitStatus) => void, free: () => void): void {
    this.record.pid = pid;
    this.host.onExit(pid, (status) => {
      seen(status);
      this.whenFree(free);
    });
  }

  /** Resolves when wake() is called; rejects with the signal's reason when that comes first. */
  wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason as Error);
        return;
      }
      const aborted = (): void => {
        this.#waiters.delete(wake);
        reject(signal.reason as Error);
      };
      const wake = (): void => {
        signal.removeEventListener('abort', aborted);
        resolve();
      };
      signal.addEventListener('abort', aborted, { once: true });
      this.#waiters.add(wake);
    });
  }

  /** Releases all who wait. */
  wake(): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const wake of waiters) wake();
  }

  get waiting(): number {
    return this.#waiters.size;
  }

  /** True while something else must be published first. */
  get isHeld(): boolean {
    return this.#holds > 0;
  }
}
