/** The client: typed calls over one connection. */
import type { Socket } from 'node:net';
import { ClientConnection } from './client-connection.js';
import { ClientStream } from './client-stream.js';
import type { BidiCall, SendingCall, ServiceClient } from './client-types.js';
import { EMPTY, requestHead } from './envelope.js';
import { deadlineAfter, type CallOptions, type Opening } from './exchange.js';
import { STALL_LIMITS, type StallLimits } from './inbox.js';
import { Metadata, type MetadataInit } from './metadata.js';
import type { AnyMethod, MethodDefinition, MethodKind, ServiceDefinition } from './service.js';
import { Code, textOf, TtrpcError } from './status.js';
import { UnaryCall } from './unary-call.js';
import { Flag } from './wire.js';

/** A unary call on its way through the interceptors. */
export interface OutgoingCall {
  readonly service: string;
  readonly method: string;
  readonly request: unknown;
  /** May be changed in place. */
  readonly metadata: Metadata;
  /** When the call is given up, in milliseconds since the epoch. */
  readonly deadline: number | undefined;
  readonly signal: AbortSignal | undefined;
}

/** Sees every unary call before it is sent and its reply before the caller does; may change, answer or repeat it. */
export type ClientInterceptor = (
  call: OutgoingCall,
  next: (call: OutgoingCall) => Promise<unknown>,
) => Promise<unknown>;

/** What holds for all calls of a client. */
export interface ClientOptions {
  /** The first is the outermost. */
  readonly interceptors?: readonly ClientInterceptor[] | undefined;
  /** Goes with every call, streams included; a call's own metadata replaces keys of it. */
  readonly metadata?: MetadataInit | undefined;
  /** How much a stream that isn't read from may hold up the connection. */
  readonly stall?: Partial<StallLimits> | undefined;
}

/** Calls methods over one connection, any number at the same time. */
export class Client {
  /** Kept when the connection is over, whoever ended it. */
  readonly closed: Promise<void>;

  readonly #connection: ClientConnection;
  readonly #interceptors: readonly ClientInterceptor[];
  readonly #metadata: Metadata | undefined;
  readonly #heads = new WeakMap<AnyMethod, Map<string, Uint8Array>>();

  /** Takes over a socket: nobody else must read from it or write to it. */
  constructor(socket: Socket, options: ClientOptions = {}) {
    this.#connection = new ClientConnection(socket, { ...STALL_LIMITS, ...options.stall });
    this.#interceptors = options.interceptors ?? [];
    this.#metadata = options.metadata === undefined ? undefined : new Metadata(options.metadata);
    this.closed = this.#connection.closed;
  }

  /** How many calls are not answered yet. */
  get pendingCalls(): number {
    return this.#connection.pendingCalls;
  }

  /** Ends the connection. Pending calls fail with `ttrpc: closed`. */
  close(): void {
    this.#connection.close();
  }

  /** The service as an object with one function for each of its methods. */
  service<S extends ServiceDefinition>(definition: S): ServiceClient<S> {
    const methods = Object.create(null) as Record<string, unknown>;
    for (const [name, method] of Object.entries(definition.methods))
      methods[name] = this.#bind(definition.name, name, method);
    return methods as ServiceClient<S>;
  }

