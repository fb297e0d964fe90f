import type { ConnectionInfo, PeerCredentials, ServerInterceptor } from './call-context.js';
import { descriptorOf, type CallAccount, type ConnectionSocket } from './connection-socket.js';
import { decodeRequest, EMPTY, encodeRequest, errorFrame, replyFrame, type Request } from './envelope.js';
import type { MethodTable } from './handlers.js';
import { Inbox, STREAM_FULL, type StallLimits } from './inbox.js';
import { decodeMessage, encodeMessage } from './messages.js';
import { Output } from './output.js';
import { ReadGate } from './read-gate.js';
import { ServerCall } from './server-call.js';
import { Code, oversized, textOf, TtrpcError } from './status.js';
import { encodeFrame, Flag, FrameDecoder, FrameType, MAX_MESSAGE_LENGTH, type Frame, type FrameBytes } from './wire.js';

/** What all connections of a server share. */
export interface ConnectionSettings {
  readonly methods: MethodTable;
  readonly interceptors: readonly ServerInterceptor[];
  readonly stall: StallLimits;
  /** A connection with more unsent output than this isn't read from until that is sent. */
  readonly maxUnsentBytes: number;
  /** See ServerOptions. */
  readonly other: ((socket: ConnectionSocket, first: Buffer) => boolean) | undefined;
  /** Something has changed that shutdown may be waiting for: a call has ended, or the connection. */
  readonly changed: (connection: ServerConnection) => void;
}

/** A connection between calls, for another process to go on with. */
export interface RestingConnection {
  /** The socket's descriptor, which stays this process's. */
  readonly fd: number;
  /** The last stream that its client has opened. */
  readonly lastStreamId: number;
  /** Something has been sent. */
  readonly begun: boolean;
}

/** As another process has left it; suddenly, perhaps: what it had read last may still be there to be read. */
export interface ResumedConnection extends Omit<RestingConnection, 'fd'> {
  readonly isSudden?: boolean;
}

/** A call that another process has been asked for and has not answered: as it was asked, or its encoded reply, or error, or when that is known. */
export interface EarlierCall {
  readonly streamId: number;
  /** As it came; where it is to be asked again, it may be left out. */
  readonly asked?: Uint8Array;
  readonly request: Request | Uint8Array | TtrpcError | Promise<Uint8Array | TtrpcError>;
  /** How many processes have been asked for it and have ended. */
  readonly ended?: number;
}

/** A server's end of a connection: reads requests, runs their handlers, writes what they say. */
export class ServerConnection implements ConnectionInfo {
  /** From request to the end of the handler, also when the client is gone by then. */
  readonly calls = new Map<number, ServerCall>();
  closed = false;
  readonly openedAt = performance.now();

  /** It is being closed: what comes now is not answered, and so not acted upon. */
  #closing = false;

  readonly #socket: ConnectionSocket;
  readonly #account: CallAccount | undefined;
  readonly #settings: ConnectionSettings;
  readonly #output: Output;
  readonly #gate: ReadGate;
  readonly #decoder = new FrameDecoder();
  /** Of those that came here. */
  #lastSeen = 0;
  /** Requests up to this one may come once more, and are known. */
  #knownStreamId = 0;
  #begun = false;
  readonly #received = (chunk: Buffer): void => this.#receive(chunk);
  #state: Map<unknown, unknown> | undefined;
  /** Streams that wait for the output to drain. */
  #waiting: (() => void)[] = [];

