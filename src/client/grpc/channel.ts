/** The way to a daemon's socket: one session of HTTP/2, and the next one when that is gone. */
import { connect as connectSocket, type Socket } from 'node:net';
import { Code } from '../../ttrpc/status.js';
import type { Header } from '../http2/hpack.js';
import { Session } from '../http2/session.js';
import { Call, type Listener } from './call.js';
import { StatusError } from './status.js';

export class Channel {
  #session: Session | undefined;
  /** Those under way. */
  readonly #calls = new Set<Call>();
  #isClosed = false;
  #first: Socket | undefined;

  /**
   * @param path of the daemon's socket
   * @param first that leads there already, and is used before others are made
   */
  constructor(
    private readonly path: string,
    first?: Socket,
  ) {
    this.#first = first;
  }

  /**
   * Begins a call.
   *
   * @throws StatusError for headers that are none
   */
  call(headers: readonly Header[], timeoutMs: number | undefined, listener: Listener): Call {
    if (this.#isClosed) throw new StatusError(Code.Unavailable, 'the connection was closed');
    const session = this.#connected();
    const call = this.#begin(session, headers, timeoutMs, {
      message: (bytes) => listener.message(bytes),
      end: (error) => {
        this.#calls.delete(call);
        // A program that has nothing else to do ends: an idle connection keeps none.
        if (this.#calls.size === 0) for (const one of [session, this.#session]) one?.unref();
        listener.end(error);
      },
    });
    if (this.#calls.size === 0) session.ref();
    this.#calls.add(call);
    return call;
  }

  #begin(session: Session, headers: readonly Header[], timeoutMs: number | undefined, listener: Listener): Call {
    try {
      return new Call((stream) => session.request(headers, stream), timeoutMs, listener);
    } catch (error) {
      if (this.#calls.size === 0) session.unref();
      throw error instanceof TypeError ? new StatusError(Code.InvalidArgument, error.message, { cause: error }) : error;
    }
  }

  /** Ends everything. */
  close(): void {
    this.#isClosed = true;
    for (const call of this.#calls) call.cancel();
    this.#session?.destroy();
    this.#session = undefined;
    this.#first?.destroy();
    this.#first = undefined;
  }

  #socket(): Socket {
    const first = this.#first;
    this.#first = undefined;
    return first ?? connectSocket({ path: this.path });
  }

  #connected(): Session {
    if (!this.#session || this.#session.isOver) this.#session = new Session(this.#socket());
    return this.#session;
  }
}
