/** What handlers are told of a call, whichever way it came. */
import { errdefs } from '../../api/full.js';
import { checkIdentifier } from '../../api/identifier.js';
import { now } from '../../ttrpc/deadline.js';
import type { CallContext } from '../../ttrpc/call-context.js';
import type { Call } from './service.js';

export const NAMESPACE_HEADER = 'containerd-namespace';
export const LEASE_HEADER = 'containerd-lease';

function namespaceOf(value: string | undefined, header: string): string {
  if (!value) throw errdefs.failedPrecondition(`namespace is required: name one in the header ${header}`);
  try {
    checkIdentifier('identifier', value);
  } catch (error) {
    if (error instanceof Error) error.message = `namespace validation: ${error.message}`;
    throw error;
  }
  return value;
}

/** A call that came by gRPC. */
export class GrpcCall implements Call {
  #controller: AbortController | undefined;
  #reason: Error | undefined;

  constructor(
    readonly service: string,
    readonly method: string,
    readonly deadline: number | undefined,
    private readonly headers: (name: string) => string | undefined,
  ) {}

  get namespace(): string {
    return namespaceOf(this.headers(NAMESPACE_HEADER), NAMESPACE_HEADER);
  }

  get lease(): string | undefined {
    return this.headers(LEASE_HEADER) || undefined;
  }

  /** Costs nothing until it is read, as most handlers don't. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    return this.#controller.signal;
  }

  header(name: string): string | undefined {
    return this.headers(name);
  }

  /** Nobody waits for the answer any more. */
  cancel(): void {
    const late = this.deadline !== undefined && now() >= this.deadline - 1;
    this.#reason = late
      ? new DOMException('context deadline exceeded', 'TimeoutError')
      : new DOMException('context canceled', 'AbortError');
    this.#controller?.abort(this.#reason);
  }
}

/** A call that came by ttrpc, whose headers have names of their own. */
export function ttrpcCall(context: CallContext): Call {
  const header = (name: string): string | undefined => context.metadata.get(name);
  return {
    service: context.service,
    method: context.method,
    deadline: context.deadline,
    get namespace() {
      return namespaceOf(header(`${NAMESPACE_HEADER}-ttrpc`), `${NAMESPACE_HEADER}-ttrpc`);
    },
    get lease() {
      return header(LEASE_HEADER) || undefined;
    },
    get signal() {
      return context.signal;
    },
    header,
  };
}
