/** The gRPC connection to a daemon, and its services as objects. */
import type { Socket } from 'node:net';
import type { AnyMethod, ServiceDefinition } from '../../ttrpc/service.js';
import { Code } from '../../ttrpc/status.js';
import { abortedBy, throwIfAborted } from '../abort.js';
import { AbortError, ClientError, errorOf, UnavailableError } from '../errors.js';
import type { Header } from '../http2/hpack.js';
import { GivenUp, type Call, type Listener } from './call.js';
import { Channel } from './channel.js';
import { frame } from './frames.js';
import { lazily } from './lazily.js';
import { definitions, type Services } from './services.js';
import { StatusError } from './status.js';
import { MessageStream } from './stream.js';
import type { RpcDuplex, RpcOptions, RpcSending } from './types.js';

/** A timer waits no longer: who gives a call weeks gives it any time. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export class Connection {
  readonly #channel: Channel;
  #closed = false;

  /**
   * @param path of the daemon's socket
   * @param first that leads there already, and is used before others are made
   */
  constructor(
    readonly path: string,
    first?: Socket,
  ) {
    this.#channel = new Channel(path, first);
  }

  /** All services, in a namespace. */
  services(namespace: string): Services {
    return lazily(definitions, (definition: ServiceDefinition) => this.#service(definition, namespace)) as Services;
  }

  close(): void {
    this.#closed = true;
    this.#channel.close();
  }

  #service({ name: service, methods }: ServiceDefinition, namespace: string): object {
    return lazily(methods, (method, name) => {
      const call = new Method(this.#channel, `/${service}/${name}`, method, namespace, (error) => this.#errorOf(error));
      return {
        unary: (request: unknown, options?: RpcOptions) => call.unary(request, options),
        serverStream: (request: unknown, options?: RpcOptions) => call.serverStream(request, options),
        clientStream: (options?: RpcOptions) => call.clientStream(options),
        bidi: (options?: RpcOptions) => call.bidi(options),
      }[method.kind];
    });
  }

  #errorOf(thrown: unknown): Error {
    if (thrown instanceof ClientError) return thrown;
    if (this.#closed)
      return new UnavailableError(Code.Unavailable, 'the client was closed: unavailable', { cause: thrown });
    if (thrown instanceof GivenUp) return new AbortError(thrown);
    if (!(thrown instanceof StatusError))
      return new ClientError(Code.Internal, thrown instanceof Error ? thrown.message : String(thrown), {
        cause: thrown,
      });
    const { code, details } = thrown;
    // A daemon that ends cancels its calls; nobody here did.
    if (code === Code.Canceled)
      return new UnavailableError(
        Code.Unavailable,
        `${this.path}: the daemon gave the call up (${details}): unavailable`,
        { cause: thrown },
      );
    if (code === Code.Unavailable)
      return new UnavailableError(Code.Unavailable, `${this.path}: cannot reach the daemon: ${details}: unavailable`, {
        cause: thrown,
      });
    return errorOf(code, details, thrown);
  }
}

/** One method, called. */
class Method {
  constructor(
    private readonly channel: Channel,
    private readonly path: string,
    private readonly method: AnyMethod,
    private readonly namespace: string,
    private readonly errorOf: (error: unknown) => Error,
  ) {}

  async unary(request: unknown, options: RpcOptions = {}): Promise<unknown> {
    const message = this.#encode(request);
    const { call, reply } = this.#single(options);
    call.finish(message);
    return reply;
  }

  serverStream(request: unknown, options: RpcOptions = {}): AsyncIterableIterator<unknown> {
    const message = this.#encode(request);
    const messages = new MessageStream<unknown>();
    const call = this.#begin(options, messages);
    messages.from(call);
    call.finish(message);
    return messages;
  }

