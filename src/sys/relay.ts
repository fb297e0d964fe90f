import { closeSync } from 'node:fs';
import { checked, SysError } from './error.js';
import { native } from './native.js';
import { READABLE, Watch } from './watch.js';

/** What a {@link Relay} has done. */
export interface Relayed {
  /** Bytes. */
  copied: number;
  /** What was read and is not written. */
  left: Buffer;
}

/**
 * Copies from one non-blocking descriptor into another in a thread of its own, until there is nothing to do for a while, an
 * end, or an error; or half a second is over. What it was is for the caller to see, who goes on from there. Neither
 * descriptor may be touched meanwhile.
 */
export class Relay {
  readonly #handle: unknown;
  readonly #over = checked(native.eventfd(), 'eventfd');
  readonly #watch: Watch;
  #ended = false;

  /**
   * @param onOver it has come to its end by itself; end() is to be called then
   * @throws SysError when there are no threads or descriptors to be had; nothing has been copied then
   */
  constructor(source: number, sink: number, onOver: () => void) {
    let watch: Watch | undefined;
    try {
      this.#watch = watch = new Watch(this.#over, onOver);
      watch.want(READABLE);
      const relay = native.relayStart(source, sink, this.#over);
      if (typeof relay === 'number') throw new SysError(relay, 'relay');
      this.#handle = relay;
    } catch (error) {
      watch?.close();
      closeSync(this.#over);
      throw error;
    }
  }

  /** Ends it, at once. To be called once, and before the descriptors are closed. */
  end(): Relayed {
    if (this.#ended) throw new Error('the relay has ended already');
    this.#ended = true;
    const relayed = native.relayEnd(this.#handle);
    this.#watch.close();
    closeSync(this.#over);
    return relayed;
  }
}
