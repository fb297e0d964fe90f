import { closeSync } from 'node:fs';
import { streamNumber, type EntryStream } from './entries.js';
import { checked, SysError } from './error.js';
import { native } from './native.js';
import { READABLE, Watch } from './watch.js';

/** What a {@link Relay} needs before it can go on: as in monitor/copy.h, in its order. */
const STATES = ['goes-on', 'wants-source', 'wants-sink', 'ended', 'source-failed', 'sink-failed', 'has-all'] as const;
export type RelayState = (typeof STATES)[number];

/**
 * A copy from one non-blocking descriptor into another, of which no byte comes to JavaScript: between pipes the kernel hands
 * over pages (splice(2)). It is made step by step, by who is told that a descriptor is ready; or, while there is much to copy,
 * by a thread. The descriptors stay the caller's, who closes them after the relay.
 */
export class Relay {
  readonly #handle: unknown;
  /** Tells that the thread has ended. */
  #over: { fd: number; watch: Watch } | undefined;
  #closed = false;

  /**
   * @param first what comes before all that is in the source, as it is
   * @param stream what is copied becomes entries of this stream in a log
   * @throws SysError when there is no memory
   */
  constructor(source: number, sink: number, first?: Uint8Array, stream?: EntryStream) {
    const handle = native.relayOpen(source, sink, first ?? null, streamNumber(stream));
    if (typeof handle === 'number') throw new SysError(handle, 'relay');
    this.#handle = handle;
  }

  /** Moves what can be moved without waiting, up to some MiB. */
  step(): RelayState {
    this.#check();
    return STATES[native.relayStep(this.#handle)]!;
  }

  /**
   * A thread copies from now on, until there has been nothing to do for a while, an end, or an error, or half a second is
   * over; join() is to be called then. What it was, the next step meets. Nothing else may be called meanwhile but stop().
   *
   * @throws SysError when there are no threads or descriptors to be had; nothing has been copied then
   */
  start(onOver: () => void): void {
    this.#check();
    const fd = checked(native.eventfd(), 'eventfd');
    let watch: Watch | undefined;
    try {
      watch = new Watch(fd, onOver);
      watch.want(READABLE);
      checked(native.relayStart(this.#handle, fd), 'relay');
      this.#over = { fd, watch };
    } catch (error) {
      watch?.close();
      closeSync(fd);
      throw error;
    }
  }

  /** True while there is a thread, or one that has not been joined. */
  get isRunning(): boolean {
    return this.#over !== undefined;
  }

  /** The thread ends as soon as it can, and says so. */
  stop(): void {
    if (this.#over) native.relayStop(this.#handle);
  }

  /** Ends the thread, at once unless its sink is a file that cannot be written just now. */
  join(): void {
    const over = this.#over;
    if (!over) return;
    this.#over = undefined;
    native.relayStop(this.#handle);
    native.relayJoin(this.#handle);
    over.watch.close();
    closeSync(over.fd);
  }

  /** What it needs next, as its last step or its thread has left it. */
  get state(): RelayState {
    this.#check();
    return STATES[native.relayNumbers(this.#handle)[3]]!;
  }

  /** Bytes that are in the sink; of a log's, that were taken of the source. */
  get copied(): number {
    this.#check();
    return native.relayNumbers(this.#handle)[0];
  }

  /** Bytes that were read and are not written; 0 while there is a thread, which holds no more than a pipe does. */
  get held(): number {
    return this.#over || this.#closed ? 0 : native.relayNumbers(this.#handle)[1];
  }

  /** What has failed. */
  get error(): SysError {
    this.#check();
    return new SysError(-native.relayNumbers(this.#handle)[2], 'copy');
  }

  /** What was read and is not written, which the relay then no longer has; of a log's, entries. */
  take(): Buffer {
    this.#check();
    return native.relayTake(this.#handle);
  }

  /** Ends it at once; what it held is lost. A second call does nothing. */
  close(): void {
    if (this.#closed) return;
    this.join();
    this.#closed = true;
    native.relayClose(this.#handle);
  }

  #check(): void {
    if (this.#closed) throw new Error('the relay is closed');
    if (this.#over) throw new Error('the relay is with its thread');
  }
}
