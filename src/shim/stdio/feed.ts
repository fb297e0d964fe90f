/** Input for a process, whatever its client has it from: by a pipe, as who has a file could reopen it, for writing too. */
import { copyDescriptor, SysError } from '../../sys/index.js';
import { Burst, type Done } from './burst.js';
import { Pump, type PumpOptions } from './pump.js';
import type { DescriptorSink } from './sink.js';

/** How soon a thread that was not to be had is asked for again. */
const RETRY_MS = 100;

/** A copy under way, from a client's input to its process. */
export interface Feed {
  /** Ends at once. The descriptors may be closed after this. */
  stop(): void;
  /** See {@link Pump.rest}. */
  rest(): boolean;
}

/**
 * Copies until the source ends.
 *
 * @param source a FIFO or a terminal that does not block, or what is always ready: a file, /dev/null
 * @param first what was read of the source before
 * @param onEnd called once, when the source has ended, or the process has closed its input. Not after stop()
 */
export function startFeed(
  source: number,
  sink: DescriptorSink,
  counters: PumpOptions['counters'],
  onEnd: () => void,
  first?: Buffer,
): Feed {
  try {
    return new Pump(source, sink, first?.length ? { counters, onEnd, first } : { counters, onEnd });
  } catch (error) {
    // Only what may make one wait can be waited for (epoll_ctl(2)).
    if (!(error instanceof SysError) || error.code !== 'EPERM') throw error;
    return new FileFeed(source, sink, onEnd);
  }
}

/** A thread reads, as a disk may make it wait; while the process reads nothing there is none. */
class FileFeed implements Feed {
  #burst: Burst | undefined;
  #left: Buffer | undefined;
  #stopped = false;
  #retry: NodeJS.Timeout | undefined;

  constructor(
    private readonly source: number,
    private readonly sink: DescriptorSink,
    private readonly onEnd: () => void,
  ) {
    this.#goOn();
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    clearTimeout(this.#retry);
    this.#burst?.stop();
    this.sink.close();
  }

  rest(): boolean {
    return false;
  }

  #goOn(): void {
    if (this.#stopped) return;
    const { descriptor } = this.sink;
    this.#burst = new Burst(
      this.source,
      // eslint-disable-next-line @typescript-eslint/require-await -- an exception is to be the promise's
      async () => copyDescriptor(descriptor),
      (done) => this.#done(done),
      this.#left,
    );
  }

  #done({ left, state }: Done): void {
    this.#burst = undefined;
    if (this.#stopped) return;
    this.#left = left;
    if (state === undefined) {
      this.#retry = setTimeout(() => this.#goOn(), RETRY_MS);
      return;
    }
    if (state === 'goes-on' || state === 'wants-sink' || state === 'wants-source') {
      this.sink.whenRoom(() => this.#goOn());
      return;
    }
    // A file that cannot be read is at its end, and so is one that nobody reads any more.
    this.stop();
    this.onEnd();
  }
}
