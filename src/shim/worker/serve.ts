/** Serving: the long life of a shim, from its socket to its orderly end (contract §1.8). */
import { closeSync, fstatSync } from 'node:fs';
import { Socket } from 'node:net';
import { ContainerdTaskV2Task, ContainerdTaskV3Task } from '../../api/gen/services.js';
import { runningCommands } from '../../runc/index.js';
import {
  becomeSubreaper,
  bytesOfGiven,
  copyOf,
  endSilently,
  forgetWithMonitor,
  hearMonitor,
  haveTaken,
  isWatched,
  keepWithMonitor,
  leaveWithMonitor,
  monitorCooks,
  shimPid,
  type Answer,
  type Answers,
  type GivenRecord,
} from '../../sys/index.js';
import { Server, type ServerInterceptor } from '../../ttrpc/index.js';
import type { ConnectionSocket } from '../../ttrpc/connection-socket.js';
import { Containers } from '../task/containers.js';
import type { ShimContext } from '../task/context.js';
import type { Custom } from '../task/custom.js';
import type { ContainerRecord } from '../record/record.js';
import { answerDebug, asksForState, DumpToLog } from '../debug/door.js';
import type { Sources } from '../debug/sources.js';
import { EventPublisher } from '../events/publisher.js';
import { replyTo } from '../task/lost.js';
import { OrphanReaper } from '../task/orphans.js';
import type { Invocation } from '../program/flags.js';
import { Acceptor } from '../program/accept.js';
import type { Listening } from '../program/listen.js';
import { Forgotten } from './forgotten.js';
import type { FifoLogger } from '../observe/log.js';
import type { Observations } from '../observe/observations.js';
import { staysAwake } from '../task/resting.js';
import { Sandbox, sandboxService } from '../task/sandbox-service.js';
import { taskService } from '../task/service.js';
import { Absence } from '../events/absence.js';
import { answersOf, cookedOf, QUESTIONS } from './answers.js';
import { Checkpoints } from './checkpoints.js';
import { Death, leaveLedger } from './death.js';
import { FORMAT } from './format.js';
import {
  leaveConnections,
  resumeConnections,
  wokenByWords,
  type Deaths,
  type RestingShim,
  type WokenBy,
} from './handover.js';
import { CannotRest, keepsFromLeaving, Leaving, type Found } from './leaving.js';
import { Ledger } from './ledger.js';
import { ReadyAnswers } from './ready-answers.js';
import { Replacement } from './replacement.js';
import { Rest } from './rest.js';
import { Sleep, woken, type SleepRecord } from './sleep.js';
import { TrackedSocket, type TrackedSettings } from './tracked-socket.js';

/** How long the last events and replies may take when the shim ends. */
const DRAIN_MS = 5_000;
/**
 * How long the shim of a sandbox that has been stopped stays. When a reply and the end of its connection come together,
 * containerd's client may take the call for failed; and what asks for the sandbox's shutdown next is to be answered.
 */
const STOPPED_SANDBOX_MS = 1_000;

/** How long a file stays open that an earlier worker had open when it ended. */
const LASTING_MS = 10_000;
/** As much as one look at a connection takes. */
const SCRATCH = 64 * 1024;

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
  /** How long it has nothing to do before it sleeps, in milliseconds; undefined where it never does. */
  idleMs?: number | undefined;
  /** What an earlier worker has left, to go on with. */
  earlier?: { readonly resting: RestingShim; readonly found: Found; readonly wokenBy: WokenBy } | undefined;
}