  constructor(
    readonly id: number,
    socket: ConnectionSocket,
    readonly peer: PeerCredentials | undefined,
    settings: ConnectionSettings,
  ) {
    this.#socket = socket;
    this.#account = socket.account;
    this.#settings = settings;
    this.#output = new Output(socket, () => this.#drained());
    this.#gate = new ReadGate(socket);
    // Half-closed connections aren't part of the protocol. What went wrong matters to nobody: the peer is gone.
    socket.on('end', () => this.close());
    socket.on('error', () => this.close());
    socket.on('close', () => this.close());
    socket.on('data', this.#received);
  }

  /** Undefined while a frame is under way, in or out. Calls that are being handled are the caller's business. */
  rest(): RestingConnection | undefined {
    const fd = descriptorOf(this.#socket);
    if (fd === undefined || this.closed || this.#closing || !this.#gate.isOpen) return undefined;
    if (this.#decoder.midFrame || this.#output.unsent > 0) return undefined;
    return { fd, lastStreamId: this.#lastStreamId, begun: this.#begun };
  }

  /** Goes on where another process has left off. */
  resume({ lastStreamId, begun, isSudden = false }: ResumedConnection): this {
    this.#lastSeen = lastStreamId;
    this.#begun = begun;
    if (isSudden) this.#knownStreamId = lastStreamId;
    return this;
  }

  /** Begins a call that another process has been asked for, and has not answered; or fails it. */
  ask({ streamId, asked, request, ended = 0 }: EarlierCall): void {
    this.#account?.asked(streamId, asked ?? encodeRequest(request as Request), ended);
    if (request instanceof Promise) void request.then((answer) => this.#answerEarlier(streamId, answer));
    else if (request instanceof TtrpcError || request instanceof Uint8Array) this.#answerEarlier(streamId, request);
    else this.#begin(streamId, 0, request);
  }

  #answerEarlier(streamId: number, answer: Uint8Array | TtrpcError): void {
    this.#write(answer instanceof TtrpcError ? errorFrame(streamId, answer) : replyFrame(streamId, answer));
    this.#account?.answered(streamId);
  }

  get #lastStreamId(): number {
    return Math.max(this.#lastSeen, this.#account?.lastStreamId() ?? 0);
  }

  get socket(): ConnectionSocket {
    return this.#socket;
  }

  get state(): Map<unknown, unknown> {
    return (this.#state ??= new Map<unknown, unknown>());
  }

  /** Ends the connection as soon as what has been said is sent. */
  closeSoon(): void {
    this.#closing = true;
    this.#socket.destroySoon();
  }

  /** Ends the connection now. Handlers go on, but nobody hears them. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.#socket.destroy();
    const gone = new DOMException('context canceled', 'AbortError');
    for (const call of this.calls.values()) this.#abandon(call, gone);
    this.#drained();
    this.#settings.changed(this);
  }

  /** The socket is somebody else's from now on. */
  #leave(): void {
    this.#socket.off('data', this.#received);
    this.closed = true;
    this.#settings.changed(this);
  }

  #receive(chunk: Buffer): void {
    if (!this.#begun) {
      this.#begun = true;
      if (chunk[0] !== 0 && this.#settings.other?.(this.#socket, chunk)) {
        this.#leave();
        return;
      }
    }
    this.#decoder.push(chunk);
    for (let frame = this.#decoder.next(); frame !== undefined; frame = this.#decoder.next()) {
      if (this.closed || this.#closing) return;
      this.#dispatch(frame);
    }
  }

  /** The order of these checks is that of the Go server; peers see which of several errors they get. */
  #dispatch(frame: Frame): void {
    const { streamId, payload } = frame;
    if (payload === undefined) {
      this.#refuse(streamId, oversized(frame.length, MAX_MESSAGE_LENGTH));
    } else if (streamId % 2 !== 1) {
      this.#complain(streamId, Code.InvalidArgument, 'StreamID must be odd for client initiated streams');
    } else if (frame.type === FrameType.data) {
      this.#receiveData(streamId, frame.flags, payload);
    } else if (frame.type === FrameType.request) {
      if (streamId <= this.#knownStreamId) return;
      this.#knownStreamId = 0;
      if (streamId <= this.#lastStreamId) {
        this.#complain(streamId, Code.InvalidArgument, 'StreamID cannot be re-used and must increment');
        return;
      }
      this.#lastSeen = streamId;
      this.#account?.asked(streamId, payload);
      this.#receiveRequest(streamId, frame.flags, payload);
    }
  }

  #receiveRequest(streamId: number, flags: number, bytes: Buffer): void {
    let request: Request;
    try {
      request = decodeRequest(bytes);
    } catch (error) {
      this.#complain(streamId, Code.InvalidArgument, `unmarshal request error: ${textOf(error)}`);
      this.#account?.answered(streamId);
      return;
    }
    this.#begin(streamId, flags, request);
  }

  #begin(streamId: number, flags: number, request: Request): void {
    const service = this.#settings.methods.service(request.service);
    if (service === undefined) {
      this.#complain(streamId, Code.Unimplemented, `service ${request.service}`);
      this.#account?.answered(streamId);
      return;
    }
    const method = service.get(request.method);
    if (method === undefined) {
      this.#complain(streamId, Code.Unimplemented, `method ${request.method}`);
      this.#account?.answered(streamId);
      return;
    }
    const call = new ServerCall(this, streamId, request, method);
    this.calls.set(streamId, call);
    this.#run(call, request.payload, flags);
  }

  #run(call: ServerCall, payload: Uint8Array, flags: number): void {
    const {
      definition: { kind, request },
      run,
    } = call.bound;
    const clientStreams = kind === 'clientStream' || kind === 'bidi';
    let input: unknown;
    if (clientStreams) {
      input = this.#openInbox(call, payload, flags);
    } else {
      try {
        input = decodeMessage(request, payload);
      } catch (error) {
        this.#end(call, TtrpcError.from(error));
        return;
      }
    }
    const serverStreams = kind === 'serverStream' || kind === 'bidi';
    let result: unknown;
    try {
      const start = serverStreams
        ? () => this.#sendAll(call, run(input, call) as AsyncIterable<unknown> | Iterable<unknown>)
        : () => run(input, call);
      result =
        this.#settings.interceptors.length === 0
          ? start()
          : this.#intercept(call, clientStreams ? undefined : input, start);
    } catch (error) {
      this.#end(call, TtrpcError.from(error));
      return;
    }
    // Results that are there already are answered in this turn, without the detour of a promise.
    if (isThenable(result)) {
      result.then(
        (value) => this.#succeed(call, value),
        (error: unknown) => this.#end(call, TtrpcError.from(error)),
      );
    } else this.#succeed(call, result);
  }

  #intercept(call: ServerCall, request: unknown, start: () => unknown): unknown {
    return this.#settings.interceptors.reduceRight<() => unknown>(
      (next, intercept) => () => intercept(call, request, next),
      start,
    )();
  }

