import type { ActiveCall, CallContext, ConnectionInfo, PeerCredentials } from './call-context.js';
import { DeadlineTimer, now } from './deadline.js';
import type { Request } from './envelope.js';
import type { BoundMethod } from './handlers.js';
import type { Inbox } from './inbox.js';
import { Metadata } from './metadata.js';

/** One call, from its request until its handler has ended: what the handler sees of it, and what the connection keeps of it. */
export class ServerCall implements CallContext, ActiveCall {
  readonly started = now();
  readonly deadline: number | undefined;

  /** The final frame is written, or will never be: what the handler still says goes nowhere. */
  answered = false;
  /** Messages from the client; undefined where it doesn't stream. */
  inbox: Inbox<unknown> | undefined;

  readonly service: string;
  readonly method: string;

  // The payload isn't kept: it is a view of a much larger buffer, and some calls last as long as a container.
  readonly #pairs: Request['metadata'];
  #metadata: Metadata | undefined;
  #controller: AbortController | undefined;
  #timer: DeadlineTimer | undefined;
  #aborted: { readonly reason: DOMException } | undefined;
  #released = false;

  constructor(
    readonly connection: ConnectionInfo,
    readonly streamId: number,
    request: Request,
    readonly bound: BoundMethod,
  ) {
    this.service = request.service;
    this.method = request.method;
    this.#pairs = request.metadata;
    this.deadline = request.timeoutMs === undefined ? undefined : this.started + request.timeoutMs;
  }

  get connectionId(): number {
    return this.connection.id;
  }

  get peer(): PeerCredentials | undefined {
    return this.connection.peer;
  }

  get metadata(): Metadata {
    return (this.#metadata ??= new Metadata(this.#pairs.map(({ key, value }) => [key, value] as const)));
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#aborted !== undefined) this.#controller.abort(this.#aborted.reason);
      else if (this.deadline !== undefined && !this.#released) this.#watchDeadline(this.deadline);
    }
    return this.#controller.signal;
  }

  /** Nobody waits for the result any more. */
  abort(reason: DOMException): void {
    if (this.#aborted !== undefined) return;
    this.#aborted = { reason };
    this.#timer?.clear();
    this.inbox?.fail(reason);
    this.#controller?.abort(reason);
  }

  /** The handler has ended. */
  release(): void {
    this.#released = true;
    this.#timer?.clear();
    this.inbox?.end();
  }

  #watchDeadline(deadline: number): void {
    const expired = (): void => this.abort(new DOMException('context deadline exceeded', 'TimeoutError'));
    if (deadline <= now()) expired();
    else this.#timer = new DeadlineTimer(deadline, expired);
  }
}
