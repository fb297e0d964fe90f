/** The gRPC server: services over HTTP/2, for whoever connects to a listening socket. */
import type { Socket } from 'node:net';
import { Server, ServerCredentials, type ConnectionInjector, type UntypedHandleCall } from '@grpc/grpc-js';
import type { Logger } from 'pino';
import { memberOf } from '../../ttrpc/handlers.js';
import type { AnyMethod } from '../../ttrpc/service.js';
import { answer, type Run } from './answer.js';
import { keepRepeatedHeaders } from './repeated-headers.js';
import type { BoundService } from './service.js';

/** Calls that last as long as a container may. */
const WAITS = new Set(['containerd.services.tasks.v1.Tasks/Wait']);

const MAX_MESSAGE = 16 * 1024 * 1024;

export interface GrpcServerOptions {
  readonly log: Logger;
  /** In bytes; 16 MiB unless given. */
  readonly maxReceive?: number;
  readonly maxSend?: number;
}

export class GrpcServer {
  readonly #server: Server;
  readonly #services = new Map<string, string>();
  readonly #log: Logger;
  #injector: ConnectionInjector | undefined;
  #active = 0;
  #drained: () => void = () => undefined;

  constructor({ log, maxReceive = MAX_MESSAGE, maxSend = MAX_MESSAGE }: GrpcServerOptions) {
    this.#log = log;
    this.#server = new Server({
      'grpc.max_receive_message_length': maxReceive,
      'grpc.max_send_message_length': maxSend,
      'grpc.enable_channelz': 0,
    });
  }

  /** The services that are answered, by their full names. */
  get services(): string[] {
    return [...this.#services.keys()];
  }

  /** @param owner named when another has added the same service */
  add({ definition, handlers }: BoundService, owner: string): void {
    const other = this.#services.get(definition.name);
    if (other !== undefined)
      throw new Error(`the gRPC service ${definition.name} of ${owner} is answered by ${other} already`);
    this.#services.set(definition.name, owner);
    for (const [name, method] of Object.entries(definition.methods)) {
      const handler = memberOf(handlers, name);
      if (typeof handler !== 'function') continue;
      const run = this.#counted(definition.name, name, method, (handler as Run).bind(handlers));
      const handle = answer(definition.name, name, method.kind, run, this.#log) as UntypedHandleCall;
      this.#server.register(
        `/${definition.name}/${name}`,
        handle,
        encoder(method),
        (bytes) => method.request.decode(bytes) as unknown,
        method.kind,
      );
    }
  }

  /** Answers one connection. */
  accept(socket: Socket): void {
    this.#injector ??= this.#inject();
    this.#injector.injectConnection(socket);
  }

  /**
   * Takes no more calls, and waits for the replies of those that are under way. What is left after `graceMs` is cut off; streams, and
   * calls that only wait for something to happen, are cut off at once.
   */
  async close(graceMs: number): Promise<void> {
    this.#server.tryShutdown(() => this.#drained());
    if (this.#active > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, graceMs);
        this.#drained = () => {
          if (this.#active > 0) return;
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#server.forceShutdown();
  }

  #inject(): ConnectionInjector {
    const injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
    keepRepeatedHeaders(this.#server);
    return injector;
  }

  /** Runs a handler and counts it, if its reply is worth waiting for at the end. */
  #counted(service: string, name: string, method: AnyMethod, run: Run): Run {
    if (method.kind !== 'unary' || WAITS.has(`${service}/${name}`)) return run;
    return async (input, call) => {
      this.#active++;
      try {
        return await run(input, call);
      } finally {
        this.#active--;
        // The reply has yet to be sent.
        setImmediate(() => this.#drained());
      }
    };
  }
}

function encoder(method: AnyMethod): (message: unknown) => Buffer {
  return (message) => {
    const bytes = method.response.encode(message).finish();
    // protobufjs makes Buffers here; other encoders may not.
    return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
}
