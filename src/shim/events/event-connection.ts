/**
 * A connection to the daemon, for events: one call at a time, and all of them of one method. It writes and reads by itself, which takes a fraction
 * of the time of a client that is made for any call over a Node stream; and an event is told in the midst of what somebody waits for.
 */
import { closeSync } from 'node:fs';
import { ContainerdServicesEventsTtrpcV1Events as Events } from '../../api/gen/services.js';
import { connectUnix, READABLE, tryRead, trySend, Watch, WRITABLE } from '../../sys/index.js';
import { encode } from '../../ttrpc/client.js';
import { closedError } from '../../ttrpc/client-connection.js';
import { decodeResponse, requestFrameOf, requestHead, requestTail } from '../../ttrpc/envelope.js';
import { Code, Metadata, TtrpcError } from '../../ttrpc/index.js';
import { oversized } from '../../ttrpc/status.js';
import { undecodable } from '../../ttrpc/unary-call.js';
import { FrameDecoder, FrameType, LAST_STREAM_ID, MAX_MESSAGE_LENGTH, type Frame } from '../../ttrpc/wire.js';

const { Forward } = Events.methods;
const HEAD = requestHead(Events.name, 'Forward');
/** A reply is empty, or an error's text. */
const CHUNK = 4096;

/** What the daemon is told; see its protobuf. */
export type Forwarded = Parameters<typeof Forward.request.encode>[0];

interface Call {
  readonly streamId: number;
  readonly resolve: () => void;
  readonly reject: (error: TtrpcError) => void;
}

export class EventConnection {
  /** Kept when it is over, whoever has ended it. */
  readonly closed: Promise<void>;
  readonly #watch: Watch;
  readonly #tail: Uint8Array;
  readonly #decoder = new FrameDecoder();
  readonly #timer: NodeJS.Timeout;
  /** Of the frame that is being sent, what the socket had no room for. */
  #unsent: Uint8Array | undefined;
  #call: Call | undefined;
  #nextStreamId = 1;
  #isClosed = false;
  #close: () => void = () => undefined;

  private constructor(
    private readonly fd: number,
    namespace: string,
    timeoutMs: number,
  ) {
    this.#tail = requestTail(timeoutMs * 1e6, new Metadata({ 'containerd-namespace-ttrpc': namespace }));
    this.closed = new Promise((resolve) => (this.#close = resolve));
    this.#watch = new Watch(fd, (events) => this.#ready(events));
    this.#watch.want(READABLE);
    // Of the last call: it is begun anew with each. While there is one, its connection keeps the process running.
    this.#timer = setTimeout(() => {
      if (this.#call) this.#end(new TtrpcError(Code.DeadlineExceeded, 'context deadline exceeded'));
    }, timeoutMs).unref();
  }

  /**
   * Connects to a daemon.
   *
   * @param timeoutMs what a call may take
   * @throws TtrpcError with code Unavailable when there is none
   */
  static open(path: string, namespace: string, timeoutMs: number): EventConnection {
    let fd: number | undefined;
    try {
      fd = connectUnix(path);
      return new EventConnection(fd, namespace, timeoutMs);
    } catch (error) {
      if (fd !== undefined) closeSync(fd);
      throw new TtrpcError(Code.Unavailable, (error as Error).message, { cause: error });
    }
  }

  /**
   * Tells the daemon of an event, and resolves when it has it. Not while another is told.
   *
   * @throws TtrpcError: the daemon's own, or why there is no answer of it; the connection is over then
   */
  forward(event: Forwarded): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) throw closedError();
      const streamId = this.#nextStreamId;
      const frame = this.#frame(streamId, event);
      this.#nextStreamId += 2;
      this.#call = { streamId, resolve, reject };
      this.#timer.refresh();
      this.#unsent = frame;
      this.#attempt(() => this.#send());
    });
  }

  #frame(streamId: number, event: Forwarded): Uint8Array {
    if (streamId > LAST_STREAM_ID) throw closedError({ why: 'no stream ids are left' });
    const parts = requestFrameOf(streamId, 0, HEAD, encode(Forward, event), this.#tail);
    return parts instanceof Uint8Array ? parts : Buffer.concat(parts);
  }

  /** Lets go of it. What is being told fails. */
  close(): void {
    this.#end(closedError());
  }

  #ready(events: number): void {
    this.#attempt(() => {
      if (events & WRITABLE) this.#send();
      if (events & READABLE) this.#read();
      // One that has an error is watched no more, unless that is asked for again.
      this.#want();
    });
  }

  #attempt(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#end(closedError({ why: (error as Error).message, cause: error as Error }));
    }
  }

  #send(): void {
    while (this.#unsent) {
      const sent = trySend(this.fd, this.#unsent);
      if (sent === undefined) break;
      this.#unsent = sent < this.#unsent.length ? this.#unsent.subarray(sent) : undefined;
    }
    this.#want();
  }

  #want(): void {
    this.#watch.want(this.#unsent ? READABLE | WRITABLE : READABLE);
  }

  #read(): void {
    const chunk = Buffer.allocUnsafe(CHUNK);
    const n = tryRead(this.fd, chunk);
    if (n === undefined || this.#isClosed) return;
    if (n === 0) {
      this.#end(this.#decoder.midFrame ? closedError({ why: 'the peer hung up inside a frame' }) : closedError());
      return;
    }
    this.#decoder.push(chunk.subarray(0, n));
    for (let frame = this.#decoder.next(); frame; frame = this.#decoder.next()) this.#received(frame);
  }

  #received({ streamId, type, payload, length }: Frame): void {
    const call = this.#call;
    // What is of no call of ours is no business of ours, as for any client.
    if (call?.streamId !== streamId || type !== FrameType.response) return;
    const reply = payload === undefined ? oversized(length, MAX_MESSAGE_LENGTH) : decoded(payload);
    this.#call = undefined;
    if (reply instanceof TtrpcError) call.reject(reply);
    else call.resolve();
    // Its other end would take the next one for the rest of this.
    if (this.#unsent) this.#end(closedError({ why: 'a reply came before its request was sent' }));
  }

  #end(error: TtrpcError): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#timer);
    try {
      this.#watch.close();
      closeSync(this.fd);
    } finally {
      this.#call?.reject(error);
      this.#call = undefined;
      this.#close();
    }
  }
}

function decoded(payload: Buffer): Uint8Array | TtrpcError {
  try {
    // Most are: an Empty, in an envelope with nothing else.
    return payload.length === 0 ? payload : decodeResponse(payload);
  } catch (error) {
    return undecodable(error);
  }
}
