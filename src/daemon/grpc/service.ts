/** What a gRPC service plugin gives the daemon: definitions, and what answers them. */
import type { Handlers } from '../../ttrpc/handlers.js';
import type { ServiceDefinition } from '../../ttrpc/service.js';

/** What a handler is told besides its request. Errors are thrown as `errdefs` makes them. */
export interface Call {
  readonly service: string;
  readonly method: string;
  /** From the header `containerd-namespace`, the first where there are several; reading it throws FailedPrecondition when there is none, InvalidArgument when it is no identifier. */
  readonly namespace: string;
  /** From the header `containerd-lease`, the first where there are several. */
  readonly lease: string | undefined;
  /** Aborts when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  /** When the caller gives up, in milliseconds since the epoch. */
  readonly deadline: number | undefined;
  /** Any other header; its first value. */
  header(name: string): string | undefined;
}

/** One service with what answers it; methods without a handler are Unimplemented. */
export interface BoundService {
  readonly definition: ServiceDefinition;
  readonly handlers: object;
}

/** Binds handlers to a definition, with their types checked. */
export function bindService<S extends ServiceDefinition>(definition: S, handlers: Handlers<S, Call>): BoundService {
  return { definition, handlers };
}
