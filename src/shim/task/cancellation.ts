/** Says when something is to be broken off: because it was asked to, or because one of several signals says so. */
export class BreakOff {
  readonly #controller = new AbortController();
  readonly #undo: (() => void)[] = [];

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  now(): void {
    this.#controller.abort();
  }

  /** Follows a signal, if it aborts for a reason that counts, until release(). */
  when(signal: AbortSignal | undefined, counts: (reason: unknown) => boolean = () => true): this {
    const check = (): void => {
      if (counts(signal!.reason)) this.now();
    };
    if (signal?.aborted) check();
    else if (signal) {
      signal.addEventListener('abort', check, { once: true });
      this.#undo.push(() => signal.removeEventListener('abort', check));
    }
    return this;
  }

  /** It is over: the signals, which may live much longer, are left alone. */
  release(): void {
    for (const undo of this.#undo.splice(0)) undo();
  }
}
