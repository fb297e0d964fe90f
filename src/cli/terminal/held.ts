/** Signals for this command while it takes away what it must not leave behind. */
import { constants } from 'node:os';
import { Exit, SIGNALLED } from '../errors.js';
import { TOO_OFTEN } from './signals.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export class HeldSignals {
  #came = 0;
  #insist: (exit: Exit) => void = () => undefined;
  readonly #handlers = SIGNALS.map((name) => {
    const handler = (): void => {
      if (++this.#came === TOO_OFTEN) this.#insist(new Exit(SIGNALLED + constants.signals[name]));
    };
    return [name, handler] as const;
  });
  /** Rejects with an Exit when somebody insists on ending this command. */
  readonly insisted = new Promise<never>((_, reject) => (this.#insist = reject));

  constructor() {
    this.insisted.catch(() => undefined);
  }

  hold(): void {
    for (const [name, handler] of this.#handlers) process.on(name, handler);
  }

  release(): void {
    for (const [name, handler] of this.#handlers) process.off(name, handler);
  }
}
