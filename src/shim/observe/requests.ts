/** The requests that are being handled, with what they are about, and how many there have been. */
import type { CallContext } from '../../ttrpc/index.js';
import type { Timeline } from './timeline.js';

export interface PendingRequest {
  readonly method: string;
  /** The container's. */
  readonly id: string;
  /** Empty for the init. */
  readonly execId: string;
  readonly context: CallContext;
}

export interface RequestTotal {
  count: number;
  failed: number;
}

/** Who is told of requests. */
export interface RequestListener {
  /** Called with each request. */
  onRequest(method: string): void;
  /** Called with each request that is more than a question, as only a client of the daemon makes them. */
  onCommand(): void;
  /** Called before such a request is answered, whatever became of it. */
  onDone?(): void;
}

type Handle = (request: { id?: string; execId?: string }, context: CallContext) => unknown;

/** What is asked over and over, and changes nothing. */
const QUIET: ReadonlySet<string> = new Set(['State', 'Pids', 'Stats', 'Connect', 'Wait']);

export class Requests {
  readonly #pending = new Set<PendingRequest>();
  readonly #totals = new Map<string, RequestTotal>();
  #current: PendingRequest | undefined;

  constructor(private readonly timeline: Timeline) {}

  /** Those whose handler has not ended, oldest first. */
  pending(): PendingRequest[] {
    return [...this.#pending];
  }

  /** There is one that is not answered, and is no Wait, which may take as long as it likes. */
  get isAnswering(): boolean {
    for (const { method } of this.#pending) if (method !== 'Wait') return true;
    return this.#current !== undefined;
  }

  /** Goes on from what another process has counted. */
  resume(totals: Readonly<Record<string, RequestTotal>>): void {
    for (const [method, { count, failed }] of Object.entries(totals)) {
      const total = this.#totals.get(method);
      if (total) Object.assign(total, { count: total.count + count, failed: total.failed + failed });
    }
  }

  /** So many were answered where nobody saw them. */
  answered(method: string, count: number): void {
    const total = this.#totals.get(method);
    if (total) total.count += count;
  }

  /** By method. */
  totals(): ReadonlyMap<string, Readonly<RequestTotal>> {
    return this.#totals;
  }

  /** On whose account this runs. Known only until the handler first waits for something. */
  get current(): PendingRequest | undefined {
    return this.#current;
  }

  /** The same handlers, keeping account of what they are asked. */
  accountedFor<H extends object>(handlers: H, listener: RequestListener): H {
    return Object.fromEntries(
      Object.entries(handlers).map(([method, handle]) => [method, this.#accounted(method, handle as Handle, listener)]),
    ) as H;
  }

  #accounted(method: string, handle: Handle, listener: RequestListener): Handle {
    const total = { count: 0, failed: 0 };
    this.#totals.set(method, total);
    const isQuiet = QUIET.has(method);
    return (request, context) => {
      total.count++;
      listener.onRequest(method);
      if (!isQuiet) {
        this.timeline.mark(`${method}: asked`, request.id);
        listener.onCommand();
      }
      const entry = { method, id: request.id ?? '', execId: request.execId ?? '', context };
      this.#current = entry;
      let result: unknown;
      try {
        result = handle(request, context);
      } catch (error) {
        total.failed++;
        throw error;
      } finally {
        this.#current = undefined;
        if (!isQuiet && !(result instanceof Promise)) listener.onDone?.();
      }
      // What is answered at once was never pending.
      if (!(result instanceof Promise)) return result;
      this.#pending.add(entry);
      return result.then(
        (reply: unknown) => {
          this.#pending.delete(entry);
          if (!isQuiet) this.timeline.mark(`${method}: done`, request.id);
          if (!isQuiet) listener.onDone?.();
          return reply;
        },
        (error: unknown) => {
          this.#pending.delete(entry);
          total.failed++;
          if (!isQuiet) listener.onDone?.();
          throw error;
        },
      );
    };
  }
}