  clientStream(options: RpcOptions = {}): RpcSending<unknown, unknown> {
    const { call, reply } = this.#single(options);
    reply.catch(() => undefined);
    return {
      // A stream that is cut off says so by its reply; a write that fails has nothing to add.
      send: (message) => Promise.race([call.send(this.#encode(message)), reply.then(() => undefined)]),
      finish: () => {
        call.finish();
        return reply;
      },
      cancel: () => call.cancel(),
    };
  }

  bidi(options: RpcOptions = {}): RpcDuplex<unknown, unknown> {
    const messages = new MessageStream<unknown>();
    let fail: (error: unknown) => void;
    const failed = new Promise<never>((_, reject) => (fail = reject));
    failed.catch(() => undefined);
    const call = this.#begin(options, {
      take: (message) => messages.take(message),
      end: (error) => {
        if (error !== undefined) fail(error);
        messages.end(error);
      },
    });
    messages.from(call);
    return Object.assign(messages, {
      send: (message: unknown) => Promise.race([failed, call.send(this.#encode(message))]),
      finish: () => call.finish(),
      cancel: () => call.cancel(),
    });
  }

  /** A call that is answered once. */
  #single(options: RpcOptions): { call: Call; reply: Promise<unknown> } {
    const replies: unknown[] = [];
    let settle: (error: Error | undefined) => void;
    const reply = new Promise<unknown>((resolve, reject) => {
      settle = (error) => {
        if (error !== undefined) reject(error);
        else if (replies.length === 1) resolve(replies[0]);
        else
          reject(
            this.errorOf(
              new StatusError(
                Code.Internal,
                `${this.path} was answered with ${replies.length} messages instead of one`,
              ),
            ),
          );
      };
    });
    const call = this.#begin(options, { take: (message) => replies.push(message), end: (error) => settle(error) });
    return { call, reply };
  }

  /** @throws Error of the library's, also when the signal is aborted already */
  #begin(options: RpcOptions, receiver: { take(message: unknown): void; end(error: Error | undefined): void }): Call {
    const { signal, timeoutMs } = options;
    throwIfAborted(signal);
    const listener: Listener = {
      message: (bytes) => receiver.take(this.method.response.decode(bytes)),
      end: (error) => {
        signal?.removeEventListener('abort', cancel);
        receiver.end(error && (signal?.aborted ? abortedBy(signal) : this.errorOf(error)));
      },
    };
    let call: Call;
    try {
      call = this.channel.call(this.#headers(options), bounded(timeoutMs), listener);
    } catch (error) {
      throw this.errorOf(error);
    }
    const cancel = (): void => call.cancel();
    signal?.addEventListener('abort', cancel, { once: true });
    return call;
  }

  /** In its frame. @throws ResourceExhaustedError for one that is too large */
  #encode(message: unknown): Buffer {
    const bytes = this.method.request.encode(message).finish();
    try {
      return frame(bytes);
    } catch (error) {
      throw this.errorOf(error);
    }
  }

  #headers({ namespace = this.namespace, lease, headers = {}, timeoutMs }: RpcOptions): Header[] {
    const late = bounded(timeoutMs);
    return [
      [':method', 'POST'],
      [':scheme', 'http'],
      [':path', this.path],
      [':authority', 'localhost'],
      ['content-type', 'application/grpc'],
      ['te', 'trailers'],
      ...(late === undefined ? [] : [['grpc-timeout', timeoutText(late)] as const]),
      ['containerd-namespace', namespace],
      ...(lease === undefined ? [] : [['containerd-lease', lease] as const]),
      ...Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value] as const),
    ];
  }
}

/** A time that a timer can wait for. */
function bounded(timeoutMs: number | undefined): number | undefined {
  return timeoutMs === undefined || timeoutMs > MAX_TIMER_MS ? undefined : Math.max(0, timeoutMs);
}

/** As gRPC has it: at most eight digits, and a unit. */
function timeoutText(ms: number): string {
  return ms < 1e8 ? `${Math.ceil(ms)}m` : `${Math.ceil(ms / 1000)}S`;
}
