/** The gRPC connection to a daemon, and its services as objects. */
import type { EventEmitter } from 'node:events';
import { Client, credentials, Metadata, type CallOptions as GrpcOptions, type ServiceError } from '@grpc/grpc-js';
import type { AnyMethod, ServiceDefinition } from '../../ttrpc/service.js';
import { Code } from '../../ttrpc/status.js';
import { abortedBy, throwIfAborted } from '../abort.js';
import { ClientError, errorOf, UnavailableError } from '../errors.js';
import { definitions, type Services } from './services.js';
import { MessageStream } from './stream.js';
import type { RpcDuplex, RpcOptions, RpcSending } from './types.js';

const MAX_MESSAGE = 64 * 1024 * 1024;

interface Cancelable {
  cancel(): void;
}

export class Connection {
  readonly #grpc: Client;
  /** Those under way: the library goes on with them when it is closed. */
  readonly #calls = new Set<Cancelable>();
  #closed = false;

  /** @param path of the daemon's socket */
  constructor(readonly path: string) {
    this.#grpc = new Client(`unix:${path}`, credentials.createInsecure(), {
      'grpc.max_receive_message_length': MAX_MESSAGE,
      'grpc.max_send_message_length': MAX_MESSAGE,
      // A daemon that was restarted is to be found soon: it is on this machine.
      'grpc.initial_reconnect_backoff_ms': 50,
      'grpc.min_reconnect_backoff_ms': 50,
      'grpc.max_reconnect_backoff_ms': 500,
      'grpc.enable_retries': 0,
      'grpc.service_config_disable_resolution': 1,
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_channelz': 0,
    });
  }

  /** All services, in a namespace. */
  services(namespace: string): Services {
    const made: Record<string, object> = {};
    for (const [name, definition] of Object.entries(definitions)) made[name] = this.#service(definition, namespace);
    return made as Services;
  }

  close(): void {
    this.#closed = true;
    for (const call of this.#calls) call.cancel();
    this.#grpc.close();
  }

  #service(definition: ServiceDefinition, namespace: string): object {
    const made: Record<string, unknown> = {};
    for (const [name, method] of Object.entries(definition.methods)) {
      const call = new Method(
        this.#grpc,
        `/${definition.name}/${name}`,
        method,
        namespace,
        (error) => this.#errorOf(error),
        this.#calls,
      );
      made[name] = {
        unary: (request: unknown, options?: RpcOptions) => call.unary(request, options),
        serverStream: (request: unknown, options?: RpcOptions) => call.serverStream(request, options),
        clientStream: (options?: RpcOptions) => call.clientStream(options),
        bidi: (options?: RpcOptions) => call.bidi(options),
      }[method.kind];
    }
    return made;
  }

  #errorOf(thrown: unknown): Error {
    if (thrown instanceof ClientError) return thrown;
    const { details, message } = thrown as ServiceError;
    const code: Code | undefined = (thrown as { code?: number }).code;
    if (this.#closed)
      return new UnavailableError(Code.Unavailable, 'the client was closed: unavailable', { cause: thrown });
    // A daemon that ends cancels its calls; nobody here did.
    if (code === Code.Canceled)
      return new UnavailableError(
        Code.Unavailable,
        `${this.path}: the daemon gave the call up (${details}): unavailable`,
        { cause: thrown },
      );
    if (code === Code.Unavailable)
      return new UnavailableError(Code.Unavailable, `${this.path}: ${unreachable(details)}: unavailable`, {
        cause: thrown,
      });
    if (code === undefined) return new ClientError(Code.Internal, message, { cause: thrown });
    return errorOf(code, details, thrown);
  }
}

/** The library's words for a missing connection, without its notes on name resolution. */
function unreachable(details: string): string {
  const cause = /Last error: (?:Error: )?(.*?)\. Resolution note/.exec(details)?.[1] ?? details;
  return `cannot reach the daemon: ${cause}`;
}

/** One method, called. */
class Method {
  readonly #encode: (message: unknown) => Buffer;
  readonly #decode: (bytes: Buffer) => unknown;

  constructor(
    private readonly grpc: Client,
    private readonly path: string,
    { request, response }: AnyMethod,
    private readonly namespace: string,
    private readonly errorOf: (error: unknown) => Error,
    private readonly calls: Set<Cancelable>,
  ) {
    this.#encode = (message) => Buffer.from(request.encode(message).finish());
    this.#decode = (bytes) => response.decode(bytes) as unknown;
  }

