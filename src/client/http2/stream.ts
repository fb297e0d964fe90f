/** One request and its answer, on a connection of HTTP/2 (RFC 9113, sections 5.1 and 5.2). */
import { CANCEL, FLOW_CONTROL_ERROR, HttpError, NO_ERROR, PROTOCOL_ERROR } from './codes.js';
import type { Header } from './hpack.js';

/** What may come on a stream before somebody has read it. It is the same machine: there is nothing to be gained by more. */
export const STREAM_WINDOW = 1 << 20;

/** By their names in lower case. */
export type Headers = Readonly<Record<string, string | undefined>>;

/** Why a stream is over. Neither, where both sides have said all. */
export interface Over {
  /** HTTP/2's code, where the other side has reset the stream. */
  readonly reset?: number;
  /** What has become of the connection. */
  readonly error?: Error;
}

/** Who is told what comes. */
export interface StreamListener {
  headers(headers: Headers): void;
  data(piece: Buffer): void;
  /** What follows the data, told as soon as it comes: before the data, where nobody reads that. */
  trailers(headers: Headers): void;
  /** All has come, and been read. */
  end(): void;
  /** Comes once, last, and not after {@link Stream.close}. */
  over(why: Over): void;
}

/** What a stream needs of its connection. */
export interface Wire {
  /** The stream has something to send. */
  wantsToSend(stream: Stream): void;
  /** So many bytes more may come. */
  credit(stream: Stream, bytes: number): void;
  /** Nothing that belongs to the stream is heeded any more; the other side is told, if there is a code. */
  forget(stream: Stream, code?: number): void;
}

/** What is to be sent, or goes into one frame. */
export interface Outgoing {
  bytes: Buffer;
  readonly isLast: boolean;
  readonly sent: (() => void) | undefined;
}

export class Stream {
  /** 0 for as long as the other side does not know of it. */
  id = 0;
  /** So many bytes may be sent. */
  window = 0;
  readonly #outgoing: Outgoing[] = [];
  #isWritten = false;
  #hasSent = false;
  #isPaused = false;
  readonly #held: Buffer[] = [];
  #hasAnswer = false;
  #hasCome = false;
  #isRead = false;
  #isOver = false;
  /** Bytes that came, and that the other side has not been told to have been read. */
  #taken = 0;
  /** Those of them that were read. */
  #read = 0;

  constructor(
    private readonly wire: Wire,
    private readonly listener: StreamListener,
  ) {}

  // ---- what its user does

  /** @param sent called when the bytes are on their way, or never will be */
  write(bytes: Buffer, sent?: () => void): void {
    this.#put({ bytes, isLast: false, sent });
  }

  /** Sends nothing more, or but this. */
  end(bytes: Buffer = Buffer.alloc(0)): void {
    if (this.#isWritten) return;
    this.#put({ bytes, isLast: true, sent: undefined });
    this.#isWritten = true;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    while (!this.#isPaused && !this.#isOver && this.#held.length > 0) this.#give(this.#held.shift()!);
    this.#endReading();
  }

  isPaused(): boolean {
    return this.#isPaused;
  }

  /** Has nothing more to do with it; the other side is told, unless both have said all. */
  close(code: number = CANCEL): void {
    if (this.#isOver) return;
    this.wire.forget(this, this.#hasCome && this.#hasSent ? undefined : code);
    this.#drop();
  }

  // ---- what its connection does

  /** The next bytes to send: at most so many, undefined if there are none or they have to wait. */
  next(most: number): Outgoing | undefined {
    const piece = this.#outgoing[0];
    if (piece === undefined || (piece.bytes.length > 0 && most <= 0)) return undefined;
    // Less than nothing may be sent after a window was made smaller, but what is empty may.
    if (piece.bytes.length > Math.max(0, most)) {
      const bytes = piece.bytes.subarray(0, most);
      piece.bytes = piece.bytes.subarray(most);
      return { bytes, isLast: false, sent: undefined };
    }
    this.#outgoing.shift();
    if (piece.isLast) this.#hasSent = true;
    return piece;
  }

  get hasMore(): boolean {
    return this.#outgoing.length > 0;
  }

  /** The last of what {@link next} has given is on its way. */
  isSent(): void {
    this.#endIfDone();
  }

  takeHeaders(list: readonly Header[], isLast: boolean): void {
    const headers: Record<string, string> = {};
    for (const [name, value] of list)
      headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`;
    if (this.#hasCome) throw new HttpError(PROTOCOL_ERROR, 'headers come after the end of a stream');
    if (this.#hasAnswer) this.listener.trailers(headers);
    else if (!/^1..$/.test(headers[':status'] ?? '')) {
      this.#hasAnswer = true;
      this.listener.headers(headers);
    }
    if (isLast) this.#allHasCome();
  }

  /**
   * @param size of the frame's payload: what only fills it up counts, too
   * @throws HttpError for more than may come
   */
  takeData(piece: Buffer, size: number, isLast: boolean): void {
    this.#taken += size;
    if (this.#taken > STREAM_WINDOW) throw new HttpError(FLOW_CONTROL_ERROR, 'more has come on a stream than may');
    this.#credit(size - piece.length);
    if (this.#isPaused || this.#held.length > 0) this.#held.push(piece);
    else this.#give(piece);
    if (isLast) this.#allHasCome();
  }

  /** The other side, or the connection, has ended it. What has come as a whole can still be read. */
  break(why: Over): void {
    if (this.#isOver || (this.#hasCome && !this.#isRead)) {
      this.#hasSent = true;
      this.#dropOutgoing();
      return;
    }
    this.#drop();
    this.listener.over(why);
  }

  #put(piece: Outgoing): void {
    if (this.#isOver || this.#isWritten || this.#hasSent) {
      piece.sent?.();
      return;
    }
    this.#outgoing.push(piece);
    this.wire.wantsToSend(this);
  }

  #give(piece: Buffer): void {
    this.listener.data(piece);
    this.#credit(piece.length);
  }

  #credit(bytes: number): void {
    this.#read += bytes;
    // One frame for much is enough, and none for what nothing follows.
    if (this.#read < STREAM_WINDOW / 2 || this.#hasCome || this.#isOver) return;
    this.wire.credit(this, this.#read);
    this.#taken -= this.#read;
    this.#read = 0;
  }

  #allHasCome(): void {
    this.#hasCome = true;
    this.#endReading();
  }

  #endReading(): void {
    if (!this.#hasCome || this.#isRead || this.#isOver || this.#held.length > 0) return;
    this.#isRead = true;
    this.listener.end();
    this.#endIfDone();
  }

  #endIfDone(): void {
    if (this.#isOver || !this.#isRead || !this.#hasSent) return;
    this.wire.forget(this);
    this.#drop();
    this.listener.over({ reset: NO_ERROR });
  }

  #drop(): void {
    this.#isOver = true;
    this.#held.length = 0;
    this.#dropOutgoing();
  }

  #dropOutgoing(): void {
    for (const { sent } of this.#outgoing.splice(0)) sent?.();
  }
}
