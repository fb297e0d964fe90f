/** Signals for this command while it takes away what it must not leave behind. */
import type { Exit } from '../errors.js';
import { endedBy, onSignals } from './on-signals.js';
import { TOO_OFTEN } from './signals.js';

export class HeldSignals {
  #insist: (exit: Exit) => void = () => undefined;
  /** Rejects with an Exit when somebody insists on ending this command. */
  readonly insisted = new Promise<never>((_, reject) => (this.#insist = reject));
  #release = (): void => undefined;

  constructor() {
    this.insisted.catch(() => undefined);
  }

  hold(): void {
    let came = 0;
    this.#release = onSignals(['SIGINT', 'SIGTERM', 'SIGHUP'], (name) => {
      if (++came === TOO_OFTEN) this.#insist(endedBy(name));
    });
  }

  release(): void {
    this.#release();
  }
}
