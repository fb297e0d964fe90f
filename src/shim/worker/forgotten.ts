/** How long a shim without a container waits for one, though somebody is connected who might make it. */
const NEVER_USED_MS = 5 * 60_000;
/** How long one that has lost its last container waits for the Shutdown that should follow, when nobody is connected. */
const EMPTY_MS = 15_000;

export interface ForgottenOptions {
  neverUsedMs?: number;
  emptyMs?: number;
}

/**
 * Ends a shim that its daemon has forgotten: one without containers, and without clients for some time. A daemon that was
 * killed before Create never asks for the end of a shim that it may still find and connect to.
 */
export class Forgotten {
  #timer: NodeJS.Timeout;
  readonly #emptyMs: number;
  readonly #neverUsedMs: number;
  #emptySince = performance.now();

  /**
   * @param isUnused asked after a time without use, which may have been long; once it has said yes, nobody may use the
   *   shim any more
   */
  constructor(
    private readonly isUnused: (forLong: boolean) => boolean,
    private readonly end: () => void,
    options: ForgottenOptions = {},
  ) {
    this.#emptyMs = options.emptyMs ?? EMPTY_MS;
    this.#neverUsedMs = options.neverUsedMs ?? NEVER_USED_MS;
    this.#timer = this.#every(this.#neverUsedMs);
  }

  /** The last container is gone. From now on it looks more often. */
  emptied(): void {
    this.#emptySince = performance.now();
    clearInterval(this.#timer);
    this.#timer = this.#every(this.#emptyMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #every(ms: number): NodeJS.Timeout {
    return setInterval(() => {
      // Timers may fire a little early.
      if (!this.isUnused(performance.now() - this.#emptySince >= this.#neverUsedMs * 0.99)) return;
      this.stop();
      this.end();
    }, ms).unref();
  }
}
