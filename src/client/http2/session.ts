/**
 * A connection of HTTP/2 as a client of gRPC needs it (RFC 9113): many requests at once on one socket of this machine. Node's own
 * loads TLS, HTTP/1 and cryptography with it, a third of what a short command takes in all.
 */
import type { Socket } from 'node:net';
import { COMPRESSION_ERROR, FLOW_CONTROL_ERROR, HttpError, NO_ERROR, PROTOCOL_ERROR } from './codes.js';
import * as frames from './frames.js';
import { HeaderReader, writeHeaders, type Header } from './hpack.js';
import { Stream, STREAM_WINDOW, type Outgoing, type Over, type StreamListener, type Wire } from './stream.js';

/** What may come on all streams before this side has taken it from the socket. */
const SESSION_WINDOW = 4 << 20;
const DEFAULT_WINDOW = 65_535;
const MAX_WINDOW = 2 ** 31 - 1;
const MAX_ID = 2 ** 31 - 1;
/** All that an error may say about itself, and much more. */
const MAX_HEADERS = 1 << 20;
/** Below this, what is to be sent is copied together: one write of one piece. */
const SMALL = 16_384;

/** Numbers of settings. */
const ENABLE_PUSH = 2;
const MAX_CONCURRENT_STREAMS = 3;
const INITIAL_WINDOW_SIZE = 4;
const MAX_FRAME_SIZE = 5;

export class Session implements Wire {
  readonly #frames = new frames.FrameReader();
  readonly #headers = new HeaderReader();
  readonly #streams = new Map<number, Stream>();
  /** Those that the other side has no room for yet. */
  readonly #waiting: { readonly stream: Stream; readonly block: Buffer }[] = [];
  readonly #sending = new Set<Stream>();
  #out: Buffer[] = [];
  #sent: (() => void)[] = [];
  #isFlushing = false;
  #nextId = 1;
  #window = DEFAULT_WINDOW;
  #theirs = { window: DEFAULT_WINDOW, frame: frames.FRAME_SIZE, streams: Infinity };
  /** Bytes that came, and that the other side may not know yet to have been taken. */
  #taken = 0;
  /** Headers whose end has not come. */
  #block: { readonly stream: number; readonly isLast: boolean; readonly pieces: Buffer[]; size: number } | undefined;
  #hasHeard = false;
  #isOver = false;
  #error: Error | undefined;

