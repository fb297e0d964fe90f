/** Where a process's output goes: a FIFO, a log file, or a logging binary. */
import { constants, openSync, statSync } from 'node:fs';
import { bytesWaiting, growPipe, pipeSize, setNonblock, SysError } from '../../sys/index.js';
import { Descriptors } from './descriptors.js';
import { openOutput, openRest, type Output } from './fifo.js';
import { LogFile, type RestingLogFile } from './log/log-file.js';
import { Logger } from './log/logger.js';
import { loggerSettings, logFileSettings, unknownFileKeys, type LogFileSettings } from './log/settings.js';
import type { Found, Leaving, Sink as RestingSink } from '../worker/leaving.js';
import { DescriptorSink, type Sink } from './sink.js';
import type { RestingTarget, StdioObserver, StdioRequest, StreamName } from './types.js';
import { parseOutput } from './uri.js';

const { O_APPEND, O_NONBLOCK, O_WRONLY } = constants;

/** One stream's way out. Every method may be called in any state. */
export interface Target {
  readonly kind: 'fifo' | 'file' | 'logger';
  /** What comes of several streams may be mixed, in the order in which it was written. */
  readonly isForAll: boolean;
  /** A pipe for the process itself, which only a logger's is; undefined when what it writes is to be copied. */
  readonly direct: number | undefined;
  /** To copy into; only when it was opened for that. */
  sink(): Sink | DescriptorSink;
  /** The process has the descriptor. */
  handedOver(): void;
  processExited(): void;
  /** The copy into it has come to its end: whoever reads finds the end, at once. */
  ended(): void;
  /** The process is about to be deleted: what lies in the source is to have room, whether or not a client reads. */
  lastCall(source: number): void;
  /** True when all is where the client finds it; false when it is not within the time. */
  drained(timeoutMs: number): Promise<boolean>;
  /** Bytes that lie in the client's FIFO. */
  unread(): number;
  close(): Promise<void>;
  describe(): unknown;
  /** Who opened what it goes into: what is left is left once for each. */
  readonly owner: object;
  /** Leaves it to another process, with all that have this owner. @throws CannotRest */
  rest(leaving: Leaving): RestedTarget;
  /**
   * So many bytes were copied into it while there was no process for it, and some are held.
   *
   * @returns those of them that are to be copied first
   */
  wasCopied(bytes: number, held: Buffer): Buffer;
}

interface RestedTarget {
  readonly resting: Omit<RestingTarget, 'streams'>;
  /** What a stream is copied into; undefined where every byte needs a worker. */
  into(name: StreamName): RestingSink | undefined;
}

/** Both streams have the same one when a client names one FIFO or file for both: what is written stays in order. */
export type Targets = Map<StreamName, Target>;

/**
 * Opens the targets of a process. A stream that goes nowhere has none. No process is given what has a name on the host: it
 * could wipe a file, change its mode or owner, or be killed for its size.
 *
 * @param copyAll even a logger's pipe is copied into, as from a terminal; else standard output's is the process's own
 */
