/**
 * What has been asked and not answered, connection by connection, in memory that outlives its worker: each request is noted
 * before it is acted upon, and struck out when its reply is sent. Fixed places, written and read by this file alone.
 *
 *     header       u32 magic, u32 how many requests found no place, u32 the last event that was told
 *     connections  u32 state and flags, u32 last stream id
 *     requests     u32 connection + 1 (0: free), u32 stream id, u32 length (TOO_LONG: not kept), u32 ended, f64 when, bytes
 */
import { closeSync } from 'node:fs';
import { mapShared, shareMemory } from '../../sys/index.js';

const MAGIC = 0x48574c31;
const HEADER = 16;
const CONNECTIONS = 128;
const CONNECTION = 8;
const REQUESTS = 1024;
const REQUEST = 512;
const REQUEST_HEAD = 24;
const FIRST_REQUEST = HEADER + CONNECTIONS * CONNECTION;
/** Behind those, places for long ones: a Create has its mounts in it. */
const LONG_REQUESTS = 16;
const LONG_REQUEST = 8192;
const FIRST_LONG_REQUEST = FIRST_REQUEST + REQUESTS * REQUEST;
const SIZE = FIRST_LONG_REQUEST + LONG_REQUESTS * LONG_REQUEST;
const TOO_LONG = 0xffff_ffff;

/** Of a connection. */
const OPEN = 1;
const BEGUN = 2;
const MID_FRAME = 4;

/** A request that has come, and whose reply has not been sent. */
export interface Unanswered {
  readonly streamId: number;
  /** When it came, milliseconds since the epoch. */
  readonly at: number;
  /** As ttrpc has it; undefined when it was too long to keep. */
  readonly request: Buffer | undefined;
  /** How many workers have ended over it before. */
  readonly ended: number;
}

/** A connection, as its worker has left it in the middle of whatever it did. */
export interface LedgerConnection {
  readonly lastStreamId: number;
  /** Something has been received. */
  readonly begun: boolean;
  /** Half of a frame has been received or sent, and nobody knows the other half. */
  readonly isMidFrame: boolean;
  readonly unanswered: readonly Unanswered[];
}

export class Ledger {
  readonly #words: Uint32Array;
  readonly #times: Float64Array;
  #nextConnection = 0;
  #nextRequest = 0;

  private constructor(
    /** Stays open: another process reads by it what this one has written. */
    readonly fd: number,
    private readonly memory: Buffer,
  ) {
    this.#words = new Uint32Array(memory.buffer, memory.byteOffset, SIZE / 4);
    this.#times = new Float64Array(memory.buffer, memory.byteOffset, SIZE / 8);
  }

  /** A new one. */
  static open(): Ledger {
    const { fd, memory } = shareMemory('hawser-ledger', SIZE);
    const ledger = new Ledger(fd, memory);
    ledger.#words[0] = MAGIC;
    return ledger;
  }

  /** One that another process has written; undefined when it can't be read. */
  static read(fd: number): Ledger | undefined {
    const ledger = new Ledger(fd, mapShared(fd, SIZE));
    return ledger.#words[0] === MAGIC ? ledger : undefined;
  }

  /** The number of the last event that the daemon has taken; 0 for none. */
  get told(): number {
    return this.#words[2]!;
  }

  set told(event: number) {
    this.#words[2] = event;
  }

  /** Nothing is written any more. What was mapped goes with the garbage. */
  close(): void {
    closeSync(this.fd);
  }

