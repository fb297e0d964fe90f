/** How a {@link Pump} gets bytes from its source into its sink: natively between descriptors, or through a buffer. */
import { Relay, SysError, tryReadMuch, type RelayState } from '../../sys/index.js';
import { Burst } from './burst.js';
import { DescriptorSink, type Sink } from './sink.js';

const CHUNK = 64 * 1024;
/** Chunks copied before other events get their turn. */
const BURST = 16;

/** One for all movers: it is only used within one turn. Made when the first is needed. */
// eslint-disable-next-line hawser/module-state -- nothing is in it between two turns
let scratch: Buffer | undefined;

/** What a step has come to. `hung-up`: the source cannot be read just now, and does not tell when it can. */
export type Next = 'more' | 'source' | 'sink' | 'end' | 'hung-up';

export interface Mover {
  /** Moves what can be moved now, within bounds. Throws when the sink will never take any more. */
  step(): Next;
  /** Calls back once when the sink has room again. */
  whenRoom(callback: () => void): void;
  /**
   * Has a thread go on, for much at a time; calls back when it has ended, until when only takeBack() and close() may be
   * called. False where there is none to be had.
   */
  startThread(onOver: () => void): boolean;
  /** Ends the thread. False when it takes its time; the callback comes then. */
  takeBack(): boolean;
  /** Bytes that are in the sink. Not while there is a thread. */
  readonly moved: number;
  /** Bytes that were read, and are not in the sink. */
  readonly pending: number;
  /** Ends at once; no callback comes after this, and the descriptors may be closed. */
  close(): void;
}

const NEXT: Record<RelayState, Next> = {
  'goes-on': 'more',
  'wants-source': 'source',
  'wants-sink': 'sink',
  ended: 'end',
  'source-failed': 'hung-up',
  // Never looked up: see step().
  'sink-failed': 'end',
  // None of ours has a bound.
  'has-all': 'end',
};

/** Between descriptors: no byte comes to JavaScript, and between pipes none is copied at all. */
export class DescriptorMover implements Mover {
  readonly #relay: Relay;

  constructor(
    source: number,
    private readonly sink: DescriptorSink,
    first?: Buffer,
  ) {
    this.#relay = new Relay(source, sink.descriptor, first);
  }

  step(): Next {
    const state = this.#relay.step();
    if (state === 'sink-failed') throw this.#relay.error;
    return NEXT[state];
  }

  whenRoom(callback: () => void): void {
    this.sink.whenRoom(callback);
  }

  startThread(onOver: () => void): boolean {
    try {
      this.#relay.start(() => {
        this.#relay.join();
        onOver();
      });
      return true;
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      return false;
    }
  }

  takeBack(): boolean {
    this.#relay.join();
    return true;
  }

  get moved(): number {
    return this.#relay.copied;
  }

  get pending(): number {
    return this.#relay.held;
  }

  close(): void {
    this.#relay.close();
    this.sink.close();
  }
}

/** Through a buffer, into a sink that looks at the bytes, or hands them to somebody who may be slow. */
export class BufferMover implements Mover {
  #moved = 0;
  #burst: Burst | undefined;
  #closed = false;

  constructor(
    private readonly source: number,
    private readonly sink: Sink,
    private waiting?: Buffer,
  ) {}

  step(): Next {
    const { waiting } = this;
    this.waiting = undefined;
    if (waiting && !this.#write(waiting, waiting.length)) return 'sink';
    scratch ??= Buffer.allocUnsafeSlow(CHUNK);
    for (let turn = 0; turn < BURST; turn++) {
      let n: number | undefined;
      try {
        n = tryReadMuch(this.source, scratch);
      } catch (error) {
        // A terminal that nobody has open gives EIO; a pipe gives what the file had that its pages came from.
        if (!(error instanceof SysError)) throw error;
        return 'hung-up';
      }
      if (n === undefined) return 'source';
      if (n === 0) return 'end';
      if (!this.#write(scratch, n)) return 'sink';
    }
    return 'more';
  }

  whenRoom(callback: () => void): void {
    this.sink.whenRoom(callback);
  }

  startThread(onOver: () => void): boolean {
    const { sink, waiting } = this;
    // A log's thread writes entries alone, which what waits is not yet.
    if (!sink.forThread || (sink.stream !== undefined && waiting)) return false;
    this.waiting = undefined;
    const burst = new Burst(
      this.source,
      () => sink.forThread!(),
      ({ copied, left }) => {
        this.#burst = undefined;
        this.#moved += copied;
        if (sink.stream !== undefined) sink.written?.(copied, left);
        else {
          sink.written?.(copied);
          if (left.length > 0) this.waiting = left;
        }
        if (!this.#closed) onOver();
      },
      waiting,
      sink.stream,
    );
    this.#burst = burst;
    return true;
  }

  takeBack(): boolean {
    this.#burst?.stop();
    return this.#burst === undefined;
  }

  get moved(): number {
    return this.#moved;
  }

  get pending(): number {
    return this.waiting?.length ?? 0;
  }

  close(): void {
    this.#closed = true;
    this.#burst?.stop();
    this.sink.close();
    this.waiting = undefined;
  }

  /** False when the sink has no room for all of it: the rest waits. */
  #write(buffer: Buffer, to: number): boolean {
    for (let from = 0; from < to;) {
      const n = this.sink.write(buffer, from, to);
      if (n === 0) {
        // The scratch buffer is not ours to keep.
        this.waiting = Buffer.from(buffer.subarray(from, to));
        return false;
      }
      from += n;
      this.#moved += n;
    }
    return true;
  }
}