  /** @param socket that is connected, or will be: it is this session's now */
  constructor(private readonly socket: Socket) {
    this.#put(
      frames.PREFACE,
      frames.settingsFrame([
        [ENABLE_PUSH, 0],
        [INITIAL_WINDOW_SIZE, STREAM_WINDOW],
      ]),
      frames.numbersFrame(frames.WINDOW_UPDATE, 0, SESSION_WINDOW - DEFAULT_WINDOW),
    );
    socket.on('data', (piece: Buffer) => this.#receive(piece));
    socket.on('error', (error) => (this.#error ??= error));
    if (socket.closed) process.nextTick(() => this.#gone());
    else socket.once('close', () => this.#gone());
  }

  /** Whether it takes no more requests; those under way may go on. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** @throws TypeError for headers that are none */
  request(headers: readonly Header[], listener: StreamListener): Stream {
    const block = writeHeaders(headers);
    const stream = new Stream(this, listener);
    if (this.#waiting.length > 0 || this.#streams.size >= this.#theirs.streams) this.#waiting.push({ stream, block });
    else this.#open(stream, block);
    return stream;
  }

  ref(): void {
    this.socket.ref();
  }

  unref(): void {
    this.socket.unref();
  }

  /** Its requests end with it. */
  destroy(): void {
    this.#isOver = true;
    this.socket.destroy();
  }

  // ---- what a stream asks for

  wantsToSend(stream: Stream): void {
    if (stream.id === 0) return;
    this.#sending.add(stream);
    this.#flushSoon();
  }

  credit({ id }: Stream, bytes: number): void {
    this.#put(frames.numbersFrame(frames.WINDOW_UPDATE, id, bytes));
  }

  forget(stream: Stream, code?: number): void {
    if (stream.id === 0) {
      const at = this.#waiting.findIndex((one) => one.stream === stream);
      if (at >= 0) this.#waiting.splice(at, 1);
      return;
    }
    if (!this.#streams.delete(stream.id)) return;
    this.#sending.delete(stream);
    if (code !== undefined) this.#put(frames.numbersFrame(frames.RST_STREAM, stream.id, code));
    this.#openWaiting();
    if (this.#isOver && this.#streams.size === 0) this.socket.end();
  }

  #openWaiting(): void {
    while (this.#waiting.length > 0 && this.#streams.size < this.#theirs.streams && !this.#isOver) {
      const next = this.#waiting.shift()!;
      this.#open(next.stream, next.block);
    }
  }

  // ---- sending

  #open(stream: Stream, block: Buffer): void {
    stream.id = this.#nextId;
    stream.window = this.#theirs.window;
    this.#nextId += 2;
    if (this.#nextId > MAX_ID) this.#isOver = true;
    this.#streams.set(stream.id, stream);
    for (let at = 0; at === 0 || at < block.length; at += this.#theirs.frame) {
      const piece = block.subarray(at, at + this.#theirs.frame);
      const isLast = at + piece.length >= block.length;
      const type = at === 0 ? frames.HEADERS : frames.CONTINUATION;
      this.#put(frames.frameHeader(type, isLast ? frames.END_HEADERS : 0, stream.id, piece.length), piece);
    }
    if (stream.hasMore) this.wantsToSend(stream);
  }

  #put(...bytes: readonly Buffer[]): void {
    this.#out.push(...bytes);
    this.#flushSoon();
  }

  /** What is asked for in one turn goes out with one call of the system. */
  #flushSoon(): void {
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    process.nextTick(() => this.#flush());
  }

  #flush(): void {
    this.#isFlushing = false;
    this.#fill();
    const [out, sent] = [this.#out, this.#sent];
    [this.#out, this.#sent] = [[], []];
    const done = (): void => sent.forEach((tell) => tell());
    if (this.socket.destroyed || out.length === 0) return done();
    if (out.reduce((sum, { length }) => sum + length, 0) <= SMALL) {
      this.socket.write(Buffer.concat(out), done);
      return;
    }
    this.socket.cork();
    for (const bytes of out.slice(0, -1)) this.socket.write(bytes);
    this.socket.write(out.at(-1)!, done);
    this.socket.uncork();
  }

  /** Takes of each stream in turn what it has to send, and what the other side has room for. */
  #fill(): void {
    for (let hasGone = true; hasGone;) {
      hasGone = false;
      for (const stream of this.#sending) {
        const piece = stream.next(Math.min(this.#window, stream.window, this.#theirs.frame));
        if (piece) {
          hasGone = true;
          this.#putData(stream, piece);
        }
        if (!stream.hasMore) this.#sending.delete(stream);
      }
    }
  }

  #putData(stream: Stream, { bytes, isLast, sent }: Outgoing): void {
    this.#window -= bytes.length;
    stream.window -= bytes.length;
    this.#out.push(frames.frameHeader(frames.DATA, isLast ? frames.END_STREAM : 0, stream.id, bytes.length), bytes);
    if (sent) this.#sent.push(sent);
    if (isLast) this.#sent.push(() => stream.isSent());
  }

  // ---- receiving

  #receive(piece: Buffer): void {
    try {
      for (const frame of this.#frames.take(piece)) {
        if (!this.#hasHeard && frame.type !== frames.SETTINGS)
          throw new HttpError(PROTOCOL_ERROR, 'its first words are no settings');
        this.#hasHeard = true;
        this.#take(frame);
      }
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      this.#fail(error);
    }
  }

  #take(frame: frames.Frame): void {
    const { type, flags, payload } = frame;
    if (this.#block && type !== frames.CONTINUATION)
      throw new HttpError(PROTOCOL_ERROR, 'headers are cut off by another frame');
    const stream = this.#streams.get(frame.stream);
    if (frame.stream % 2 === 1 && frame.stream >= this.#nextId)
      throw new HttpError(PROTOCOL_ERROR, `stream ${frame.stream} is nobody's`);
    switch (type) {
      case frames.DATA:
        this.#credit(payload.length);
        stream?.takeData(frames.contentOf(frame), payload.length, (flags & frames.END_STREAM) !== 0);
        return;
      case frames.HEADERS:
        this.#block = { stream: frame.stream, isLast: (flags & frames.END_STREAM) !== 0, pieces: [], size: 0 };
        this.#takeBlock(frames.contentOf(frame), flags);
        return;
      case frames.CONTINUATION:
        if (this.#block?.stream !== frame.stream) throw new HttpError(PROTOCOL_ERROR, 'headers go on that never began');
        this.#takeBlock(payload, flags);
        return;
      case frames.RST_STREAM:
        if (stream) this.#break(stream, { reset: number(payload, 0) });
        return;
      case frames.SETTINGS:
        if (!(flags & frames.ACK)) this.#takeSettings(payload);
        return;
      case frames.PING:
        if (!(flags & frames.ACK)) this.#put(frames.frameHeader(frames.PING, frames.ACK, 0, payload.length), payload);
        return;
      case frames.GOAWAY:
        this.#takeGoAway(number(payload, 0) & MAX_ID, number(payload, 4), payload.subarray(8));
        return;
      case frames.WINDOW_UPDATE:
        this.#widen(frame.stream === 0 ? undefined : stream, frame.stream, number(payload, 0) & MAX_WINDOW);
        return;
      case frames.PUSH_PROMISE:
        throw new HttpError(PROTOCOL_ERROR, 'it pushes what nobody has asked for');
      default:
      // What there may be some day is passed over (section 4.1).
    }
  }

  #takeBlock(piece: Buffer, flags: number): void {
    const block = this.#block!;
    block.pieces.push(piece);
    block.size += piece.length;
    if (block.size > MAX_HEADERS)
      throw new HttpError(COMPRESSION_ERROR, `the headers have more than ${MAX_HEADERS} bytes`);
    if (!(flags & frames.END_HEADERS)) return;
    this.#block = undefined;
    // Also where nobody waits for them any more: what comes next may refer to them.
    const headers = this.#headers.read(block.pieces.length === 1 ? piece : Buffer.concat(block.pieces));
    this.#streams.get(block.stream)?.takeHeaders(headers, block.isLast);
  }

  #takeSettings(payload: Buffer): void {
    for (let at = 0; at + 6 <= payload.length; at += 6) {
      const [id, value] = [payload.readUInt16BE(at), payload.readUInt32BE(at + 2)];
      if (id === MAX_CONCURRENT_STREAMS) this.#theirs.streams = value;
      if (id === MAX_FRAME_SIZE) this.#theirs.frame = Math.max(value, frames.FRAME_SIZE);
      if (id !== INITIAL_WINDOW_SIZE) continue;
      if (value > MAX_WINDOW) throw new HttpError(FLOW_CONTROL_ERROR, `a window cannot have ${value} bytes`);
      // Of those that there are, too, and it may be less than none (section 6.9.2).
      for (const stream of this.#streams.values()) stream.window += value - this.#theirs.window;
      this.#theirs.window = value;
    }
    this.#put(frames.frameHeader(frames.SETTINGS, frames.ACK, 0, 0));
    this.#openWaiting();
  }

  #takeGoAway(last: number, code: number, text: Buffer): void {
    this.#isOver = true;
    const why = `the daemon takes no more calls on this connection (HTTP/2's code ${code}${text.length > 0 ? `, ${text.toString()}` : ''})`;
    if (code !== NO_ERROR) this.#error ??= new Error(why);
    const unheard = [...this.#streams.values()].filter(({ id }) => id > last);
    for (const { stream } of this.#waiting.splice(0)) stream.break({ error: new Error(why) });
    for (const stream of unheard) this.#break(stream, { error: new Error(why) });
    if (this.#streams.size === 0) this.socket.end();
  }

  #widen(stream: Stream | undefined, id: number, bytes: number): void {
    if (id === 0) this.#window += bytes;
    else if (stream) stream.window += bytes;
    if (this.#window > MAX_WINDOW || (stream?.window ?? 0) > MAX_WINDOW)
      throw new HttpError(FLOW_CONTROL_ERROR, 'a window is wider than any may be');
    if (this.#sending.size > 0) this.#flushSoon();
  }

  #credit(bytes: number): void {
    this.#taken += bytes;
    if (this.#taken < SESSION_WINDOW / 2) return;
    this.#put(frames.numbersFrame(frames.WINDOW_UPDATE, 0, this.#taken));
    this.#taken = 0;
  }

  // ---- the end

  #break(stream: Stream, why: Over): void {
    stream.break(why);
    this.forget(stream);
  }

  /** The other side breaks the rules: it is told so, and nothing more is heard of it. */
  #fail(error: HttpError): void {
    this.#isOver = true;
    const what = this.#hasHeard ? `the daemon breaks HTTP/2's rules: ${error.message}` : 'it does not speak HTTP/2';
    this.#error ??= new Error(what, { cause: error });
    if (this.#hasHeard && !this.socket.destroyed)
      this.socket.write(frames.numbersFrame(frames.GOAWAY, 0, 0, error.code));
    this.socket.destroy();
  }

  #gone(): void {
    this.#isOver = true;
    const error = this.#error ?? new Error('the connection was closed');
    const all = [...this.#streams.values(), ...this.#waiting.map(({ stream }) => stream)];
    this.#streams.clear();
    this.#waiting.length = 0;
    this.#sending.clear();
    for (const stream of all) stream.break({ error });
    this.#flush();
  }
}

/** @throws HttpError where the payload has none there */
function number(payload: Buffer, at: number): number {
  if (payload.length < at + 4) throw new HttpError(PROTOCOL_ERROR, 'a frame is shorter than its kind');
  return payload.readUInt32BE(at);
}
