/** The end of a worker without a word: what it was asked and has not answered, and what becomes of that. */
import { setTimeout as delay } from 'node:timers/promises';
import { containerd } from '../../api/gen/api.js';
import { unavailable } from '../../api/errdefs.js';
import type { ConnectionSocket } from '../../ttrpc/connection-socket.js';
import { decodeRequest, type Request } from '../../ttrpc/envelope.js';
import type { Server, TtrpcError } from '../../ttrpc/index.js';
import type { Lost } from '../task/lost.js';
import type { Deaths, RestingShim } from './handover.js';
import type { Found, Leaving } from './leaving.js';
import { Ledger, type LedgerConnection } from './ledger.js';
import { TrackedSocket } from './tracked-socket.js';

/** Asked again they do no harm, and no good that is not wanted. */
const REPEATABLE: ReadonlySet<string> = new Set([
  'State',
  'Pids',
  'Stats',
  'Connect',
  'Wait',
  'Delete',
  'CloseIO',
  'ResizePty',
  'Shutdown',
]);

/** So many workers end over one request, and it is what they end of; but for a Wait, which does nothing. */
const MOST_ENDED = 3;

/** How long it may take to find out: its client is to have an answer within a second. */
const PATIENCE_MS = 500;

/** Longer than any that is kept. */
const LONGER = 16 << 10;

/** An earlier worker's connection, and what it was asked there. */
interface EarlierConnection {
  readonly fd: number;
  readonly ledger: LedgerConnection;
  readonly calls: readonly {
    readonly streamId: number;
    readonly asked: Uint8Array;
    readonly request: Request | undefined;
    readonly lost: Lost;
    /** How many workers have ended over it, the last one included. */
    readonly ended: number;
  }[];
}

/** For each connection what another would need to go on with it. What is not accounted for goes with this process. */
export function leaveLedger(server: Server, ledger: Ledger, leaving: Leaving): NonNullable<RestingShim['ledger']> {
  const connections = server
    .sockets()
    .filter((socket) => socket instanceof TrackedSocket)
    .map(({ fd, number }) => ({ place: leaving.keep(fd), number }));
  return { place: leaving.keep(ledger.fd), connections };
}

/** What an earlier worker, which has ended suddenly, was doing. */
export class Death {
  readonly #connections: readonly EarlierConnection[];
  /** The last event that the daemon had taken. */
  readonly told: number;

  constructor({ place, connections }: NonNullable<RestingShim['ledger']>, found: Found) {
    const earlier = Ledger.read(found.fd(place));
    this.told = earlier?.told ?? 0;
    this.#connections = connections.flatMap(({ place, number }) => {
      const ledger = earlier?.connection(number);
      // One whose client has gone, or where nobody knows where the next frame begins: it ends.
      if (!ledger || ledger.isMidFrame) return [];
      return [{ fd: found.fd(place), ledger, calls: ledger.unanswered.map(callOf) }];
    });
    earlier?.close();
  }

  /** What was asked for, and neither done nor answered. */
  get lost(): Lost[] {
    return this.#connections.flatMap(({ calls }) => calls.map(({ lost }) => lost));
  }

  /** For the log and the state dump. */
  describe(before: Deaths | undefined): Deaths {
    const during = this.lost
      .filter(({ method }) => method !== 'Wait')
      .map(({ method, id, execId }) => [method, 'of', execId || id].join(' '));
    return {
      times: (before?.times ?? 0) + 1,
      at: Date.now(),
      during: during.join(', ') || 'nothing that was asked for',
    };
  }

  /**
   * Goes on with the connections, once what they may ask about is there: answers what was done, asks again, or, when it has been
   * found out, or takes too long, answers that, or says that nobody knows.
   *
   * @param replyTo encoded, to what was done before its worker's end
   * @param settled when what became of the others is known; never rejects
   */
  resume(
    server: Server,
    socketOf: (fd: number, lastStreamId: number, begun: boolean) => ConnectionSocket,
    replyTo: (lost: Lost) => Uint8Array | undefined,
    settled: Promise<unknown>,
  ): void {
    const known = Promise.race([settled, delay(PATIENCE_MS, undefined, { ref: false })]);
    const found = (lost: Lost): Promise<Uint8Array | TtrpcError> => known.then(() => replyTo(lost) ?? broken(lost));
    for (const { fd, ledger, calls } of this.#connections) {
      const earlier = calls.map(({ streamId, asked, request, lost, ended }) => ({
        streamId,
        asked,
        ended,
        request: replyTo(lost) ?? (request && isRepeated(lost, ended) ? request : found(lost)),
      }));
      server.resume(socketOf(fd, ledger.lastStreamId, ledger.begun), { ...ledger, isSudden: true }, earlier);
    }
  }
}

function callOf({
  streamId,
  at,
  request: bytes,
  ended,
}: LedgerConnection['unanswered'][number]): EarlierConnection['calls'][number] {
  const known = bytes && tryDecode(bytes);
  if (!known)
    return {
      streamId,
      asked: bytes ?? Buffer.alloc(LONGER),
      request: undefined,
      lost: { method: 'a request that is not known', id: '', execId: '' },
      ended: ended + 1,
    };
  const { timeoutMs } = known;
  // One whose time is over is answered so.
  const request = timeoutMs === undefined ? known : { ...known, timeoutMs: Math.max(1, timeoutMs - (Date.now() - at)) };
  return { streamId, asked: bytes, request, lost: { method: known.method, ...subjectOf(known) }, ended: ended + 1 };
}

function tryDecode(bytes: Buffer): Request | undefined {
  try {
    return decodeRequest(bytes);
  } catch {
    // Garbage, that its client was to be told of.
    return undefined;
  }
}

/** Those that have an exec's id as the second field; the first is the container's in all. */
const ABOUT_PROCESSES: ReadonlySet<string> = new Set('State Start Delete Kill Exec ResizePty CloseIO Wait'.split(' '));

function subjectOf({ method, payload }: Request): { id: string; execId: string } {
  try {
    const { id, execId } = containerd.task.v2.StartRequest.decode(payload);
    return { id, execId: ABOUT_PROCESSES.has(method) ? execId : '' };
  } catch {
    // Another service's.
    return { id: '', execId: '' };
  }
}

/** @param ended how many workers have ended over it */
export function isRepeated({ method }: Pick<Lost, 'method'>, ended: number): boolean {
  return REPEATABLE.has(method) && (method === 'Wait' || ended < MOST_ENDED);
}

function broken({ method }: Lost): TtrpcError {
  return unavailable(`${method} was broken off, as the shim's worker ended`);
}
