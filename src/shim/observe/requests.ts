/** The requests that are being handled, with what they are about, and how many there have been. */
import type { CallContext } from '../../ttrpc/index.js';
import { busy } from '../worker/rest.js';
import { mark } from './timeline.js';

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

type Handle = (request: { id?: string; execId?: string }, context: CallContext) => unknown;

/** What is asked over and over, and changes nothing. */
const QUIET = new Set(['State', 'Pids', 'Stats', 'Connect', 'Wait']);

const pending = new Set<PendingRequest>();
const totals = new Map<string, RequestTotal>();
let current: PendingRequest | undefined;

/** Those whose handler has not ended, oldest first. */
export function pendingRequests(): PendingRequest[] {
  return [...pending];
}

/** By method. */
export function requestTotals(): ReadonlyMap<string, Readonly<RequestTotal>> {
  return totals;
}

/** Those so far do not count. */
export function forgetRequests(): void {
  totals.clear();
}

/** On whose account this runs. Known only until the handler first waits for something. */
export function currentRequest(): PendingRequest | undefined {
  return current;
}

/**
 * The same handlers, keeping account of what they are asked.
 *
 * @param onCommand called with each request that is more than a question, as only a client of the daemon makes them
 */
export function accountedFor<H extends object>(handlers: H, onCommand: () => void = () => undefined): H {
  return Object.fromEntries(
    Object.entries(handlers).map(([method, handle]) => [method, accounted(method, handle as Handle, onCommand)]),
  ) as H;
}

function accounted(method: string, handle: Handle, onCommand: () => void): Handle {
  const total = { count: 0, failed: 0 };
  totals.set(method, total);
  return (request, context) => {
    total.count++;
    busy();
    if (!QUIET.has(method)) {
      mark(`${method}: asked`, request.id);
      onCommand();
    }
    const entry = { method, id: request.id ?? '', execId: request.execId ?? '', context };
    current = entry;
    let result: unknown;
    try {
      result = handle(request, context);
    } catch (error) {
      total.failed++;
      throw error;
    } finally {
      current = undefined;
    }
    // What is answered at once was never pending.
    if (!(result instanceof Promise)) return result;
    pending.add(entry);
    return result.then(
      (reply: unknown) => {
        pending.delete(entry);
        if (!QUIET.has(method)) mark(`${method}: done`, request.id);
        return reply;
      },
      (error: unknown) => {
        pending.delete(entry);
        total.failed++;
        throw error;
      },
    );
  };
}
