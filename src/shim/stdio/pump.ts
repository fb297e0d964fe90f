/** Copies from a non-blocking descriptor into a sink. */
import { READABLE, Watch } from '../../sys/index.js';
import type { Counters } from '../observe/counters.js';
import { BufferMover, DescriptorMover, type Mover, type Next } from './mover.js';
import { CountingSink, DescriptorSink, type Sink } from './sink.js';

/** With so many bytes in so many milliseconds, a thread that does nothing else copies faster, and with less. */
const MUCH = 256 * 1024;
const MUCH_MS = 20;
/** How soon a terminal that nobody has open is looked at again. */
const HANGUP_RETRY_MS = 100;

export interface PumpOptions {
  /** Where the bytes that are copied are added. */
  counters: Pick<Counters, 'bytesCopied'>;
  /** Called once, when the source has ended, or was told to and is drained. Not after stop(). */
  onEnd: () => void;
  /** Called when the sink refuses data for good; what follows is read and dropped, so that the writer never stalls. */
  onSinkError?: (error: Error) => void;
  /** What was read of the source before, and comes first. */
  first?: Buffer;
}

export class Pump {
  readonly #options: PumpOptions;
  readonly #readable: Watch;
  #mover: Mover;
  #threaded = false;
  #counted = 0;
  /** Bytes since then, in milliseconds since the epoch. */
  #recent = { bytes: 0, since: 0 };
  #retry: NodeJS.Timeout | undefined;
  #finishing = false;
  #sinkBroken = false;
  #done = false;

  /** @param sink a sink, which the pump closes when it ends; or a non-blocking descriptor, which stays the caller's */
  constructor(
    private readonly source: number,
    sink: Sink | DescriptorSink | number,
    options: PumpOptions,
  ) {
    this.#options = options;
    this.#readable = new Watch(source, () => this.#copy());
    this.#readable.want(READABLE);
    const into = typeof sink === 'number' ? new DescriptorSink(sink) : sink;
    this.#mover =
      into instanceof DescriptorSink
        ? new DescriptorMover(source, into, options.first)
        : new BufferMover(source, into, options.first);
    // Nothing may come back to who has no pump yet.
    if (options.first?.length) setImmediate(() => this.#copy());
  }

  /** Bytes that were read of the source, and are not in the sink. */
  get pending(): number {
    return this.#done ? 0 : this.#mover.pending;
  }

  /** Stops between two steps, for another process to go on. False when something of it would be lost. */
  rest(): boolean {
    if (this.#done || this.#finishing || this.#sinkBroken) return false;
    if (this.#threaded) {
      if (!this.#mover.takeBack()) return false;
      this.#threadIsOver();
    }
    return !this.#done && this.#mover.pending === 0;
  }

  /** Nothing more will be written to the source: copies what is left there, however slow the sink, then ends. */
  finish(): void {
    if (this.#done || this.#finishing) return;
    this.#finishing = true;
    if (!this.#threaded) this.#copy();
    else if (this.#mover.takeBack()) this.#threadIsOver();
  }

  /** Ends at once. The descriptors may be closed after this. */
  stop(): void {
    if (this.#done) return;
    this.#done = true;
    clearTimeout(this.#retry);
    if (!this.#threaded || this.#mover.takeBack()) this.#count();
    this.#mover.close();
    this.#readable.close();
  }

  #end(): void {
    this.stop();
    this.#options.onEnd();
  }

  #copy(): void {
    if (!this.#done && !this.#threaded && !this.#startThread()) this.#step();
  }

  #step(): void {
    let next: Next;
    try {
      next = this.#mover.step();
    } catch (error) {
      this.#count();
      this.#breaks(error as Error);
      return;
    }
    this.#count();
    this.#goOn(next);
  }

  #goOn(next: Next): void {
    switch (next) {
      case 'more':
        // Level-triggered: a source with more to give calls again. One that only finishes must be called by us.
        this.#readable.want(READABLE);
        if (this.#finishing) setImmediate(() => this.#copy());
        return;
      case 'source':
        if (this.#finishing) this.#end();
        else this.#readable.want(READABLE);
        return;
      case 'sink':
        this.#readable.want(0);
        this.#mover.whenRoom(() => this.#copy());
        return;
      case 'end':
        this.#end();
        return;
      case 'hung-up':
        this.#hungUp();
    }
  }

  #startThread(): boolean {
    const now = Date.now();
    if (now - this.#recent.since > MUCH_MS) this.#recent = { bytes: 0, since: now };
    if (this.#recent.bytes <= MUCH || this.#finishing || this.#sinkBroken) return false;
    this.#threaded = this.#mover.startThread(() => this.#threadIsOver());
    if (this.#threaded) this.#readable.want(0);
    return this.#threaded;
  }

  /** Whatever it was that ended it, the next step meets the same. */
  #threadIsOver(): void {
    this.#threaded = false;
    if (this.#done) return;
    this.#recent = { bytes: 0, since: Date.now() };
    this.#count();
    this.#step();
  }

  #count(): void {
    const { moved } = this.#mover;
    if (!this.#sinkBroken) this.#options.counters.bytesCopied += moved - this.#counted;
    this.#recent.bytes += moved - this.#counted;
    this.#counted = moved;
  }

  /** A terminal that nobody has open just now: its watch would fire without end, so it rests and looks again later. */
  #hungUp(): void {
    if (this.#finishing) {
      this.#end();
      return;
    }
    this.#readable.want(0);
    this.#retry = setTimeout(() => {
      if (!this.#done) this.#readable.want(READABLE);
    }, HANGUP_RETRY_MS);
  }

  #breaks(error: Error): void {
    this.#sinkBroken = true;
    this.#options.onSinkError?.(error);
    if (this.#done) return;
    this.#mover.close();
    this.#mover = new BufferMover(this.source, new CountingSink());
    this.#counted = 0;
    this.#step();
  }
}
