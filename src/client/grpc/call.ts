/** One call, on its stream of HTTP/2. */
import { constants, type ClientHttp2Session, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2';
import { Code } from '../../ttrpc/status.js';
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

export class Call implements Source {
  readonly #unframer = new Unframer();
  readonly #late: NodeJS.Timeout | undefined;
  /** As the daemon has said it, before all that it has sent has been read. */
  #status: { readonly error: StatusError | undefined } | undefined;
  #failure: Error | undefined;
  #isRead = false;
  #hasEnded = false;

  constructor(
    private readonly session: ClientHttp2Session,
    private readonly stream: ClientHttp2Stream,
    timeoutMs: number | undefined,
    private readonly listener: Listener,
  ) {
    stream.on('response', (headers) => this.#answered(headers));
    stream.on('trailers', (headers: IncomingHttpHeaders) => {
      this.#status ??= statusOf(headers);
      if (this.#isRead) this.#endAsTold();
    });
    stream.on('data', (piece: Buffer) => this.#take(piece));
    stream.once('end', () => {
      this.#isRead = true;
      this.#endAsTold();
    });
    stream.on('error', (error: Error) => (this.#failure ??= error));
    stream.once('close', () => this.#end(this.#status ? this.#status.error : this.#lost()));
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
      else this.stream.write(bytes, () => resolve());
    });
  }

  /** Sends nothing more, or but one message in its frame. */
  finish(bytes?: Buffer): void {
    this.stream.end(bytes);
  }

  /** Gives the call up. */
  cancel(): void {
    this.#breakOff(new StatusError(Code.Canceled, 'the call was given up'));
  }

  pause(): void {
    this.stream.pause();
  }

  resume(): void {
    this.stream.resume();
  }

  isPaused(): boolean {
    return this.stream.isPaused();
  }

  #answered(headers: IncomingHttpHeaders & { ':status'?: number | undefined }): void {
    // What could be done at once has its status here already, and nothing else.
    this.#status = statusOf(headers);
    const error = this.#status ? undefined : httpError(headers[':status']);
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
    if (!this.stream.writableEnded) this.stream.close(constants.NGHTTP2_NO_ERROR);
  }

  /** What became of a call whose end the daemon has not told. */
  #lost(): Error {
    const cause = this.#failure?.cause instanceof Error ? this.#failure.cause : this.#failure;
    if (this.session.closed || this.session.destroyed)
      return new StatusError(Code.Unavailable, cause?.message ?? 'the connection was closed', { cause });
    return resetError(this.stream.rstCode);
  }

  #breakOff(error: Error): void {
    this.#end(error);
    this.stream.close(constants.NGHTTP2_CANCEL);
  }

  #end(error: Error | undefined): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    clearTimeout(this.#late);
    this.listener.end(error);
  }
}
