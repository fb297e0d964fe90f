/**
 * A connection of a daemon's that outlives its worker. A request stays in the kernel until the ledger has it, and is struck out
 * there when its reply is with the kernel: so whoever comes after this process, which may end between any two steps, knows
 * what is still to be answered, and where the next frame begins. It reads and writes by itself, which takes a fraction of the
 * time of a Node stream.
 */
import { EventEmitter } from 'node:events';
import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
import { consume, READABLE, SysError, tryPeek, trySend, Watch, WRITABLE } from '../../sys/index.js';
import type { CallAccount, ConnectionSocket } from '../../ttrpc/connection-socket.js';
import { EMPTY } from '../../ttrpc/envelope.js';
import { HEADER_LENGTH } from '../../ttrpc/wire.js';
import type { Ledger } from './ledger.js';

/** What is looked at in one turn. */
const CHUNK = 64 * 1024;
/** The kernel takes so much as a whole or not at all: one message of a stream has up to 32 KiB in one piece, and a few pages (unix_stream_sendmsg). */
const WHOLE = 32 * 1024;
/** A writer that has more than this unsent is told to wait. */
const ENOUGH = 16 * 1024;
/** The rest of a frame follows its beginning at once, from who writes them one after the other. */
const PATIENCE = 20;

interface Written {
  readonly bytes: Uint8Array;
  /** The request that is answered with the end of it. */
  place?: number | undefined;
}

/** What the connections of one process share. */
export interface TrackedSettings {
  readonly ledger: Ledger;
  /** What they are looked at in, one at a time. */
  readonly scratch: Buffer;
  /** Called when something is about to be sent. */
  readonly beforeSend: () => void;
}

export class TrackedSocket extends EventEmitter implements ConnectionSocket {
  destroyed = false;
  readonly account: CallAccount;
  readonly #watch: Watch;
  readonly #ledger: Ledger;
  readonly #scratch: Buffer;
  readonly #beforeSend: () => void;
  /** In the ledger. */
  readonly number: number;
  /** Unanswered requests, by stream. */
  readonly #places = new Map<number, number>();
  #queue: Written[] = [];
  #unsent = 0;
  #isPaused = false;
  #isWaitingForRoom = false;
  #isEnding = false;
  #isDrainAwaited = false;
  /** The header of a frame that is taken in parts, as far as it has come, and how much of the frame is still to come. */
  readonly #header = Buffer.allocUnsafe(HEADER_LENGTH);
  #headerFill = 0;
  #toCome = 0;
  #isMidOut = false;
  /** How often the beginning of a frame has been seen without the rest. */
  #patience = PATIENCE;

  /** @param fd non-blocking, and this one's from now on */
  constructor(
    readonly fd: number,
    { ledger, scratch, beforeSend }: TrackedSettings,
    number: number,
  ) {
    super();
    this.#ledger = ledger;
    this.#scratch = scratch;
    this.#beforeSend = beforeSend;
    this.number = number;
    this.account = {
      asked: (streamId, request, ended) => {
        const place = ledger.asked(number, streamId, request, ended);
        if (place !== undefined) this.#places.set(streamId, place);
      },
      answered: (streamId) => this.#answered(streamId),
      lastStreamId: () => ledger.lastStreamId(number),
    };
    this.#watch = new Watch(fd, (events) => this.#ready(events));
    const { words, place, quiet } = ledger.quiet(number);
    this.#watch.answers(words, place, quiet);
    this.#watch.want(READABLE);
  }

  /** For connections of one process; undefined when the ledger has no place for it. */
  static open(fd: number, settings: TrackedSettings, lastStreamId = 0, begun = false): TrackedSocket | undefined {
    const number = settings.ledger.connect(lastStreamId, begun);
    return number === undefined ? undefined : new TrackedSocket(fd, settings, number);
  }

  get writable(): boolean {
    return !this.destroyed && !this.#isEnding;
  }

  get writableLength(): number {
    return this.#unsent;
  }