  /** A number for a connection; undefined when there are too many, which are then not accounted for. */
  connect(lastStreamId = 0, begun = false): number | undefined {
    for (let tried = 0; tried < CONNECTIONS; tried++) {
      const connection = this.#nextConnection;
      this.#nextConnection = (connection + 1) % CONNECTIONS;
      const at = connectionAt(connection);
      if (this.#words[at] !== 0) continue;
      this.#words[at + 1] = lastStreamId;
      this.#words[at] = OPEN | (begun ? BEGUN : 0);
      return connection;
    }
    return undefined;
  }

  /** The last stream that its client has begun. */
  lastStreamId(connection: number): number {
    return this.#words[connectionAt(connection) + 1]!;
  }

  /** Where it says that a connection is between frames and has been used, in which word; the last stream is the next. */
  quiet(connection: number): { words: Uint32Array; place: number; quiet: number } {
    return { words: this.#words, place: connectionAt(connection), quiet: OPEN | BEGUN };
  }

  /** It is closed, with all that was asked on it. */
  disconnect(connection: number, places: Iterable<number>): void {
    for (const place of places) this.answered(place);
    this.#words[connectionAt(connection)] = 0;
  }

  /** Half of a frame is in this process's memory alone; or no more. */
  midFrame(connection: number, is: boolean): void {
    const at = connectionAt(connection);
    if (is) this.#words[at]! |= MID_FRAME;
    else this.#words[at]! &= ~MID_FRAME;
  }

  /** Notes a request, and how many workers have ended over it. Gives its place, or undefined when there is none: then nobody will know of it. */
  asked(connection: number, streamId: number, request: Uint8Array, ended = 0): number | undefined {
    const words = this.#words;
    const at = connectionAt(connection);
    const isLong = request.length > REQUEST - REQUEST_HEAD;
    const long = isLong && request.length <= LONG_REQUEST - REQUEST_HEAD ? this.#freeLong() : undefined;
    const place = long ?? this.#free();
    if (place !== undefined) {
      const to = requestAt(place);
      const isKept = !isLong || long !== undefined;
      words[to + 1] = streamId;
      words[to + 2] = isKept ? request.length : TOO_LONG;
      words[to + 3] = ended;
      this.#times[(to + 4) / 2] = Date.now();
      if (isKept) this.memory.set(request, to * 4 + REQUEST_HEAD);
      words[to] = connection + 1;
      if (long === undefined) this.#nextRequest = (place + 1) % REQUESTS;
    } else words[1]!++;
    words[at + 1] = Math.max(words[at + 1]!, streamId);
    words[at]! |= BEGUN;
    return place;
  }

  /** The reply has been sent. */
  answered(place: number): void {
    this.#words[requestAt(place)] = 0;
    // What was written to once is used again.
    if (place < this.#nextRequest) this.#nextRequest = place;
  }

  #free(): number | undefined {
    let place = this.#nextRequest;
    for (let tried = 0; tried < REQUESTS; tried++, place = (place + 1) % REQUESTS)
      if (this.#words[requestAt(place)] === 0) return place;
    return undefined;
  }

  #freeLong(): number | undefined {
    for (let place = REQUESTS; place < REQUESTS + LONG_REQUESTS; place++)
      if (this.#words[requestAt(place)] === 0) return place;
    return undefined;
  }

  /** What is known of a connection; undefined when it is closed. */
  connection(connection: number): LedgerConnection | undefined {
    const at = connectionAt(connection);
    const state = this.#words[at]!;
    if ((state & OPEN) === 0) return undefined;
    const unanswered: Unanswered[] = [];
    for (let place = 0; place < REQUESTS + LONG_REQUESTS; place++) {
      const from = requestAt(place);
      if (this.#words[from] !== connection + 1) continue;
      const length = this.#words[from + 2]!;
      const bytes = from * 4 + REQUEST_HEAD;
      unanswered.push({
        streamId: this.#words[from + 1]!,
        at: this.#times[(from + 4) / 2]!,
        ended: this.#words[from + 3]!,
        request: length === TOO_LONG ? undefined : Buffer.from(this.memory.subarray(bytes, bytes + length)),
      });
    }
    return {
      lastStreamId: this.#words[at + 1]!,
      begun: (state & BEGUN) !== 0,
      isMidFrame: (state & MID_FRAME) !== 0,
      unanswered,
    };
  }
}

/** By words. */
function connectionAt(connection: number): number {
  return (HEADER + connection * CONNECTION) / 4;
}

function requestAt(place: number): number {
  if (place < REQUESTS) return (FIRST_REQUEST + place * REQUEST) / 4;
  return (FIRST_LONG_REQUEST + (place - REQUESTS) * LONG_REQUEST) / 4;
}