export async function openTargets(
  request: StdioRequest,
  copyAll: boolean,
  warn: (text: string) => void,
  observer: StdioObserver,
): Promise<Targets> {
  const { stdout, stderr, terminal, onDeath } = request;
  const isCopied = (name: StreamName): boolean => copyAll || name === 'stderr';
  const targets: Targets = new Map();
  const open = async (name: StreamName, text: string, both: boolean): Promise<void> => {
    if (!text) return;
    const uri = parseOutput(text);
    switch (uri.scheme) {
      case 'fifo':
        targets.set(
          name,
          kindOf(text) === 'file'
            ? await LogFileTarget.open(asItIs(text), name, warn, observer)
            : await FifoTarget.open(text, warn, observer),
        );
        return;
      case 'file': {
        const unknown = unknownFileKeys(uri);
        if (unknown.length > 0)
          warn(`${text}: ${unknown.join(', ')} means nothing in a file:// URI, and is passed over`);
        const settings = logFileSettings(uri, onDeath);
        targets.set(
          name,
          kindOf(uri.path) === 'other' && isPlain(settings)
            ? FifoTarget.device(uri.path, warn, observer)
            : await LogFileTarget.open(settings, name, warn, observer),
        );
        return;
      }
      case 'binary':
      case 'binary-v2': {
        const streams: StreamName[] = both ? ['stdout', 'stderr'] : [name];
        const logger = await Logger.start(loggerSettings(uri, onDeath), streams, request, warn, observer);
        for (const stream of streams) targets.set(stream, new LoggerTarget(logger, stream, isCopied(stream)));
        return;
      }
      default:
        throw new Error(`unknown STDIO scheme ${uri.scheme}`);
    }
  };
  try {
    // A logger reads both streams, also when only stdout names it.
    const both = !terminal && (stderr === stdout || stderr === '');
    await open('stdout', stdout, both);
    const shared = stderr === stdout && targets.get('stdout')?.isForAll === true ? targets.get('stdout') : undefined;
    if (!terminal && !targets.has('stderr')) {
      // Entries say which stream they are of: each has its own way there.
      if (shared) targets.set('stderr', shared);
      else await open('stderr', stderr, false);
    }
    return targets;
  } catch (error) {
    await closeTargets(targets);
    throw error;
  }
}

export async function closeTargets(targets: Targets): Promise<void> {
  for (const target of targets.values()) await target.close();
}

/** Targets that another process has opened. The first two as with {@link openTargets}'s. */
export function resumeTargets(
  all: readonly RestingTarget[],
  copyAll: boolean,
  found: Found,
  request: StdioRequest,
  warn: (text: string) => void,
  observer: StdioObserver,
): Targets {
  const targets: Targets = new Map();
  for (const { streams, descriptors, file, logger } of all) {
    if (logger) {
      const resumed = Logger.resume(logger, found, request, warn, observer);
      for (const name of streams) targets.set(name, new LoggerTarget(resumed, name, copyAll || name === 'stderr'));
      continue;
    }
    const target = file
      ? LogFileTarget.resume(file, streams[0]!, found, warn, observer)
      : FifoTarget.resume(found.all(descriptors), warn, observer);
    for (const name of streams) targets.set(name, target);
  }
  return targets;
}

/** Leaves the targets to another process; gives what each stream is copied into, too. @throws CannotRest */
export function restTargets(
  targets: Targets,
  leaving: Leaving,
): { resting: RestingTarget[]; into: RestedTarget['into'] } {
  const rested = new Map<object, RestedTarget>();
  for (const target of targets.values()) if (!rested.has(target.owner)) rested.set(target.owner, target.rest(leaving));
  const streamsOf = (owner: object): StreamName[] =>
    [...targets].filter(([, target]) => target.owner === owner).map(([name]) => name);
  return {
    resting: [...rested].map(([owner, { resting }]) => ({ ...resting, streams: streamsOf(owner) })),
    into: (name) => rested.get(targets.get(name)!.owner)!.into(name),
  };
}

/** One that has been closed. */
const CLOSED: RestedTarget = { resting: { descriptors: {} }, into: () => undefined };

/** Checks what a client asks for, without opening anything. Throws InvalidArgument. */
export function checkTargets({ stdout, stderr, onDeath }: Pick<StdioRequest, 'stdout' | 'stderr' | 'onDeath'>): void {
  for (const text of [stdout, stderr]) {
    const uri = parseOutput(text);
    if (uri.scheme === 'file') logFileSettings(uri, onDeath);
    if (uri.scheme === 'binary' || uri.scheme === 'binary-v2') loggerSettings(uri, onDeath);
  }
}

/** More room than this is not made in a client's FIFO: it is what the kernel gives anybody (pipe(7), pipe-max-size). */
const MOST_ROOM = 1 << 20;

