/** Copies from a non-blocking descriptor into a sink, for what cannot be handed to the process itself. */
import { READABLE, Relay, SysError, tryReadMuch, Watch } from '../../sys/index.js';
import { counters } from '../observe/counters.js';
import { DescriptorSink, type Sink } from './sink.js';

const CHUNK = 64 * 1024;
/** Chunks copied before other events get their turn. */
const BURST = 16;
/** With so many bytes in so many milliseconds, a thread that does nothing else copies faster, and with less. */
const MUCH = 256 * 1024;
const MUCH_MS = 20;
/** How soon a terminal that nobody has open is looked at again. */
const HANGUP_RETRY_MS = 100;

/** One for all pumps: it is only used within one turn. Made when the first terminal is. */
let scratch: Buffer | undefined;

export interface PumpOptions {
  /** Called once, when the source has ended, or was told to and is drained. Not after stop(). */
  onEnd: () => void;
  /** Called when the sink refuses data for good; what follows is read and dropped, so that the writer never stalls. */
  onSinkError?: (error: Error) => void;
  /** What was read of the source before, and comes first. */
  first?: Buffer;
}

export class Pump {
  readonly #source: number;
  readonly #sink: Sink;
  readonly #options: PumpOptions;
  readonly #readable: Watch;
  #pending: Buffer | undefined;
  /** While it copies, neither descriptor is touched here. */
  #relay: Relay | undefined;
  /** Bytes since then, in milliseconds since the epoch. */
  #recent = { bytes: 0, since: 0 };
  #retry: NodeJS.Timeout | undefined;
  #finishing = false;
  #sinkBroken = false;
  #done = false;

  /** @param sink a sink, which the pump closes when it ends; or a non-blocking descriptor, which stays the caller's */
  constructor(source: number, sink: Sink | number, options: PumpOptions) {
    this.#source = source;
    this.#sink = typeof sink === 'number' ? new DescriptorSink(sink) : sink;
    this.#options = options;
    this.#readable = new Watch(source, () => this.#copy());
    this.#readable.want(READABLE);
    if (options.first?.length) this.#write(options.first, options.first.length);
  }

  /** Bytes that were read of the source, and are not in the sink. */
  get pending(): number {
    return this.#pending?.length ?? 0;
  }

  /** Nothing more will be written to the source: copies what is left there, however slow the sink, then ends. */
  finish(): void {
    if (this.#done || this.#finishing) return;
    this.#finishing = true;
    this.#takeBack();
    if (!this.#pending) this.#copy();
  }

  /** Ends at once. The descriptors may be closed after this. */
  stop(): void {
    if (this.#done) return;
    this.#done = true;
    clearTimeout(this.#retry);
    this.#endRelay();
    this.#readable.close();
    this.#sink.close();
    this.#pending = undefined;
  }

  #end(): void {
    this.stop();
    this.#options.onEnd();
  }

  #copy(): void {
    if (this.#done || this.#pending || (this.#isMuch() && this.#startRelay())) return;
    scratch ??= Buffer.allocUnsafeSlow(CHUNK);
    for (let turn = 0; turn < BURST; turn++) {
      if (this.#done || this.#pending) return;
      let n: number | undefined;
      try {
        n = tryReadMuch(this.#source, scratch);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EIO') throw error;
        this.#hungUp();
        return;
      }
      if (n === undefined && !this.#finishing) return;
      if (n === undefined || n === 0) {
        this.#end();
        return;
      }
      this.#recent.bytes += n;
      this.#write(scratch, n);
    }
    // Level-triggered: a source with more to give calls again. One that only finishes must be called by us.
    if (this.#finishing && !this.#pending && !this.#done) setImmediate(() => this.#copy());
  }

  #isMuch(): boolean {
    const now = Date.now();
    if (now - this.#recent.since > MUCH_MS) this.#recent = { bytes: 0, since: now };
    return this.#recent.bytes > MUCH && !this.#finishing && !this.#sinkBroken;
  }

  /** False where there is no thread to be had, or nothing for it to write to. */
  #startRelay(): boolean {
    const { descriptor } = this.#sink;
    if (descriptor === undefined) return false;
    try {
      this.#relay = new Relay(this.#source, descriptor, () => this.#relayIsOver());
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      return false;
    }
    this.#readable.want(0);
    return true;
  }

  /** Whatever it was that ended it, the next reading or writing meets the same. */
  #relayIsOver(): void {
    this.#takeBack();
    if (!this.#pending) this.#readable.want(READABLE);
  }

  #takeBack(): void {
    const left = this.#endRelay();
    if (left) this.#write(left, left.length);
  }

  #endRelay(): Buffer | undefined {
    const ended = this.#relay?.end();
    this.#relay = undefined;
    if (!ended) return undefined;
    counters.bytesCopied += ended.copied;
    this.#recent = { bytes: ended.copied, since: Date.now() };
    return ended.left;
  }

  /** Nobody has the terminal open just now. Its watch would fire without end, so it rests and looks again later. */
  #hungUp(): void {
    if (this.#finishing) {
      this.#end();
      return;
    }
    this.#readable.want(0);
    this.#retry = setTimeout(() => {
      if (this.#done) return;
      this.#readable.want(READABLE);
    }, HANGUP_RETRY_MS);
  }

  #write(buffer: Buffer, to: number): void {
    let from = 0;
    while (from < to && !this.#sinkBroken) {
      let n: number;
      try {
        n = this.#sink.write(buffer, from, to);
      } catch (error) {
        this.#sinkBroken = true;
        this.#options.onSinkError?.(error as Error);
        return;
      }
      if (n === 0) {
        // The scratch buffer is not ours to keep.
        this.#pending = Buffer.from(buffer.subarray(from, to));
        this.#readable.want(0);
        this.#sink.whenRoom(() => this.#resume());
        return;
      }
      from += n;
      counters.bytesCopied += n;
    }
  }

  #resume(): void {
    const pending = this.#pending;
    if (this.#done || !pending) return;
    this.#pending = undefined;
    this.#write(pending, pending.length);
    if (this.#pending) return;
    this.#readable.want(READABLE);
    if (this.#finishing) this.#copy();
  }
}
