/**
 * A logging binary and the pipes it reads. The process writes straight into them; the shim keeps a read end of each, so
 * that a logger that ends costs the process no SIGPIPE, and what is unread can be dealt with as the settings say.
 */
import { closeSync, constants, openSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { bytesWaiting, isHungUp, makePipe, setNonblock } from '../../../sys/index.js';
import { Descriptors } from '../descriptors.js';
import { LogFile } from './log-file.js';
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

export class Logger {
  /** `NAME` is a stream's write end, for the process; `NAME-rest` the shim's read end. */
  readonly #fds: Descriptors;
  readonly #rescue = new Map<StreamName, Pump>();
  readonly #dropped = new CountingSink();
  #process: LoggerProcess | undefined;
  #starting: Promise<void> = Promise.resolve();
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
    // All was written and read: it was the logger's turn to end.
    if (this.#allHungUp() && this.#unread() === 0) return;
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
    switch (onDeath.kind) {
      case 'block':
        return;
      case 'drop':
        return this.#readInstead(this.#dropped);
      case 'spill':
        this.#starting = this.#spillTo(onDeath.path);
        return;
      case 'restart':
        this.#starting = this.#restart();
        return;
    }
  }

  async #spillTo(path: string): Promise<void> {
    try {
      this.#spill = await LogFile.acquire(spillSettings(path), this.warn);
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
      const into = sink ?? this.#spill?.writer() ?? this.#dropped;
      const { counters } = this.observer;
      this.#rescue.set(name, new Pump(source, into, { counters, onEnd: () => undefined }));
    }
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
