/**
 * A logging binary and the pipes it reads. The process writes straight into them; the shim keeps a read end of each, so
 * that a logger that ends costs the process no SIGPIPE, and what is unread can be dealt with as the settings say.
 */
import { closeSync, constants, openSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { bytesWaiting, isHungUp, makePipe, setNonblock } from '../../../sys/index.js';
import { Descriptors } from '../descriptors.js';
import { CannotRest, type Found, type Leaving } from '../../worker/leaving.js';
import { LogFile, type RestingLogFile } from './log-file.js';
import { LoggerProcess, type LoggerIdentity } from './logger-process.js';
import { Pump } from '../pump.js';
import { spillSettings, type LoggerSettings } from './settings.js';
import { settled } from '../settle.js';
import { CountingSink, type Sink } from '../sink.js';
import type { StdioObserver, StreamName } from '../types.js';

const { O_NONBLOCK, O_RDONLY } = constants;
/** How long a logger that has read everything may take to end by itself, before it is told to. */
const GRACE_MS = 2000;
/** How soon a logger is started anew: twice as late each time, up to the most; from the first again once it lived that long. */
const RESTART_MS = { first: 100, most: 30_000 };

/** What a worker that rests leaves of a logger. Plain data; descriptors by their places in the list that goes with it. */
export interface RestingLogger {
  readonly settings: LoggerSettings;
  readonly streams: readonly StreamName[];
  readonly descriptors: Readonly<Record<string, number>>;
  readonly pid: number;
  /** Once it has ended. */
  readonly status?: number | undefined;
  readonly died: boolean;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly restarts: number;
  readonly pause: number;
  readonly dropped: number;
  readonly spill?: RestingLogFile | undefined;
  /** What is read in its place, and forgotten where it is not spilled. */
  readonly rescued: readonly StreamName[];
  readonly nowhere?: number | undefined;
}

export class Logger {
  /** `NAME` is a stream's write end, for the process; `NAME-rest` the shim's read end. */
  readonly #fds: Descriptors;
  readonly #rescue = new Map<StreamName, Pump>();
  /** Those of them that have come to their end. */
  readonly #rescued = new Set<StreamName>();
  readonly #dropped = new CountingSink();
  #process: LoggerProcess | undefined;
  #starting: Promise<void> = Promise.resolve();
  #isStarting = false;
  #spill: LogFile | undefined;
  #restarts = 0;
  #pause = RESTART_MS.first;
  #startedAt = 0;
  #died = false;
  #closing: Promise<void> | undefined;
  readonly #ending = new AbortController();

  private constructor(
    private readonly settings: LoggerSettings,
    private readonly streams: readonly StreamName[],
    private readonly who: LoggerIdentity,
    private readonly warn: (text: string) => void,
    private readonly observer: StdioObserver,
  ) {
    this.#fds = new Descriptors(observer.changes);
  }

  /** Starts the logger for these streams, and waits until it is ready. On failure nothing is left of it. */
  static async start(
    settings: LoggerSettings,
    streams: readonly StreamName[],
    who: LoggerIdentity,
    warn: (text: string) => void,
    observer: StdioObserver,
  ): Promise<Logger> {
    const logger = new Logger(settings, streams, who, warn, observer);
    try {
      for (const name of streams) {
        const { read, write } = makePipe();
        logger.#fds.add(name, write);
        logger.#fds.add(`${name}-rest`, read);
        setNonblock(read, true);
      }
      await observer.waits.for('logger', who.id, logger.#run());
      return logger;
    } catch (error) {
      await logger.close();
      throw error;
    }
  }

  /** Goes on with what another process has left. */
  static resume(
    resting: RestingLogger,
    found: Found,
    who: LoggerIdentity,
    warn: (text: string) => void,
    observer: StdioObserver,
  ): Logger {
    const { settings, streams, descriptors, pid, status, spill, nowhere } = resting;
    const logger = new Logger(settings, streams, who, warn, observer);
    logger.#fds.addAll(found.all(descriptors));
    ({ died: logger.#died, startedAt: logger.#startedAt, restarts: logger.#restarts, pause: logger.#pause } = resting);
    logger.#dropped.bytes = resting.dropped;
    if (spill) logger.#spill = LogFile.resume(spill, found, warn, observer.changes);
    if (nowhere !== undefined) closeSync(found.fd(nowhere));
    for (const name of resting.rescued) {
      const { held, bytes } = found.copied(descriptors[`${name}-rest`]!);
      observer.counters.bytesCopied += bytes;
      if (logger.#spill) logger.#spill.grew(bytes);
      else logger.#dropped.bytes += bytes;
      logger.#rescueStream(name, logger.#spill?.writer() ?? logger.#dropped, held);
    }
    const process = (logger.#process = LoggerProcess.resume(settings, pid, status));
    if (status === undefined) void process.child.exited.then(() => logger.#ended(process));
    // Who was about to see to that may have ended suddenly.
    else if (!logger.#isAllRead()) logger.#goOnWithout();
    return logger;
  }

  /**
   * Leaves it to another process; undefined when it is closed.
   *
   * @throws CannotRest while it is being started anew, or something of its output is on its way
   */
  rest(leaving: Leaving): RestingLogger | undefined {
    if (this.#closing) return undefined;
    const { child, status } = this.#process!;
    if (this.#isStarting) leaving.underWay(`the logger of ${this.who.id} has ended, and is being replaced`);
    // Its end has been seen, and what follows has not.
    if (status !== undefined && !this.#died) leaving.underWay(`the logger of ${this.who.id} has just ended`);
    const rescued = [...this.#rescue.keys()].filter((name) => !this.#rescued.has(name));
    for (const name of leaving.isSudden ? [] : rescued)
      if (!this.#rescue.get(name)!.rest())
        throw new CannotRest(`output of ${this.who.id} is being read for a logger that has ended`);
    const descriptors = leaving.keepAll(this.#fds.list());
    const spill = this.#spill?.rest(leaving);
    const nowhere = rescued.length > 0 && !spill ? leaving.nowhere() : undefined;
    for (const name of rescued) leaving.copies(descriptors[`${name}-rest`]!, spill?.into ?? nowhere);
    return {
      settings: this.settings,
      streams: this.streams,
      descriptors,
      pid: child.pid,
      status,
      died: this.#died,
      startedAt: this.#startedAt,
      restarts: this.#restarts,
      pause: this.#pause,
      dropped: this.#dropped.bytes,
      spill,
      rescued,
      nowhere: nowhere?.place,
    };
  }

  /** The write end of a stream, for its process; undefined when it has that. */
  writer(name: StreamName): number | undefined {
    return this.#fds.get(name);
  }

  /** The write end is where it belongs: without ours the logger finds the end when the process's is gone. */
  handedOver(name: StreamName): void {
    this.#fds.close(name);
  }

  /** The process has ended: nobody is left who could be made to wait for a logger that is no more. */
  processExited(): void {
    if (this.#died && this.settings.onDeath.kind === 'block') this.#readInstead(this.#dropped);
  }

  /** Resolves when what was written has been read, and the logger has ended or had the time to; false when it has not. */
  async drained(timeoutMs: number): Promise<boolean> {
    const deadline = Date.now() + timeoutMs;
    for (let pause = 1; this.#unread() > 0; pause = Math.min(pause * 2, 50)) {
      if (this.#died && this.settings.onDeath.kind === 'block') break;
      if (Date.now() >= deadline) return false;
      await delay(pause);
    }
    // Some write what they have read only when they find the end.
    if (!this.#died && this.#allHungUp())
      await settled(Math.min(GRACE_MS, Math.max(0, deadline - Date.now())), this.#process!.child.exited);
    await settled(Math.max(0, deadline - Date.now()), ...(this.#spill ? [this.#spill.idle()] : []));
    return true;
  }

  /** First its input ends; then it is told to end by SIGTERM, and by SIGKILL when it does not. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** For the state dump. */
  describe(): Record<string, unknown> {
    return {
      file: this.settings.file,
      pid: this.#process?.child.pid,
      onDeath: this.settings.onDeath.kind,
      ...(this.#died ? { status: this.#process?.status } : {}),
      restarts: this.#restarts,
      dropped: this.#dropped.bytes,
      unread: this.#closing ? 0 : this.#unread(),
      ...(this.#spill ? { spill: this.#spill.describe() } : {}),
      descriptors: this.#fds.list(),
    };
  }

  async #close(): Promise<void> {
    this.#fds.close(...this.streams);
    this.#ending.abort();
    const stopped = await this.#process?.stop();
    await this.#starting;
    if (stopped?.killed)
      this.warn(`the logger of ${this.who.id} did not end when told to, and was killed: ${this.settings.file}`);
    for (const pump of this.#rescue.values()) pump.stop();
    const lost = this.#unread();
    if (lost > 0)
      this.warn(`${lost} bytes of the output of ${this.who.id} were never read by its logger, and are lost`);
    if (this.#dropped.bytes > 0)
      this.warn(`${this.#dropped.bytes} bytes of the output of ${this.who.id} were dropped, as its logger had ended`);
    await this.#spill?.release();
    this.#fds.closeAll();
  }

  async #run(): Promise<void> {
    const ends: number[] = [];
    try {
      for (const name of ['stdout', 'stderr'] as const) ends.push(this.#readEnd(name));
      const { process, ready } = LoggerProcess.start(this.settings, this.who, ends[0]!, ends[1]!);
      this.#process = process;
      this.#startedAt = Date.now();
      this.#died = false;
      this.observer.changes.note();
      await ready;
      void process.child.exited.then(() => this.#ended(process));
    } finally {
      for (const fd of ends) closeSync(fd);
    }
  }

  /** A blocking read end for the logger; of a stream that it does not get, the end is all there is to read. */
  #readEnd(name: StreamName): number {
    const rest = this.#fds.get(`${name}-rest`);
    if (rest === undefined) {
      const { read, write } = makePipe();
      closeSync(write);
      return read;
    }
    // Opened anew, as O_NONBLOCK belongs to the open file; and with it, as an open may wait for a writer otherwise.
    const fd = openSync(`/proc/self/fd/${rest}`, O_RDONLY | O_NONBLOCK);
    setNonblock(fd, false);
    return fd;
  }

  #ended({ status, child }: LoggerProcess): void {
    if (this.#closing) return;
    this.#died = true;
    this.observer.changes.note();
    // All was written and read: it was the logger's turn to end.
    if (this.#isAllRead()) return;
    const { onDeath } = this.settings;
    const then = {
      block: 'its output waits, and blocks when the pipe is full',
      drop: 'its output is dropped from now on',
      spill: `its output goes to ${onDeath.kind === 'spill' ? onDeath.path : ''} from now on`,
      restart: 'it is started anew',
    }[onDeath.kind];
    this.warn(
      `the logger of ${this.who.id} (pid ${child.pid}) ended with status ${status ?? '?'} before its input did; ${then}`,
    );
    this.#goOnWithout();
  }

  /** What its settings say for when it has ended. */
  #goOnWithout(): void {
    const { onDeath } = this.settings;
    switch (onDeath.kind) {
      case 'block':
        return;
      case 'drop':
        return this.#readInstead(this.#dropped);
      case 'spill':
        this.#starting = this.#meanwhile(this.#spillTo(onDeath.path));
        return;
      case 'restart':
        this.#starting = this.#meanwhile(this.#restart());
        return;
    }
  }

  async #meanwhile(work: Promise<void>): Promise<void> {
    this.#isStarting = true;
    try {
      await work;
    } finally {
      this.#isStarting = false;
    }
  }

  async #spillTo(path: string): Promise<void> {
    try {
      this.#spill ??= await LogFile.acquire(spillSettings(path), this.warn, this.observer.changes);
    } catch (error) {
      this.warn(`nor can ${path} be written, so it is dropped: ${(error as Error).message}`);
    }
    if (!this.#closing) this.#readInstead();
  }

  async #restart(): Promise<void> {
    if (Date.now() - this.#startedAt > RESTART_MS.most) this.#pause = RESTART_MS.first;
    while (!this.#closing) {
      await delay(this.#pause, undefined, { signal: this.#ending.signal }).catch(() => undefined);
      if (this.#closing) return;
      this.#pause = Math.min(this.#pause * 2, RESTART_MS.most);
      this.#restarts++;
      try {
        await this.#run();
        return;
      } catch (error) {
        this.#died = true;
        if (!this.#closing)
          this.warn(`the logger of ${this.who.id} cannot be started anew: ${(error as Error).message}`);
      }
    }
  }

  /** The shim reads what the logger no longer does. */
  #readInstead(sink?: Sink): void {
    for (const name of this.streams) {
      const source = this.#fds.get(`${name}-rest`);
      if (source === undefined || this.#rescue.has(name)) continue;
      this.#rescueStream(name, sink ?? this.#spill?.writer() ?? this.#dropped);
    }
  }

  #rescueStream(name: StreamName, into: Sink, first?: Buffer): void {
    const { counters } = this.observer;
    const options = { counters, onEnd: () => void this.#rescued.add(name), ...(first ? { first } : {}) };
    this.observer.changes.note();
    this.#rescue.set(name, new Pump(this.#fds.get(`${name}-rest`)!, into, options));
  }

  #isAllRead(): boolean {
    return this.#allHungUp() && this.#unread() === 0;
  }

  #allHungUp(): boolean {
    return this.#rests().every((fd) => isHungUp(fd));
  }

  #unread(): number {
    return this.#rests().reduce((sum, fd) => sum + bytesWaiting(fd), 0);
  }

  #rests(): number[] {
    return this.streams.map((name) => this.#fds.get(`${name}-rest`)).filter((fd) => fd !== undefined);
  }
}
