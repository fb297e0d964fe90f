/** Serving: the long life of a shim, from its socket to its orderly end (contract §1.8). */
import { ContainerdTaskV2Task, ContainerdTaskV3Task } from '../api/gen/services.js';
import { commandTotals, runningCommands } from '../runc/index.js';
import { becomeSubreaper, isWatched } from '../sys/index.js';
import { Server, type ServerInterceptor } from '../ttrpc/index.js';
import { Containers } from './containers.js';
import type { ShimContext } from './context.js';
import { counters } from './counters.js';
import { answerDebug, logDebug } from './debug.js';
import type { Sources } from './debug/sources.js';
import { EventPublisher } from './events.js';
import { OrphanReaper } from './exits.js';
import type { Invocation } from './flags.js';
import type { Listening } from './listen.js';
import { Forgotten } from './forgotten.js';
import type { FifoLogger } from './log.js';
import { accountedFor, pendingRequests, requestTotals } from './requests.js';
import { taskService } from './task-service.js';
import { pendingWaits } from './waits.js';

/** How long the last events and replies may take when the shim ends. */
const DRAIN_MS = 5_000;

export interface ServeOptions {
  invocation: Invocation;
  listening: Listening;
  log: FifoLogger;
  /** See every call first. */
  interceptors: readonly ServerInterceptor[];
  /** The daemon's ttrpc socket. */
  ttrpcAddress: string;
}

/** Serves until it is shut down, by the daemon or by a signal, and everything is cleaned up. */
export async function serve({ invocation, listening, log, interceptors, ttrpcAddress }: ServeOptions): Promise<void> {
  const { namespace, id } = invocation;
  becomeSubreaper();
  const shim: ShimContext = {
    record: { namespace, id, address: `unix://${listening.path}`, startedAt: Date.now(), containers: {} },
    events: new EventPublisher(ttrpcAddress, namespace, log),
    orphans: new OrphanReaper(),
    log,
  };
  shim.orphans.start();
  const containers = new Containers(shim);
  const server = new Server({
    interceptors,
    onError: (error) => log.warn('a connection failed', { error }),
    other: (socket, first) => answerDebug(socket, first, sources),
  });
  const sources: Sources = {
    record: shim.record, counters, containers: () => containers.describe(), requests: pendingRequests, requestTotals,
    commands: runningCommands, commandTotals, waits: pendingWaits, events: () => shim.events.describe(), orphans: () => shim.orphans.describe(),
    log: () => log.describe(), connections: () => server.connections, isWatched,
  };

  let end: (why: string) => void = () => undefined;
  const ended = new Promise<string>((resolve) => (end = resolve));
  const handlers = accountedFor(taskService(shim, containers, () => end('the daemon asked for it')));
  server.add(ContainerdTaskV2Task, handlers).add(ContainerdTaskV3Task, handlers);

  process.on('SIGTERM', () => end('SIGTERM'));
  process.on('SIGINT', () => end('SIGINT'));
  process.on('SIGUSR1', () => void logDebug(sources, log));
  // What goes wrong in one place must not take the containers with it.
  process.on('uncaughtException', (error) => log.error('a defect: an exception that nobody caught', { error, stack: error.stack }));
  process.on('unhandledRejection', (reason) => log.error('a defect: a rejection that nobody handled', { error: reason, stack: (reason as Error | undefined)?.stack }));

  const forgotten = new Forgotten((forLong) => (forLong || server.connections === 0) && containers.endIfEmpty(), () => end('nobody needs it'));
  containers.onEmpty = () => forgotten.emptied();
  await server.serve(listening.server);
  log.debug('serving', { address: shim.record.address, pid: process.pid });
  const why = await ended;
  log.debug('shutting down', { why });

  // From here on a new `start` must not find this shim.
  listening.unlink();
  forgotten.stop();
  await Promise.all([server.shutdown({ graceMs: 200 }), shim.events.close(DRAIN_MS)]);
  shim.orphans.stop();
}