  #succeed(call: ServerCall, result: unknown): void {
    if (call.answered) {
      this.#forget(call);
      return;
    }
    const { kind, response } = call.bound.definition;
    if (kind === 'serverStream' || kind === 'bidi') {
      this.#output.write(encodeFrame(call.streamId, FrameType.data, Flag.remoteClosed | Flag.noData, EMPTY));
      this.#forget(call);
      return;
    }
    let frame: FrameBytes;
    try {
      frame = replyFrame(call.streamId, encodeMessage(response, result));
    } catch (error) {
      this.#end(call, TtrpcError.from(error));
      return;
    }
    this.#write(frame);
    this.#forget(call);
  }

  /** The handler has failed. */
  #end(call: ServerCall, error: TtrpcError): void {
    if (!call.answered) this.#write(errorFrame(call.streamId, error));
    this.#forget(call);
  }

  /** The one place where a call leaves the table: its handler has ended. */
  #forget(call: ServerCall): void {
    call.answered = true;
    call.release();
    this.calls.delete(call.streamId);
    this.#account?.answered(call.streamId);
    this.#settings.changed(this);
  }

  /** Nobody waits for the call any more, but its handler still runs. */
  #abandon(call: ServerCall, reason: DOMException): void {
    call.answered = true;
    call.abort(reason);
  }

  /** Answers a frame with an error. A call that is running on that stream is none of its business. */
  #complain(streamId: number, code: Code, message: string): void {
    this.#write(errorFrame(streamId, new TtrpcError(code, message)));
  }

  /** Answers a frame with an error that is also the answer to the call it belongs to, if that is still running. */
  #refuse(streamId: number, error: TtrpcError): void {
    this.#write(errorFrame(streamId, error));
    const call = this.calls.get(streamId);
    if (call !== undefined && !call.answered) this.#abandon(call, new DOMException(error.message, 'AbortError'));
  }

  #write(frame: FrameBytes): void {
    this.#output.write(frame);
    // A peer that sends and doesn't read must not fill our memory with replies.
    if (this.#output.full && this.#output.unsent > this.#settings.maxUnsentBytes) this.#gate.hold(this);
  }

  #drained(): void {
    this.#gate.release(this);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resume of waiting) resume();
  }

  #openInbox(call: ServerCall, payload: Uint8Array, flags: number): Inbox<unknown> {
    const inbox = new Inbox<unknown>(
      this.#gate,
      this.#settings.stall,
      () => {
        this.#refuse(call.streamId, new TtrpcError(Code.InvalidArgument, `data handling error: ${STREAM_FULL}`));
      },
      () => undefined,
    );
    call.inbox = inbox;
    // Without this a handler that waits for a message would not notice its deadline.
    if (call.deadline !== undefined) void call.signal;
    // An empty first payload is no message: it is what a client sends that only opens the stream.
    if (payload.length > 0) deliver(call, inbox, payload);
    if ((flags & Flag.remoteClosed) !== 0) inbox.end();
    return inbox;
  }

  #receiveData(streamId: number, flags: number, payload: Buffer): void {
    const call = this.calls.get(streamId);
    if (call === undefined || call.answered) {
      this.#complain(streamId, Code.InvalidArgument, 'StreamID is no longer active');
      return;
    }
    const { inbox } = call;
    const closes = (flags & Flag.remoteClosed) !== 0;
    if (closes && payload.length > 0) {
      this.#refuse(streamId, new TtrpcError(Code.InvalidArgument, 'data close message cannot include data'));
      return;
    }
    if ((flags & Flag.noData) === 0) {
      if (inbox === undefined || inbox.over) {
        this.#refuse(streamId, new TtrpcError(Code.InvalidArgument, 'data handling error: ttrpc: stream closed'));
        return;
      }
      deliver(call, inbox, payload);
    }
    if (closes) inbox?.end();
  }

  async #sendAll(call: ServerCall, messages: AsyncIterable<unknown> | Iterable<unknown>): Promise<void> {
    const { response } = call.bound.definition;
    for await (const message of messages) {
      if (call.answered) return;
      const payload = encodeMessage(response, message);
      if (payload.length > MAX_MESSAGE_LENGTH) throw oversized(payload.length, MAX_MESSAGE_LENGTH);
      this.#write(encodeFrame(call.streamId, FrameType.data, 0, payload));
      if (this.#output.full) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}

function deliver(call: ServerCall, inbox: Inbox<unknown>, payload: Uint8Array): void {
  let message: unknown;
  try {
    message = decodeMessage(call.bound.definition.request, payload);
  } catch (error) {
    inbox.fail(TtrpcError.from(error));
    return;
  }
  inbox.push(message);
}
