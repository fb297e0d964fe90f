/** The ttrpc server, for shims: only peers of the daemon's own user are heard. */
import type { Server as NetServer, Socket } from 'node:net';
import type { Logger } from 'pino';
import { Server, type CallContext } from '../../ttrpc/index.js';
import { memberOf, type Handlers } from '../../ttrpc/handlers.js';
import { ttrpcCall } from './call.js';
import type { BoundService } from './service.js';

export class TtrpcServer {
  readonly #server: Server;
  readonly #services = new Map<string, string>();

  constructor({ log }: { readonly log: Logger }) {
    this.#server = new Server({ onError: (err) => log.warn({ err }, 'cannot accept a ttrpc connection') });
  }

  get services(): string[] {
    return [...this.#services.keys()];
  }

  /** @param owner named when another has added the same service */
  add({ definition, handlers }: BoundService, owner: string): void {
    const other = this.#services.get(definition.name);
    if (other !== undefined)
      throw new Error(`the ttrpc service ${definition.name} of ${owner} is answered by ${other} already`);
    this.#services.set(definition.name, owner);
    const adapted: Record<string, unknown> = {};
    for (const name of Object.keys(definition.methods)) {
      const handler = memberOf(handlers, name);
      if (typeof handler !== 'function') continue;
      const run = (handler as (...args: unknown[]) => unknown).bind(handlers);
      adapted[name] = (input: unknown, context: CallContext) => run(input, ttrpcCall(context));
    }
    this.#server.add(definition, adapted as Handlers<typeof definition>);
  }

  /** Answers whoever connects to a listening socket. */
  serve(listener: NetServer): Promise<void> {
    return this.#server.serve(listener);
  }

  /** Answers one connection, if its peer is of our own user. */
  accept(socket: Socket): void {
    void this.#server.accept(socket);
  }

  close(graceMs: number): Promise<void> {
    return this.#server.shutdown({ graceMs });
  }
}
