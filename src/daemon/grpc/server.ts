/** The gRPC server: services over HTTP/2, for whoever connects to a listening socket. */
import type { Server as NetServer } from 'node:net';
import { Server, ServerCredentials, type UntypedHandleCall } from '@grpc/grpc-js';
import type { Logger } from 'pino';
import { memberOf } from '../../ttrpc/handlers.js';
import type { AnyMethod } from '../../ttrpc/service.js';
import { answer } from './answer.js';
import type { BoundService } from './service.js';

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

  constructor({ log, maxReceive = MAX_MESSAGE, maxSend = MAX_MESSAGE }: GrpcServerOptions) {
    this.#log = log;
    this.#server = new Server({ 'grpc.max_receive_message_length': maxReceive, 'grpc.max_send_message_length': maxSend, 'grpc.enable_channelz': 0 });
  }

  /** The services that are answered, by their full names. */
  get services(): string[] {
    return [...this.#services.keys()];
  }

  /** @param owner named when another has added the same service */
  add({ definition, handlers }: BoundService, owner: string): void {
    const other = this.#services.get(definition.name);
    if (other !== undefined) throw new Error(`the gRPC service ${definition.name} of ${owner} is answered by ${other} already`);
    this.#services.set(definition.name, owner);
    for (const [name, method] of Object.entries(definition.methods)) {
      const handler = memberOf(handlers, name);
      if (typeof handler !== 'function') continue;
      const run = (handler as (...args: unknown[]) => unknown).bind(handlers);
      const handle = answer(definition.name, name, method.kind, run, this.#log) as UntypedHandleCall;
      this.#server.register(`/${definition.name}/${name}`, handle, encoder(method), (bytes) => method.request.decode(bytes) as unknown, method.kind);
    }
  }

  /** Answers those who connect from now on. */
  serve(listener: NetServer): void {
    const injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
    listener.on('connection', (socket) => injector.injectConnection(socket));
  }

  /** Takes no more calls, and waits for those that are under way; what is left after `graceMs` is cut off. */
  async close(graceMs: number): Promise<void> {
    const timer = setTimeout(() => this.#server.forceShutdown(), graceMs);
    await new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()));
    clearTimeout(timer);
    this.#server.forceShutdown();
  }
}

function encoder(method: AnyMethod): (message: unknown) => Buffer {
  return (message) => {
    const bytes = method.response.encode(message).finish();
    // protobufjs makes Buffers here; other encoders may not.
    return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
}