/** A FIFO or a device, to be copied into. */
class FifoTarget implements Target {
  readonly kind = 'fifo';
  readonly isForAll = true;
  readonly direct = undefined;
  readonly #fds: Descriptors;

  private constructor(
    descriptors: Record<string, number>,
    private readonly warn: (text: string) => void,
    { changes }: Pick<StdioObserver, 'changes'>,
  ) {
    this.#fds = new Descriptors(changes);
    this.#fds.addAll(descriptors);
  }

  static #of({ fd, isFifo }: Output, warn: (text: string) => void, observer: StdioObserver): FifoTarget {
    return new FifoTarget({ [isFifo ? 'both' : 'device']: fd }, warn, observer);
  }

  static resume(
    descriptors: Record<string, number>,
    warn: (text: string) => void,
    observer: StdioObserver,
  ): FifoTarget {
    return new FifoTarget(descriptors, warn, observer);
  }

  get owner(): this {
    return this;
  }

  rest(leaving: Leaving): RestedTarget {
    const descriptors = leaving.keepAll(this.#fds.list());
    const place = descriptors.both ?? descriptors.device;
    return { resting: { descriptors }, into: () => (place === undefined ? undefined : { place }) };
  }

  /** The kernel knows what lies in it. */
  wasCopied(_bytes: number, held: Buffer): Buffer {
    return held;
  }

  static async open(path: string, warn: (text: string) => void, observer: StdioObserver): Promise<FifoTarget> {
    return FifoTarget.#of(await observer.waits.for('fifo reader', path, openOutput(path)), warn, observer);
  }

  /** What a `file://` names, and is no file. A FIFO that nobody reads is an error. */
  static device(path: string, warn: (text: string) => void, observer: StdioObserver): FifoTarget {
    return FifoTarget.#of({ fd: openSync(path, O_WRONLY | O_APPEND | O_NONBLOCK), isFifo: false }, warn, observer);
  }

  sink(): DescriptorSink {
    return new DescriptorSink(this.#fds.get('both') ?? this.#fds.get('device')!);
  }

  handedOver(): void {
    /* The process has a pipe. */
  }

  processExited(): void {
    /* Others may still write. */
  }

  /** Whoever comes for it by the time of Delete finds what is left in it. */
  ended(): void {
    const both = this.#fds.get('both');
    try {
      if (both !== undefined) this.#fds.add('rest', openRest(both));
    } catch (error) {
      this.warn(`a FIFO cannot be kept for a client that has gone away: ${(error as Error).message}`);
    }
    this.#fds.close('both', 'device');
  }

  lastCall(source: number): void {
    const both = this.#fds.get('both');
    if (both === undefined || bytesWaiting(source) === 0) return;
    try {
      growPipe(both, Math.max(pipeSize(both), Math.min(pipeSize(both) + pipeSize(source), MOST_ROOM)));
    } catch (error) {
      // Its client has to make room by reading.
      if (!(error instanceof SysError)) throw error;
    }
  }

  drained(): Promise<boolean> {
    return Promise.resolve(true);
  }

  unread(): number {
    const fifo = this.#fds.get('both') ?? this.#fds.get('rest');
    return fifo === undefined ? 0 : bytesWaiting(fifo);
  }

  close(): Promise<void> {
    this.#fds.closeAll();
    return Promise.resolve();
  }

  describe(): unknown {
    return this.#fds.list();
  }
}

class LogFileTarget implements Target {
  readonly kind = 'file';
  readonly direct = undefined;
  #closing: Promise<void> | undefined;

  private constructor(
    private readonly file: LogFile,
    private readonly name: StreamName,
  ) {}

  static async open(
    settings: LogFileSettings,
    name: StreamName,
    warn: (text: string) => void,
    { changes }: StdioObserver,
  ): Promise<LogFileTarget> {
    return new LogFileTarget(await LogFile.acquire(settings, warn, changes), name);
  }

  sink(): Sink {
    return this.file.writer(this.name);
  }

  handedOver(): void {
    /* The process has a pipe. */
  }

  processExited(): void {
    /* Others may still write. */
  }

  ended(): void {
    /* It may be another stream's too. */
  }

  lastCall(): void {
    /* What it has taken, it writes. */
  }

  drained(timeoutMs: number): Promise<boolean> {
    return this.file.idleWithin(timeoutMs);
  }

  unread(): number {
    return 0;
  }

  close(): Promise<void> {
    this.#closing ??= this.file.release();
    return this.#closing;
  }

  describe(): unknown {
    return this.file.describe();
  }

  static resume(
    file: RestingLogFile,
    name: StreamName,
    found: Found,
    warn: (text: string) => void,
    { changes }: StdioObserver,
  ): LogFileTarget {
    return new LogFileTarget(LogFile.resume(file, found, warn, changes), name);
  }

  get isForAll(): boolean {
    return !this.file.hasEntries;
  }

  get owner(): this {
    return this;
  }

  rest(leaving: Leaving): RestedTarget {
    if (this.#closing) return CLOSED;
    const file = this.file.rest(leaving);
    const into = this.file.hasEntries ? { ...file.into, stream: this.name } : file.into;
    return { resting: { descriptors: {}, file }, into: () => into };
  }

  wasCopied(bytes: number, held: Buffer): Buffer {
    this.file.grew(bytes);
    if (!this.file.hasEntries) return held;
    this.file.prepend(held);
    return Buffer.alloc(0);
  }
}

class LoggerTarget implements Target {
  readonly kind = 'logger';
  readonly isForAll = true;

  constructor(
    private readonly logger: Logger,
    private readonly name: StreamName,
    private readonly copying: boolean,
  ) {
    const writer = logger.writer(name);
    if (copying && writer !== undefined) setNonblock(writer, true);
  }

  get direct(): number | undefined {
    return this.copying ? undefined : this.logger.writer(this.name);
  }

  sink(): DescriptorSink {
    return new DescriptorSink(this.logger.writer(this.name)!);
  }

  handedOver(): void {
    this.logger.handedOver(this.name);
  }

  processExited(): void {
    this.logger.processExited();
  }

  ended(): void {
    this.logger.handedOver(this.name);
  }

  lastCall(): void {
    /* A logger has its time, see drained(). */
  }

  drained(timeoutMs: number): Promise<boolean> {
    return this.logger.drained(timeoutMs);
  }

  unread(): number {
    return 0;
  }

  close(): Promise<void> {
    return this.logger.close();
  }

  describe(): unknown {
    return this.logger.describe();
  }

  get owner(): Logger {
    return this.logger;
  }

  rest(leaving: Leaving): RestedTarget {
    const logger = this.logger.rest(leaving);
    if (!logger) return CLOSED;
    const into = (name: StreamName): RestingSink | undefined => {
      const place = logger.descriptors[name];
      return place === undefined ? undefined : { place };
    };
    return { resting: { descriptors: {}, logger }, into };
  }

  /** The kernel knows what lies in its pipe. */
  wasCopied(_bytes: number, held: Buffer): Buffer {
    return held;
  }
}

/** A file that is only appended to, and never moved. */
function asItIs(path: string): LogFileSettings {
  return { path, maxSize: undefined, maxFiles: 1, onDeath: { kind: 'block' } };
}

/** Nobody asked for more than that it be written. */
function isPlain({ maxSize, onDeath, format }: LogFileSettings): boolean {
  return maxSize === undefined && onDeath.kind === 'block' && format === undefined;
}

/** What is there now; `other` is a FIFO, a device, or a directory. */
function kindOf(path: string): 'file' | 'other' | 'nothing' {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return 'nothing';
  return stat.isFile() ? 'file' : 'other';
}