/** Serves until it is shut down, by the daemon or by a signal, and everything is cleaned up. */
export async function serve(options: ServeOptions): Promise<void> {
  const { log } = options;
  if (shimPid() === process.pid) becomeSubreaper();
  const service = new Service(options);
  process.on('SIGTERM', () => service.end('SIGTERM'));
  process.on('SIGINT', () => service.end('SIGINT'));
  const dump = new DumpToLog(service.sources, log);
  process.on('SIGUSR1', () => void dump.write());
  if (shimPid() !== process.pid) process.on('SIGUSR2', () => void service.makeRoom());
  hearMonitor();
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
  readonly #sleep: Sleep;
  readonly #replacement = new Replacement((leaving) => {
    // It is no sleep, which would be the longer for having been short.
    const { times, idleMs, answered } = this.#sleep.record;
    return this.#leave(leaving, { times, idleMs, answered });
  }, leave);
  /** Why there will never be another; undefined where there may be. */
  readonly #staysAwake: string | undefined;
  /** Of earlier workers. */
  readonly #cpuBefore: number;
  readonly #containers: Containers;
  readonly #ledger = Ledger.open();
  readonly #ready: ReadyAnswers | undefined;
  /** Questions may be answered without JavaScript. What an author has made of them is not known here. */
  readonly #mayAnswer: boolean;
  readonly #checkpoints = new Checkpoints(() => this.#keep());
  /** Why the monitor has nothing that another could go on with; undefined while it has. */
  #irreplaceable: string | undefined;
  #deaths: Deaths | undefined;
  readonly #tracked: TrackedSettings = {
    ledger: this.#ledger,
    scratch: Buffer.allocUnsafeSlow(SCRATCH),
    beforeSend: () => this.#checkpoints.ifDue(),
  };
  /** About the shim itself, that are being answered. */
  #questions = 0;
  readonly #ended: Promise<string>;
  /** Once it has all that an earlier worker has left. */
  readonly #begun: Promise<void>;
  #begin: () => void = () => undefined;
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
      idleMs,
      earlier,
    } = options;
    const shim: ShimContext = (this.#shim = {
      record: {
        namespace,
        id,
        address: `unix://${listening.path}`,
        startedAt: earlier?.resting.startedAt ?? Date.now(),
        containers: {},
      },
      events: new EventPublisher(
        ttrpcAddress,
        namespace,
        log,
        new Absence(earlier?.resting.events.absence),
        earlier?.resting.events.figures,
        observations.changes,
        (event) => {
          this.#ledger.told = event;
        },
        () => observations.requests.isAnswering,
      ),
      orphans: new OrphanReaper(),
      log,
      observations,
      custom,
      isRehearsal,
    });
    this.#staysAwake = staysAwake(options);
    this.#irreplaceable = this.#staysAwake ?? 'it has just begun';
    const containers = (this.#containers = new Containers(shim));
    const server = (this.#server = new Server({
      interceptors,
      onError: (error) => log.warn('a connection failed', { error }),
      other: (socket, first) => this.#answer(socket, first),
    }));
    this.#cpuBefore = earlier?.resting.cpuSeconds ?? 0;
    this.sources = {
      pid: shimPid(),
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
      sleep: () => this.#sleep.describe(),
      deaths: () => ({ ...this.#deaths, irreplaceable: this.#irreplaceable }),
      cpuSeconds: () => this.#cpuBefore + ownCpuSeconds(),
      isWatched,
    };
    this.#ended = new Promise((resolve) => {
      this.end = (why) => {
        // Once: what is at the socket's place afterwards is somebody else's.
        this.end = () => undefined;
        // What is left from now on is nothing to go on with.
        this.#checkpoints.stop();
        // Whoever has asked for it is answered when a new `start` finds this shim no more.
        try {
          listening.unlink();
        } finally {
          resolve(why);
        }
      };
    });
    this.#begun = new Promise((resolve) => (this.#begin = resolve));
    const service = taskService(shim, containers, () => this.end('the daemon asked for it'));
    const rest = (this.#rest = new Rest({ isForked }));
    this.#mayAnswer = !custom?.handlers;
    // Who sees calls first is to see all of them.
    if (this.#mayAnswer && interceptors.length === 0 && !isRehearsal)
      this.#ready = new ReadyAnswers(
        () => this.#answers(),
        (count) => {
          // Most of them are.
          observations.requests.answered('State', count);
          observations.counters.answeredReady += count;
        },
      );
    const ready = this.#ready;
    const handlers = observations.requests.accountedFor(custom?.handlers?.(service) ?? service, {
      onRequest: (method) => {
        if (!this.#sleep.isSoon) rest.busy();
        if (method === 'State' || method === 'Connect') ready?.asked();
      },
      onCommand: () => {
        ready?.begun();
        shim.events.commanded();
      },
      onDone: () => {
        ready?.done();
        this.#checkpoints.soon();
      },
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
    this.#sleep = new Sleep(
      this.#staysAwake === undefined ? idleMs : undefined,
      () => this.#activity(),
      (leaving, sleep) => {
        const resting = this.#leave(leaving, sleep);
        // On a busy machine it is as if there were nothing to do.
        if (isRehearsal) throw new CannotRest('it only rehearses');
        return leave(resting, leaving, this.#answersFor(resting));
      },
      () => rest.busy(),
      earlier && woken(earlier.resting.sleep, idleMs, wokenByWords(earlier.wokenBy, earlier.resting), isForked),
      this.#staysAwake,
    );
  }

  /** A question about the shim itself. */
  #answer(connection: ConnectionSocket, first: Buffer): boolean {
    if (!asksForState(first)) return false;
    // It is to count them, too.
    this.#ready?.changed();
    const socket = connection instanceof TrackedSocket ? connection.asNodeSocket(first.length) : (connection as Socket);
    answerDebug(socket, first, this.sources);
    this.#questions++;
    socket.once('close', () => this.#questions--);
    // It is none that another would go on with: the monitor is to let go of it, or its client would find no end.
    this.#checkpoints.soon();
    return true;
  }

  #accept(fd: number): void {
    void this.#server.accept(this.#socketOf(fd));
    this.#checkpoints.soon();
  }

  /** What is not accounted for, as there is too much, goes with this process. */
  #socketOf(fd: number, lastStreamId?: number, begun?: boolean): ConnectionSocket {
    const tracked = TrackedSocket.open(fd, this.#tracked, lastStreamId, begun);
    // Its client finds the end when the monitor has closed it, too.
    tracked?.once('close', () => this.#checkpoints.soon());
    return tracked ?? new Socket({ fd, readable: true, writable: true });
  }

  /** There is somebody to leave things with, and another may go on with them. */
  get #isReplaceable(): boolean {
    return shimPid() !== process.pid && this.#staysAwake === undefined;
  }

  get #records(): ContainerRecord[] {
    return Object.values(this.#shim.record.containers);
  }

  #answers(): Answer[] {
    return answersOf(this.#records, this.#containers);
  }

  /** What is answered while there is no worker. */
  #answersFor({ connections }: RestingShim): Answers | undefined {
    if (!this.#mayAnswer) return undefined;
    return { connections, texts: this.#answers(), cooked: cookedOf(this.#records) };
  }

  /** Those that fail are not. */
  #isAnsweredAsleep(method: string, count: number): boolean {
    if (!this.#mayAnswer || !QUESTIONS.has(method)) return false;
    return method !== 'Stats' || count === 0 || (this.#isReplaceable && monitorCooks());
  }

  /** Another text when something has happened that it has to be awake for. */
  #activity(): string {
    let requests = 0;
    for (const [method, { count, failed }] of this.options.observations.requests.totals())
      requests += this.#isAnsweredAsleep(method, count) ? failed : count;
    return `${requests} ${this.#server.connections} ${this.#shim.events.describe().sent}`;
  }

  /** For a worker of another version. */
  async makeRoom(): Promise<void> {
    await this.#begun;
    await this.#replacement.asked();
  }

  #leave(leaving: Leaving, sleep: SleepRecord): RestingShim {
    return { ...this.#leaveUnobserved(leaving, sleep), observations: this.options.observations.rest() };
  }

  /** The same as JSON, for less than to write what was observed each time. */
  #leaveAsText(leaving: Leaving, sleep: SleepRecord): string {
    const rest = JSON.stringify(this.#leaveUnobserved(leaving, sleep));
    return `{"observations":${this.options.observations.restText()},${rest.slice(1)}`;
  }

  #leaveUnobserved(leaving: Leaving, sleep: SleepRecord): Omit<RestingShim, 'observations'> {
    const { listening, log, observations } = this.options;
    if (this.#staysAwake !== undefined) throw new CannotRest(this.#staysAwake);
    const { events, record, orphans } = this.#shim;
    const { adoptions, zombies } = orphans.describe();
    if (adoptions.length + zombies.length > 0) leaving.underWay('processes have lost their parent');
    const restingEvents = leaving.isSudden ? events.restSuddenly() : events.rest();
    if (!restingEvents) throw new CannotRest('events are on their way');
    this.#ready?.changed();
    if (this.#questions > 0) leaving.underWay('its state is being asked for');
    if (observations.waits.pending().length > 0) leaving.underWay('something is waited for');
    const { fd, ino, dev } = listening;
    return {
      format: FORMAT,
      debug: log.isDebugging,
      startedAt: record.startedAt,
      listener: { place: leaving.wakes(fd), path: listening.path, ino, dev },
      connections: leaving.isSudden ? [] : leaveConnections(this.#server, observations, leaving),
      ledger: leaving.isSudden ? leaveLedger(this.#server, this.#ledger, leaving) : undefined,
      deaths: this.#deaths,
      containers: this.#containers.rest(leaving),
      events: restingEvents,
      log: log.describe(),
      cpuSeconds: this.#cpuBefore + ownCpuSeconds(),
      sleep,
    };
  }

  /**
   * For a rehearsal: all that it would leave to sleep, as the next one is given it, with descriptors of its own. This one closes its own, and ends:
   * the next is alone then.
   *
   * @throws CannotRest
   */
  async handOver(): Promise<GivenRecord> {
    const leaving = new Leaving();
    let given: GivenRecord;
    // What each that falls asleep does first; and below, what it leaves besides.
    this.#sleep.look();
    try {
      const resting = this.#leave(leaving, this.#sleep.record);
      const record = Buffer.from(JSON.stringify(resting));
      bytesOfGiven(this.#answersFor(resting));
      const fds = leaving.all.map(({ fd }) => copyOf(fd));
      const held = fds.map(() => Buffer.alloc(0));
      given = { record, fds, held, copied: fds.map(() => 0), wokenBy: fds.length - 1, shared: [] };
    } finally {
      leaving.giveUp();
    }
    this.#server.close();
    await this.#containers.letGo();
    this.end('another goes on');
    return given;
  }

  /** Hands the monitor what another worker would need, should this one end without a word. */
  #keep(): void {
    const { isRehearsal = false } = this.options;
    if (!this.#isReplaceable && !isRehearsal) return;
    const leaving = new Leaving(true);
    try {
      const record = Buffer.from(this.#leaveAsText(leaving, this.#sleep.record));
      // To put it together is most of the work.
      if (!this.#isReplaceable) return;
      keepWithMonitor(record, FORMAT, leaving.all);
      this.#irreplaceable = undefined;
    } catch (error) {
      if (!keepsFromLeaving(error)) throw error;
      // What it has of before would be wrong.
      if (this.#isReplaceable) forgetWithMonitor();
      this.#irreplaceable = error.message;
    }
  }

  /** Goes on where another worker has left off. */
  #goOn({ resting, found, wokenBy }: NonNullable<ServeOptions['earlier']>): void {
    const { observations, log } = this.options;
    const death = wokenBy === 'death' && resting.ledger ? new Death(resting.ledger, found) : undefined;
    this.#deaths = death?.describe(resting.deaths) ?? resting.deaths;
    observations.resume(resting.observations);
    log.resume(resting.log);
    this.#shim.events.resume(resting.events.queue ?? [], death?.told ?? 0);
    const settled = this.#containers.resume(resting.containers, found, death?.lost);
    const socketOf = (fd: number, lastStreamId: number, begun: boolean): ConnectionSocket =>
      this.#socketOf(fd, lastStreamId, begun);
    // What becomes of the earlier worker's requests is found out without being asked for here.
    this.#ready?.begun();
    void settled.then(() => this.#ready?.done());
    resumeConnections(this.#server, resting.connections, found, socketOf);
    for (const fd of found.shared) {
      if (fstatSync(fd).isSocket()) this.#accept(fd);
      // Whoever is writing to it is to find a reader.
      else setTimeout(() => closeSync(fd), LASTING_MS);
    }
    death?.resume(this.#server, socketOf, (lost) => replyTo(lost, this.#containers.find(lost.id)?.record), settled);
    found.closeRest();
    if (this.#isReplaceable) {
      this.#sleep.answered(haveTaken());
      // What it still has goes with what takes its place, or for want of that.
      this.#irreplaceable = undefined;
    }
    this.#checkpoints.now();
    // A daemon that has gone meanwhile is to be missed.
    this.#shim.events.prepare();
    if (death) log.warn('the worker ended without a word, and another goes on', { during: this.#deaths?.during });
    else log.debug('woken', { by: wokenByWords(wokenBy, resting) });
  }

  async run(): Promise<void> {
    const { listening, log, observations, earlier } = this.options;
    this.#shim.orphans.start();
    await this.#server.ready();
    const acceptor = new Acceptor(
      listening.fd,
      (fd) => this.#accept(fd),
      (error) => log.warn('a connection failed', { error }),
      this.#isReplaceable ? 'monitor' : 'us',
    );
    if (earlier) this.#goOn(earlier);
    else log.debug('serving', { address: this.#shim.record.address, pid: shimPid() });
    observations.changes.onChange = () => {
      this.#ready?.changed();
      this.#checkpoints.soon();
    };
    observations.changes.onExit = () => {
      this.#ready?.changed();
      this.#checkpoints.later();
    };
    this.#checkpoints.soon();
    observations.timeline.mark('serving');
    this.#begin();
    const why = await this.#ended;
    log.debug('shutting down', { why });
    if (this.#irreplaceable === undefined) forgetWithMonitor();
    acceptor.close();
    this.#forgotten.stop();
    this.#sleep.stop();
    await Promise.all([this.#server.shutdown({ graceMs: 200 }), this.#shim.events.close(DRAIN_MS)]);
    this.#shim.orphans.stop();
    this.#rest.stop();
    this.#ledger.close();
  }
}

/** @throws SysError when the monitor does not take it */
function leave(record: RestingShim, leaving: Leaving, answers?: Answers): never {
  leaveWithMonitor(Buffer.from(JSON.stringify(record)), FORMAT, leaving.all, answers);
  return endSilently();
}

function ownCpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
