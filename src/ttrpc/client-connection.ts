import type { Socket } from 'node:net';
import { streamClosed, type Exchange } from './exchange.js';
import { STALL_LIMITS, type StallLimits } from './inbox.js';
import { Output } from './output.js';
import { ReadGate } from './read-gate.js';
import { Code, TtrpcError } from './status.js';
import { FrameDecoder, LAST_STREAM_ID, type FrameBytes } from './wire.js';

/** Something of a call that waits for the socket to take more. */
interface Queued {
  readonly call: Exchange;
  flush(): void;
  /** The call has ended first. */
  drop(error: TtrpcError): void;
}

/**
 * A client's end of a connection: which calls are open on it, and what waits to be written.
 *
 * It never stops reading because of what it cannot write (a server that stops reading until its replies are taken would
 * wait for ever); only a stream whose reader has gone to sleep stops it, and for a limited time.
 */
export class ClientConnection {
  readonly gate: ReadGate;
  readonly closed: Promise<void>;

  readonly #socket: Socket;
  readonly #output: Output;
  readonly #decoder = new FrameDecoder();
  /** Calls by stream id, from when their request is written. */
  readonly #calls = new Map<number, Exchange>();
  /** In the order in which they were asked for. */
  readonly #queue = new Set<Queued>();
  /** The same by call, so that a call that ends can take along what it has there. */
  readonly #queuedOf = new Map<Exchange, Set<Queued>>();
  #nextStreamId = 1;
  #end: ConnectionEnd | undefined;

  constructor(
    socket: Socket,
    readonly stallLimits: StallLimits = STALL_LIMITS,
  ) {
    this.#socket = socket;
    this.#output = new Output(socket, () => this.#flush());
    this.gate = new ReadGate(socket);
    // Half-closed connections aren't part of the protocol.
    socket.on('end', () => this.close(this.#decoder.midFrame ? { why: 'the peer hung up inside a frame' } : {}));
    socket.on('error', (error) => this.close({ why: error.message, cause: error }));
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.close();
        resolve();
      });
      if (socket.closed) resolve();
    });
    if (socket.destroyed) this.close();
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
  }

  /** How many calls are open or waiting to be sent. */
  get pendingCalls(): number {
    let pending = this.#calls.size;
    for (const call of this.#queuedOf.keys()) if (call.streamId === 0) pending++;
    return pending;
  }

  /** Sends a call's request, at once or as soon as the socket takes it. */
  submit(call: Exchange): void {
    if (this.#end !== undefined) call.fail(closedError(this.#end));
    else if (this.#mustQueue) this.#enqueue({ call, flush: () => this.#open(call), drop: () => undefined });
    else this.#open(call);
  }

  /** Writes a frame of a call that was submitted. The promise is kept when the socket has taken it. */
  send(call: Exchange, frame: (streamId: number) => FrameBytes): Promise<void> {
    if (!this.#mustQueue) {
      this.#output.write(frame(call.streamId));
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const flush = (): void => {
        this.#output.write(frame(call.streamId));
        resolve();
      };
      this.#enqueue({ call, flush, drop: reject });
    });
  }

  /** The one place where a call leaves the tables. `error` is for those who wait for its frames to be written. */
  forget(call: Exchange, error?: TtrpcError): void {
    this.#calls.delete(call.streamId);
    const queued = this.#queuedOf.get(call);
    if (queued === undefined) return;
    this.#queuedOf.delete(call);
    for (const entry of queued) {
      this.#queue.delete(entry);
      entry.drop(error ?? streamClosed());
    }
  }

  /** Fails what is pending and lets go of the socket. */
  close(end: ConnectionEnd = {}): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#socket.destroy();
    for (const call of [...this.#calls.values(), ...this.#queuedOf.keys()]) call.fail(closedError(end));
  }

  get #mustQueue(): boolean {
    return this.#output.full || this.#queue.size > 0;
  }

  #enqueue(entry: Queued): void {
    this.#queue.add(entry);
    const queued = this.#queuedOf.get(entry.call);
    if (queued === undefined) this.#queuedOf.set(entry.call, new Set([entry]));
    else queued.add(entry);
  }

  #dequeue(entry: Queued): void {
    this.#queue.delete(entry);
    const queued = this.#queuedOf.get(entry.call);
    if (queued?.delete(entry) && queued.size === 0) this.#queuedOf.delete(entry.call);
  }

  #open(call: Exchange): void {
    const streamId = this.#nextStreamId;
    if (streamId > LAST_STREAM_ID) {
      call.fail(new TtrpcError(Code.ResourceExhausted, 'ttrpc: no stream ids left, a new connection is needed'));
      return;
    }
    let frame: FrameBytes;
    try {
      frame = call.openingFrame(streamId);
    } catch (error) {
      call.fail(TtrpcError.from(error));
      return;
    }
    this.#nextStreamId += 2;
    call.streamId = streamId;
    this.#calls.set(streamId, call);
    this.#output.write(frame);
  }

  #flush(): void {
    for (const entry of this.#queue) {
      if (this.#output.full) return;
      this.#dequeue(entry);
      entry.flush();
    }
  }

  #receive(chunk: Buffer): void {
    this.#decoder.push(chunk);
    for (let frame = this.#decoder.next(); frame !== undefined; frame = this.#decoder.next()) {
      // A call that was given up is answered nevertheless: not an error.
      this.#calls.get(frame.streamId)?.receive(frame);
    }
  }
}

/** How a connection came to its end; nothing to say when one side just closed it. */
interface ConnectionEnd {
  readonly why?: string;
  readonly cause?: Error;
}

/** A new error for each call: callers may add to what they catch. The text up to the second colon is the Go client's. */
export function closedError({ why, cause }: ConnectionEnd = {}): TtrpcError {
  return new TtrpcError(Code.Unavailable, why === undefined ? 'ttrpc: closed' : `ttrpc: closed: ${why}`, { cause });
}
