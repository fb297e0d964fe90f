/** Serving: the long life of a shim, from its socket to its orderly end (contract §1.8). */
import { ContainerdTaskV2Task, ContainerdTaskV3Task } from '../../api/gen/services.js';
import { runningCommands } from '../../runc/index.js';
import { becomeSubreaper, isWatched } from '../../sys/index.js';
import { Server, type ServerInterceptor } from '../../ttrpc/index.js';
import { Containers } from '../task/containers.js';
import type { ShimContext } from '../task/context.js';
import type { Custom } from '../task/custom.js';
import { answerDebug, DumpToLog } from '../debug/door.js';
import type { Sources } from '../debug/sources.js';
import { EventPublisher } from '../events/publisher.js';
import { OrphanReaper } from '../task/orphans.js';
import type { Invocation } from '../program/flags.js';
import type { Listening } from '../program/listen.js';
import { Forgotten } from './forgotten.js';
import type { FifoLogger } from '../observe/log.js';
import type { Observations } from '../observe/observations.js';
import { Sandbox, sandboxService } from '../task/sandbox-service.js';
import { taskService } from '../task/service.js';
import { Rest } from './rest.js';

/** How long the last events and replies may take when the shim ends. */
const DRAIN_MS = 5_000;
/**
 * How long the shim of a sandbox that has been stopped stays. When a reply and the end of its connection come together,
 * containerd's client may take the call for failed; and what asks for the sandbox's shutdown next is to be answered.
 */
const STOPPED_SANDBOX_MS = 1_000;

export interface ServeOptions {
  invocation: Invocation;
  listening: Listening;
  log: FifoLogger;
  /** Made for this service, and for no other. */
  observations: Observations;
  /** See every call first. */
  interceptors: readonly ServerInterceptor[];
  /** The daemon's ttrpc socket. */
  ttrpcAddress: string;
  /** What is not done as runc's shim does it. */
  custom?: Custom;
  /** Default false. */
  isRehearsal?: boolean;
  /** This process has been forked by a zygote. Default false. */
  isForked?: boolean;
}

/** Serves until it is shut down, by the daemon or by a signal, and everything is cleaned up. */
export async function serve(options: ServeOptions): Promise<void> {
  const { log } = options;
  becomeSubreaper();
  const service = new Service(options);
  process.on('SIGTERM', () => service.end('SIGTERM'));
  process.on('SIGINT', () => service.end('SIGINT'));
  const dump = new DumpToLog(service.sources, log);
  process.on('SIGUSR1', () => void dump.write());
  // What goes wrong in one place must not take the containers with it.
  process.on('uncaughtException', (error) =>
    log.error('a defect: an exception that nobody caught', { error, stack: error.stack }),
  );
  process.on('unhandledRejection', (reason) =>
    log.error('a defect: a rejection that nobody handled', {
      error: reason,
      stack: (reason as Error | undefined)?.stack,
    }),
  );
  await service.run();
}

/** What serves on one socket, and nothing that is the process's own: a zygote has one for its rehearsal. */
export class Service {
  readonly sources: Sources;
  readonly #shim: ShimContext;
  readonly #server: Server;
  readonly #forgotten: Forgotten;
  readonly #rest: Rest;
  readonly #ended: Promise<string>;
  /** Ends it, however much is left. */
  end: (why: string) => void = () => undefined;

  constructor(private readonly options: ServeOptions) {
    const {
      invocation: { namespace, id },
      listening,
      log,
      observations,
      interceptors,
      ttrpcAddress,
      custom,
      isRehearsal = false,
      isForked = false,
    } = options;
    const shim: ShimContext = (this.#shim = {
      record: { namespace, id, address: `unix://${listening.path}`, startedAt: Date.now(), containers: {} },
      events: new EventPublisher(ttrpcAddress, namespace, log),
      orphans: new OrphanReaper(),
      log,
      observations,
      custom,
      isRehearsal,
    });
    const containers = new Containers(shim);
    const server = (this.#server = new Server({
      interceptors,
      onError: (error) => log.warn('a connection failed', { error }),
      other: (socket, first) => answerDebug(socket, first, this.sources),
    }));
    this.sources = {
      record: shim.record,
      counters: observations.counters,
      containers: () => containers.describe(),
      requests: () => observations.requests.pending(),
      requestTotals: () => observations.requests.totals(),
      commands: runningCommands,
      commandTotals: () => observations.commands.byName(),
      waits: () => observations.waits.pending(),
      events: () => shim.events.describe(),
      orphans: () => shim.orphans.describe(),
      timeline: () => observations.timeline.moments(),
      log: () => log.describe(),
      connections: () => server.connections,
      isWatched,
    };
    this.#ended = new Promise((resolve) => (this.end = resolve));
    const service = taskService(shim, containers, () => this.end('the daemon asked for it'));
    const rest = (this.#rest = new Rest({ isForked }));
    const handlers = observations.requests.accountedFor(custom?.handlers?.(service) ?? service, {
      onRequest: () => rest.busy(),
      onCommand: () => shim.events.commanded(),
    });
    server.add(ContainerdTaskV2Task, handlers).add(ContainerdTaskV3Task, handlers);
    const stopped = (): void =>
      void setTimeout(() => this.end('the daemon has stopped the sandbox'), STOPPED_SANDBOX_MS);
    server.add(Sandbox, sandboxService(containers.sandboxOwner(stopped)));
    this.#forgotten = new Forgotten(
      (forLong) => (forLong || server.connections === 0) && containers.endIfForgotten(),
      () => this.end('nobody needs it'),
    );
    containers.onEmpty = () => this.#forgotten.emptied();
  }

  async run(): Promise<void> {
    const { listening, log, observations } = this.options;
    this.#shim.orphans.start();
    await this.#server.serve(listening.server);
    observations.timeline.mark('serving');
    log.debug('serving', { address: this.#shim.record.address, pid: process.pid });
    const why = await this.#ended;
    log.debug('shutting down', { why });

    // From here on a new `start` must not find this shim.
    listening.unlink();
    this.#forgotten.stop();
    await Promise.all([this.#server.shutdown({ graceMs: 200 }), this.#shim.events.close(DRAIN_MS)]);
    this.#shim.orphans.stop();
    this.#rest.stop();
  }
}