  unary(request: unknown, options: RpcOptions = {}): Promise<unknown> {
    return new Promise((resolve, reject) => {
      throwIfAborted(options.signal);
      const call = this.#begin(() =>
        this.grpc.makeUnaryRequest(
          this.path,
          this.#encode,
          this.#decode,
          request,
          this.#metadata(options),
          deadline(options),
          (error, reply) => {
            done();
            if (error === null) resolve(reply);
            else reject(this.#failure(error, options));
          },
        ),
      );
      const done = heed(call, options.signal);
    });
  }

  serverStream(request: unknown, options: RpcOptions = {}): AsyncIterableIterator<unknown> {
    throwIfAborted(options.signal);
    const call = this.#begin(() =>
      this.grpc.makeServerStreamRequest(
        this.path,
        this.#encode,
        this.#decode,
        request,
        this.#metadata(options),
        deadline(options),
      ),
    );
    call.once('status', heed(call, options.signal));
    return new MessageStream(
      call,
      (error) => this.#failure(error, options),
      () => call.cancel(),
    );
  }

  clientStream(options: RpcOptions = {}): RpcSending<unknown, unknown> {
    throwIfAborted(options.signal);
    let settle: (error: Error | null, reply: unknown) => void;
    const reply = new Promise<unknown>(
      (resolve, reject) =>
        (settle = (error, value) => (error === null ? resolve(value) : reject(this.#failure(error, options)))),
    );
    reply.catch(() => undefined);
    const call = this.#begin(() =>
      this.grpc.makeClientStreamRequest(
        this.path,
        this.#encode,
        this.#decode,
        this.#metadata(options),
        deadline(options),
        (error, value) => {
          done();
          settle(error, value);
        },
      ),
    );
    const done = heed(call, options.signal);
    return {
      // A stream that is cut off says so by its reply; a write that fails has nothing to add.
      send: (message) => Promise.race([written(call, message), reply.then(() => undefined)]),
      finish: () => {
        call.end();
        return reply;
      },
      cancel: () => call.cancel(),
    };
  }

  bidi(options: RpcOptions = {}): RpcDuplex<unknown, unknown> {
    throwIfAborted(options.signal);
    const call = this.#begin(() =>
      this.grpc.makeBidiStreamRequest(
        this.path,
        this.#encode,
        this.#decode,
        this.#metadata(options),
        deadline(options),
      ),
    );
    call.once('status', heed(call, options.signal));
    const failed = new Promise<never>((_, reject) =>
      call.once('error', (error) => reject(this.#failure(error, options))),
    );
    failed.catch(() => undefined);
    const messages = new MessageStream<unknown>(
      call,
      (error) => this.#failure(error, options),
      () => call.cancel(),
    );
    return Object.assign(messages, {
      send: (message: unknown) => Promise.race([written(call, message), failed]),
      finish: () => void call.end(),
      cancel: () => call.cancel(),
    });
  }

  /** A connection that was closed throws at once. */
  #begin<T extends EventEmitter & Cancelable>(start: () => T): T {
    let call: T;
    try {
      call = start();
    } catch (error) {
      throw this.errorOf(error);
    }
    this.calls.add(call);
    call.once('status', () => this.calls.delete(call));
    return call;
  }

  #failure(error: unknown, { signal }: RpcOptions): Error {
    return signal?.aborted === true ? abortedBy(signal) : this.errorOf(error);
  }

  #metadata({ namespace = this.namespace, lease, headers = {} }: RpcOptions): Metadata {
    const metadata = new Metadata();
    metadata.set('containerd-namespace', namespace);
    if (lease !== undefined) metadata.set('containerd-lease', lease);
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
    return metadata;
  }
}

function deadline({ timeoutMs }: RpcOptions): GrpcOptions {
  return timeoutMs === undefined || !Number.isFinite(timeoutMs) ? {} : { deadline: Date.now() + timeoutMs };
}

/** Cancels the call when the signal aborts; gives the function that ends this. */
function heed(call: Cancelable, signal: AbortSignal | undefined): () => void {
  if (signal === undefined) return () => undefined;
  const cancel = (): void => call.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  return () => signal.removeEventListener('abort', cancel);
}

function written(
  call: { write(message: unknown, callback: (error?: Error | null) => void): boolean },
  message: unknown,
): Promise<void> {
  return new Promise((resolve) => void call.write(message, () => resolve()));
}
