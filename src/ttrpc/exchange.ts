/** One call, as the client's connection knows it. */
import { setMaxListeners } from 'node:events';
import type { ClientConnection } from './client-connection.js';
import { DeadlineTimer, now } from './deadline.js';
import { requestFrame } from './envelope.js';
import { Metadata, type MetadataInit } from './metadata.js';
import { Code, oversized, TtrpcError } from './status.js';
import { MAX_MESSAGE_LENGTH, type Frame, type FrameBytes } from './wire.js';

/** What a call may be given besides its request. */
export interface CallOptions {
  /** Gives up after this long, counted from the call, waiting to be sent included. The server is told what is left. */
  readonly timeoutMs?: number | undefined;
  /** Gives up when this aborts. */
  readonly signal?: AbortSignal | undefined;
  readonly metadata?: MetadataInit | undefined;
}

/** What is sent to open a call. */
export interface Opening {
  /** The part of the envelope that names the method. */
  readonly head: Uint8Array;
  readonly flags: number;
  readonly payload: Uint8Array;
  readonly metadata: Metadata | undefined;
  /** On the clock of `now()`. */
  readonly deadline: number | undefined;
  readonly signal: AbortSignal | undefined;
}

/** The point in time that a timeout ends at. */
export function deadlineAfter(timeoutMs: number | undefined): number | undefined {
  return timeoutMs === undefined || timeoutMs === Infinity ? undefined : now() + timeoutMs;
}

/**
 * A call in progress: begun once, ended once. Until it ends it may have a timer, a listener on its caller's signal, and an entry
 * in the connection's queue or in its table of streams; `end` is the only place that lets go of them.
 */
export abstract class Exchange {
  /** 0 until the request is written. */
  streamId = 0;

  #timer: DeadlineTimer | undefined;
  #ended = false;

  constructor(
    protected readonly connection: ClientConnection,
    private readonly opening: Opening,
  ) {}

  get ended(): boolean {
    return this.#ended;
  }

  /** A frame has come for this call. */
  abstract receive(frame: Frame): void;

  /** Tells the caller that the call has failed. */
  protected abstract failed(error: TtrpcError): void;

  begin(): void {
    const { payload, deadline, signal } = this.opening;
    if (payload.length > MAX_MESSAGE_LENGTH) {
      this.fail(oversized(payload.length, MAX_MESSAGE_LENGTH));
      return;
    }
    if (signal?.aborted) {
      this.handleEvent();
      return;
    }
    if (deadline !== undefined) {
      if (deadline <= now()) {
        this.#expire();
        return;
      }
      this.#timer = new DeadlineTimer(deadline, () => this.#expire());
    }
    if (signal !== undefined) {
      // Any number of calls may hang on one signal; Node would take more than ten for a leak.
      setMaxListeners(0, signal);
      signal.addEventListener('abort', this);
    }
    this.connection.submit(this);
  }

  /** The request's frame, made when it is about to be written: it says how much time is left then. */
  openingFrame(streamId: number): FrameBytes {
    const { flags, head, payload, deadline, metadata } = this.opening;
    return requestFrame(streamId, flags, head, payload, deadline, metadata);
  }

  fail(error: TtrpcError): void {
    if (this.end(error)) this.failed(error);
  }

  /** Whether this was the end, and not an end after the end. */
  protected end(error?: TtrpcError): boolean {
    if (this.#ended) return false;
    this.#ended = true;
    this.#timer?.clear();
    this.opening.signal?.removeEventListener('abort', this);
    this.connection.forget(this, error);
    return true;
  }

  /** The caller's signal has aborted. */
  handleEvent(): void {
    const reason: unknown = this.opening.signal?.reason;
    const late = reason instanceof Error && reason.name === 'TimeoutError';
    this.fail(late ? deadlineExceeded(reason) : new TtrpcError(Code.Canceled, 'context canceled', { cause: reason }));
  }

  #expire(): void {
    this.fail(deadlineExceeded());
  }
}

function deadlineExceeded(cause?: unknown): TtrpcError {
  return new TtrpcError(Code.DeadlineExceeded, 'context deadline exceeded', { cause });
}

/** The error for sending to a stream that is over. */
export function streamClosed(): TtrpcError {
  return new TtrpcError(Code.FailedPrecondition, 'ttrpc: stream closed');
}
