/** The way to a daemon's socket: one session of HTTP/2, and the next one when that is gone. */
import { connect, type ClientHttp2Session, type OutgoingHttpHeaders } from 'node:http2';
import { connect as connectSocket, type Socket } from 'node:net';
import { Code } from '../../ttrpc/status.js';
import { Call, type Listener } from './call.js';
import { StatusError } from './status.js';

/** What may come before somebody has read it. It is the same machine: there is nothing to be gained by more. */
const STREAM_WINDOW = 1 << 20;
const SESSION_WINDOW = 4 << 20;

export class Channel {
  #session: ClientHttp2Session | undefined;
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
   * @throws an error of Node's for headers that are none
   */
  call(headers: OutgoingHttpHeaders, timeoutMs: number | undefined, listener: Listener): Call {
    if (this.#isClosed) throw new StatusError(Code.Unavailable, 'the connection was closed');
    const session = this.#connected();
    const stream = session.request(headers, { endStream: false });
    const call = new Call(session, stream, timeoutMs, {
      message: (bytes) => listener.message(bytes),
      end: (error) => {
        this.#calls.delete(call);
        // A program that has nothing else to do ends: an idle connection keeps none.
        if (this.#calls.size === 0) session.unref();
        listener.end(error);
      },
    });
    if (this.#calls.size === 0) session.ref();
    this.#calls.add(call);
    return call;
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

  #connected(): ClientHttp2Session {
    if (this.#session && !this.#session.closed && !this.#session.destroyed) return this.#session;
    const session = connect('http://localhost', {
      createConnection: () => this.#socket(),
      settings: { enablePush: false, initialWindowSize: STREAM_WINDOW },
      // Else what many streams wait with at once breaks the session off.
      maxSessionMemory: Number.MAX_SAFE_INTEGER,
    });
    session.once('connect', () => session.setLocalWindowSize(SESSION_WINDOW));
    // Its calls tell of it, with the same cause.
    session.on('error', () => this.#forget(session));
    session.once('goaway', () => this.#forget(session));
    session.once('close', () => this.#forget(session));
    this.#session = session;
    return session;
  }

  #forget(session: ClientHttp2Session): void {
    if (this.#session === session) this.#session = undefined;
  }
}