  /** Calls a unary method by its names. */
  call<ReqInit, Res>(
    service: string,
    name: string,
    method: MethodDefinition<'unary', ReqInit, unknown, unknown, Res>,
    request: ReqInit,
    options: CallOptions = {},
  ): Promise<Res> {
    const deadline = deadlineAfter(options.timeoutMs);
    const metadata = this.#merged(options.metadata);
    const { signal } = options;
    if (this.#interceptors.length === 0)
      return this.#callUnary(service, name, method, request, metadata, deadline, signal);

    const send = (call: OutgoingCall): Promise<unknown> =>
      this.#callUnary(
        call.service,
        call.method,
        method,
        call.request as ReqInit,
        call.metadata,
        call.deadline,
        call.signal,
      );
    const chain = this.#interceptors.reduceRight<typeof send>(
      (next, intercept) => (call) => intercept(call, next),
      send,
    );
    return chain({
      service,
      method: name,
      request,
      metadata: metadata ?? new Metadata(),
      deadline,
      signal,
    }) as Promise<Res>;
  }

  #bind(service: string, name: string, method: AnyMethod): unknown {
    // What the kinds' functions look like is declared once, by ClientMethod.
    switch (method.kind) {
      case 'unary': {
        const unary = method as MethodDefinition<'unary', unknown, unknown, unknown, unknown>;
        return (request: unknown, options?: CallOptions) => this.call(service, name, unary, request, options);
      }
      case 'serverStream':
        return (request: unknown, options?: CallOptions) =>
          this.#open(service, name, method, encode(method, request), options).inbox;
      case 'clientStream':
        return (options?: CallOptions): SendingCall<unknown, unknown> => {
          const stream = this.#open(service, name, method, EMPTY, options);
          return {
            send: (message) => stream.send(message),
            finish: () => reply(stream),
            cancel: () => stream.cancel(),
          };
        };
      case 'bidi':
        return (options?: CallOptions): BidiCall<unknown, unknown> => {
          const stream = this.#open(service, name, method, EMPTY, options);
          return {
            send: (message) => stream.send(message),
            finish: () => stream.closeSend(),
            cancel: () => stream.cancel(),
            [Symbol.asyncIterator]: () => stream.inbox,
          };
        };
    }
  }

  #callUnary<ReqInit, Res>(
    service: string,
    name: string,
    method: MethodDefinition<'unary', ReqInit, unknown, unknown, Res>,
    request: ReqInit,
    metadata: Metadata | undefined,
    deadline: number | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Res> {
    return new Promise<Res>((resolve, reject) => {
      const head = this.#head(service, name, method);
      const payload = encode(method, request);
      const opening: Opening = { head, flags: 0, payload, metadata, deadline, signal };
      new UnaryCall<Res>(this.#connection, opening, method.response, resolve, reject).begin();
    });
  }

  #open(
    service: string,
    name: string,
    method: AnyMethod,
    payload: Uint8Array,
    options: CallOptions = {},
  ): ClientStream<unknown, unknown> {
    const opening: Opening = {
      head: this.#head(service, name, method),
      flags: method.kind === 'serverStream' ? Flag.remoteClosed : Flag.remoteOpen,
      payload,
      metadata: this.#merged(options.metadata),
      deadline: deadlineAfter(options.timeoutMs),
      signal: options.signal,
    };
    const kind: MethodKind = method.kind;
    const stream = new ClientStream<unknown, unknown>(this.#connection, opening, kind, method.request, method.response);
    stream.begin();
    return stream;
  }

  #head(service: string, name: string, method: AnyMethod): Uint8Array {
    let heads = this.#heads.get(method);
    if (heads === undefined) this.#heads.set(method, (heads = new Map<string, Uint8Array>()));
    const key = `${service}/${name}`;
    let head = heads.get(key);
    if (head === undefined) heads.set(key, (head = requestHead(service, name)));
    return head;
  }

  #merged(own: MetadataInit | undefined): Metadata | undefined {
    if (own === undefined) return this.#metadata === undefined ? undefined : new Metadata(this.#metadata);
    const mine = new Metadata(own);
    if (this.#metadata === undefined) return mine;
    const merged = new Metadata();
    for (const [key, value] of this.#metadata) if (!mine.has(key)) merged.append(key, value);
    for (const [key, value] of mine) merged.append(key, value);
    return merged;
  }
}

/** A message that cannot be encoded is the caller's mistake. */
export function encode(method: AnyMethod, request: unknown): Uint8Array {
  try {
    return method.request.encode(request).finish();
  } catch (error) {
    throw new TtrpcError(Code.InvalidArgument, `ttrpc: error marshalling request: ${textOf(error)}`, { cause: error });
  }
}

async function reply(stream: ClientStream<unknown, unknown>): Promise<unknown> {
  const [result] = await Promise.all([stream.inbox.next(), stream.closeSend()]);
  if (result.done) throw new TtrpcError(Code.Internal, 'ttrpc: the reply was taken already');
  return result.value;
}
