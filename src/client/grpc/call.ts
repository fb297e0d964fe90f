/** One call, on its stream of HTTP/2. */
import { Code } from '../../ttrpc/status.js';
import { CANCEL, NO_ERROR } from '../http2/codes.js';
import type { Headers, Over, Stream, StreamListener } from '../http2/stream.js';
import { Unframer } from './frames.js';
import { httpError, resetError, StatusError, statusOf } from './status.js';
import type { Source } from './stream.js';

/** Who is told what comes. The end comes once, after the last message. */
export interface Listener {
  /** @throws what is wrong with the message: the call ends with it */
  message(bytes: Buffer): void;
  /** @param error undefined for a success */
  end(error: Error | undefined): void;
}

/** By whoever has made the call: a daemon that gives one up says so by a status of its own. */
export class GivenUp extends StatusError {
  constructor() {
    super(Code.Canceled, 'the call was given up');
  }
}

export class Call implements Source {
  readonly #unframer = new Unframer();
  readonly #late: NodeJS.Timeout | undefined;
  /** As the daemon has said it, before all that it has sent has been read. */
  #status: { readonly error: StatusError | undefined } | undefined;
  #isRead = false;
  #isFinished = false;
  #hasEnded = false;
  readonly #stream: Stream;

  /** @throws TypeError for headers that are none */
  constructor(
    request: (listener: StreamListener) => Stream,
    timeoutMs: number | undefined,
    private readonly listener: Listener,
  ) {
    this.#stream = request({
      headers: (headers) => this.#answered(headers),
      trailers: (headers) => {
        this.#status ??= statusOf(headers);
        if (this.#isRead) this.#endAsTold();
      },
      data: (piece) => this.#take(piece),
      end: () => {
        this.#isRead = true;
        if (this.#status) this.#endAsTold();
        else this.#breakOff(new StatusError(Code.Internal, 'the daemon has ended the call without a status'));
      },
      over: (why) => this.#end(this.#status ? this.#status.error : lost(why)),
    });
    if (timeoutMs !== undefined)
      this.#late = setTimeout(
        () =>
          this.#breakOff(
            new StatusError(Code.DeadlineExceeded, `the call was not done within ${timeoutMs} ms: deadline exceeded`),
          ),
        timeoutMs,
      );
  }

  /** Resolves when the message, in its frame, is on its way, or the call has ended, which its end tells. */
  send(bytes: Buffer): Promise<void> {
    return new Promise((resolve) => {
      if (this.#hasEnded) resolve();
      else this.#stream.write(bytes, resolve);
    });
  }

  /** Sends nothing more, or but one message in its frame. */
  finish(bytes?: Buffer): void {
    this.#isFinished = true;
    this.#stream.end(bytes);
  }

  /** Gives the call up: it ends with {@link GivenUp}. */
  cancel(): void {
    this.#breakOff(new GivenUp());
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  isPaused(): boolean {
    return this.#stream.isPaused();
  }

  #answered(headers: Headers): void {
    // What could be done at once has its status here already, and nothing else.
    this.#status = statusOf(headers);
    const error = this.#status ? undefined : httpError(Number(headers[':status']));
    if (error) this.#breakOff(error);
  }

  #take(piece: Buffer): void {
    if (this.#hasEnded) return;
    try {
      for (const message of this.#unframer.take(piece)) this.listener.message(message);
    } catch (error) {
      this.#breakOff(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** Without waiting for this side to have said all: the daemon listens no more. */
  #endAsTold(): void {
    if (this.#status === undefined) return;
    const isCut = this.#status.error === undefined && !this.#unframer.isWhole;
    this.#end(isCut ? new StatusError(Code.Internal, 'the last message has no end') : this.#status.error);
    if (!this.#isFinished) this.#stream.close(NO_ERROR);
  }

  #breakOff(error: Error): void {
    this.#end(error);
    this.#stream.close(CANCEL);
  }

  #end(error: Error | undefined): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    clearTimeout(this.#late);
    this.listener.end(error);
  }
}

/** What became of a call whose end the daemon has not told. */
function lost({ error, reset }: Over): StatusError {
  return error ? new StatusError(Code.Unavailable, error.message, { cause: error }) : resetError(reset);
}