  write(bytes: Uint8Array): boolean {
    if (this.destroyed) return false;
    this.#queue.push({ bytes });
    this.#unsent += bytes.length;
    if (this.#unsent < ENOUGH) return true;
    this.#isDrainAwaited = true;
    return false;
  }

  /** Nothing is sent but by uncork(): what is written in between goes out together. */
  cork(): void {
    /* See write(). */
  }

  uncork(): void {
    if (!this.destroyed && !this.#isWaitingForRoom) this.#flush();
  }

  pause(): void {
    this.#isPaused = true;
    this.#want();
  }

  resume(): void {
    this.#isPaused = false;
    this.#want();
  }

  destroySoon(): void {
    this.#isEnding = true;
    if (this.#unsent === 0) this.destroy();
  }

  destroy(): void {
    if (this.destroyed) return;
    this.#release();
    closeSync(this.fd);
    process.nextTick(() => this.emit('close'));
  }

  /** From now on it is Node's, and this is no more: for what is no ttrpc. What has been seen of it is no longer in it. */
  asNodeSocket(seen: number): Socket {
    consume(this.fd, seen);
    this.#release();
    this.removeAllListeners();
    return new Socket({ fd: this.fd, readable: true, writable: true });
  }

  #release(): void {
    this.destroyed = true;
    this.#watch.close();
    const queued = this.#queue.flatMap(({ place }) => place ?? []);
    this.#ledger.disconnect(this.number, [...this.#places.values(), ...queued]);
    this.#places.clear();
    this.#queue = [];
    this.#unsent = 0;
  }

  #want(): void {
    this.#watch.want((this.#isPaused ? 0 : READABLE) | (this.#isWaitingForRoom ? WRITABLE : 0));
  }

  #ready(events: number): void {
    try {
      if (events & WRITABLE) this.#flush();
      if (events & READABLE && !this.destroyed && !this.#isPaused) this.#read();
      // One whose client has reset it is watched no more, unless that is asked for again.
      if (!this.destroyed) this.#want();
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    // A defect. What was being acted upon is still in the kernel, and would come again, and again.
    if (!(error instanceof SysError)) {
      this.destroy();
      throw error;
    }
    this.emit('error', error);
    this.destroy();
  }

  // ---- in ----------------------------------------------------------------------------------------------------------

  #read(): void {
    const scratch = this.#scratch;
    const n = tryPeek(this.fd, scratch);
    if (n === undefined) return;
    if (n === 0) {
      this.emit('end');
      return;
    }
    if (this.#headerFill > 0) {
      this.#takePart(n);
      return;
    }
    const [whole, next] = frames(scratch, n);
    if (whole > 0) this.#hand(whole);
    else if (next <= CHUNK && this.#patience > 0) {
      this.#patience--;
      return;
    } else this.#takePart(n);
    this.#patience = PATIENCE;
  }

  /** Of a frame that is too long to be seen as a whole, or comes too slowly; or of something else. */
  #takePart(n: number): void {
    const missing = HEADER_LENGTH - this.#headerFill;
    this.#scratch.copy(this.#header, this.#headerFill, 0, Math.min(missing, n));
    this.#headerFill += Math.min(missing, n);
    this.#noteMidFrame();
    if (n < missing) {
      this.#hand(n);
      return;
    }
    if (missing > 0) this.#toCome = missing + this.#header.readUInt32BE(0);
    const taken = Math.min(n, this.#toCome);
    this.#toCome -= taken;
    this.#hand(taken);
    if (this.#toCome > 0 || this.destroyed) return;
    this.#headerFill = 0;
    this.#noteMidFrame();
  }

  /** Is acted upon first, and taken then. */
  #hand(length: number): void {
    this.emit('data', Buffer.from(this.#scratch.subarray(0, length)));
    if (!this.destroyed) consume(this.fd, length);
  }

  #noteMidFrame(): void {
    this.#ledger.midFrame(this.number, this.#headerFill > 0 || this.#isMidOut);
  }

  // ---- out ---------------------------------------------------------------------------------------------------------

  #answered(streamId: number): void {
    const place = this.#places.get(streamId);
    if (place === undefined) return;
    this.#places.delete(streamId);
    const last = this.#queue.at(-1);
    if (!last) this.#ledger.answered(place);
    else if (last.place === undefined) last.place = place;
    else this.#queue.push({ bytes: EMPTY, place });
  }

  /** Sends what there is, as far as there is room. */
  #flush(): void {
    try {
      this.#beforeSend();
      this.#send();
    } catch (error) {
      this.#failed(error);
    }
  }

  #send(): void {
    while (this.#queue.length > 0) {
      const together = this.#together();
      const bytes =
        together === 1 ? this.#queue[0]!.bytes : Buffer.concat(this.#queue.slice(0, together).map((one) => one.bytes));
      // Before, as who comes after this process must not write into the middle of it.
      const isAnew = bytes.length > WHOLE && !this.#isMidOut;
      if (isAnew) this.#setMidOut(true);
      const n = bytes.length === 0 ? 0 : trySend(this.fd, bytes);
      if (n === undefined) {
        if (isAnew) this.#setMidOut(false);
        this.#isWaitingForRoom = true;
        this.#want();
        return;
      }
      this.#sent(n);
    }
    if (this.#isWaitingForRoom) {
      this.#isWaitingForRoom = false;
      this.#want();
    }
    if (this.#isDrainAwaited) {
      this.#isDrainAwaited = false;
      this.emit('drain');
    }
    if (this.#isEnding) this.destroy();
  }

  /** How many of the queue go out in one call. */
  #together(): number {
    let count = 1;
    let length = this.#queue[0]!.bytes.length;
    while (count < this.#queue.length && (length += this.#queue[count]!.bytes.length) <= WHOLE) count++;
    return count;
  }

  #sent(count: number): void {
    this.#unsent -= count;
    let left = count;
    while (this.#queue.length > 0 && this.#queue[0]!.bytes.length <= left) {
      const { bytes, place } = this.#queue.shift()!;
      left -= bytes.length;
      if (place !== undefined) this.#ledger.answered(place);
    }
    // Nobody else has the other half.
    if (left > 0) this.#queue[0] = { ...this.#queue[0]!, bytes: this.#queue[0]!.bytes.subarray(left) };
    this.#setMidOut(left > 0 || (this.#isMidOut && this.#queue.length > 0));
  }

  #setMidOut(is: boolean): void {
    if (is === this.#isMidOut) return;
    this.#isMidOut = is;
    this.#noteMidFrame();
  }
}

/** How long the whole frames are that a buffer begins with, and how long the next one is, as far as that can be seen. */
function frames(bytes: Buffer, length: number): [whole: number, next: number] {
  let at = 0;
  while (length - at >= HEADER_LENGTH) {
    const frame = HEADER_LENGTH + bytes.readUInt32BE(at);
    if (frame > length - at) return [at, frame];
    at += frame;
  }
  return [at, HEADER_LENGTH];
}
