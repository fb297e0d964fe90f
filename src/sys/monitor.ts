/**
 * A worker's monitor: the process that the daemon knows as the shim, and the parent of all that the worker starts
 * (monitor/monitor.c). Without one a process has its children itself.
 */
import { constants, openSync } from 'node:fs';
import { constants as system, endianness } from 'node:os';
import { bytesOfAnswers, bytesOfCooked, type Answer, type CookedAnswer } from './answers.js';
import { checked, SysError } from './error.js';
import { forgetAll, noteEnded } from './exit.js';
import type { EntryStream } from './entries.js';
import { native, type GivenRecord, type Successor } from './native.js';
import { peerCredentials } from './sockets.js';
import { tryRead } from './descriptors.js';
import { READABLE, Watch } from './watch.js';

export type { GivenRecord, Successor } from './native.js';

/** What a worker has of its monitor: a socket for questions, and the end of a pipe in which it says what it has noticed. */
export interface MonitorEnds {
  readonly control: number;
  readonly bell: number;
}

/** What the pipe's bytes stand for. */
const NOTICED: Readonly<Record<string, NodeJS.Signals>> = {
  C: 'SIGCHLD',
  T: 'SIGTERM',
  I: 'SIGINT',
  U: 'SIGUSR1',
  R: 'SIGUSR2',
};
/** Of a process that has ended: its pid and its status follow, 32 bits each (monitor/handover.h). */
const NOTICED_END = 'E'.charCodeAt(0);
const NOTICED_END_LENGTH = 9;
/** How a shim ends whose monitor was killed. */
const ORPHANED = 137;

let monitorPid: number | undefined;

let bellOf: number | undefined;

/** From now on children are the monitor's. */
export function attachMonitor({ control, bell }: MonitorEnds): void {
  monitorPid = peerCredentials(control).pid;
  cooks = undefined;
  bellOf = bell;
  native.monitorAttach(control);
}

/** From now on children are this process's own again. */
export function detachMonitor(): void {
  monitorPid = bellOf = undefined;
  forgetAll();
  native.monitorAttach(-1);
}

/**
 * From now on what the monitor notices comes as the events that Node has for signals: those that it gets, SIGCHLD, and SIGUSR2
 * when another program is to take its place ({@link successor}). Does nothing without a monitor.
 *
 * @param gone is called when it is no more; default: this process ends at once
 * @returns what ends it
 */
export function hearMonitor(gone: () => void = () => process.exit(ORPHANED)): () => void {
  const bell = bellOf;
  if (bell === undefined) return () => undefined;
  // One end at a time: what follows from it comes before the next.
  const bytes = Buffer.alloc(2 * NOTICED_END_LENGTH);
  let held = 0;
  const watch = new Watch(bell, () => {
    const n = tryRead(bell, bytes.subarray(held, held + NOTICED_END_LENGTH));
    if (n === 0) {
      watch.close();
      gone();
      return;
    }
    const { ends, signals, length } = heardIn(bytes.subarray(0, held + (n ?? 0)));
    held += (n ?? 0) - length;
    bytes.copyWithin(0, length, length + held);
    // What they throw costs nothing else that was read.
    for (const { pid, status } of ends) noteEnded(pid, status);
    for (const signal of signals) process.emit(signal, signal);
  });
  watch.want(READABLE);
  watch.unref();
  return () => watch.close();
}

interface Heard {
  readonly ends: { readonly pid: number; readonly status: number }[];
  readonly signals: NodeJS.Signals[];
  /** How much of it was whole. */
  readonly length: number;
}

function heardIn(bytes: Buffer): Heard {
  const ends: Heard['ends'] = [];
  const signals: Heard['signals'] = [];
  let at = 0;
  while (at < bytes.length) {
    if (bytes[at] !== NOTICED_END) signals.push(NOTICED[String.fromCharCode(bytes[at++]!)]!);
    else if (bytes.length - at < NOTICED_END_LENGTH) break;
    else {
      ends.push({ pid: int32At(bytes, at + 1), status: int32At(bytes, at + 5) });
      at += NOTICED_END_LENGTH;
    }
  }
  return { ends, signals, length: at };
}

/** As this machine has it. */
function int32At(bytes: Buffer, at: number): number {
  return endianness() === 'LE' ? bytes.readInt32LE(at) : bytes.readInt32BE(at);
}

/** What the daemon takes for the shim: its monitor, or this process where it has none. */
export function shimPid(): number {
  return monitorPid ?? process.pid;
}

/**
 * Opens a file for reading, without waiting for anybody, and not through a link. With a monitor it is open until the next record is
 * handed over, also when this process ends before.
 */
export function openLasting(path: string): number {
  const flags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW;
  return monitorPid === undefined ? openSync(path, flags) : checked(native.monitorOpen(path), 'open', path);
}

/** What is done with a descriptor while there is no worker (monitor/handover.h). */
export type Resting =
  | { readonly fd: number; readonly how: 'kept' | 'wakes' | 'changes' }
  /** Copied into the one that stands at this place in the list; when `most` bytes of it are there, there is to be a worker. */
  | { readonly fd: number; readonly how: 'copied'; readonly into: number; readonly most?: number | undefined }
  /** The same into a log, as entries of this stream; `most` bytes of them. */
  | {
      readonly fd: number;
      readonly how: 'logged';
      readonly into: number;
      readonly most?: number | undefined;
      readonly stream: EntryStream;
    };

/** A monitor that knows nothing of logs has what is for one wake a worker. */
const HOW = { kept: 0, wakes: 1, changes: 2, copied: 3, logged: 1 } as const;
const INTO_LOG = 0x8000;
const INTO_LOG_OF_STDERR = 0x4000;

function intoOf(one: Resting): number {
  if (one.how === 'copied') return one.into;
  if (one.how !== 'logged') return 0;
  return one.into | INTO_LOG | (one.stream === 'stderr' ? INTO_LOG_OF_STDERR : 0);
}

/** What is answered while there is no worker. */
export interface Answers {
  /** By whom it may be asked: the place of a connection in the list that is left, and the last stream that its client has begun. */
  readonly connections: readonly { readonly place: number; readonly lastStreamId: number }[];
  readonly texts: readonly Answer[];
  readonly cooked: readonly CookedAnswer[];
}

/**
 * Leaves the descriptors and the record with the monitor. This process is to end then, and must not touch any of them.
 *
 * @param answers what the monitor may answer alone, until something else happens; an older one does not
 */
export function leaveWithMonitor(
  record: Uint8Array,
  format: number,
  all: readonly Resting[],
  answers: Answers | undefined,
): void {
  const { connections, texts, cooked } = bytesOfGiven(answers);
  known(native.monitorAnswers(connections, texts));
  if (cooked.length > 0) known(native.monitorRecipes(cooked));
  hand(record, format, all, true);
}

/** What the monitor is given to answer with; nothing where there is nobody who could ask. */
export function bytesOfGiven(answers: Answers | undefined): { connections: number; texts: Buffer; cooked: Buffer } {
  if (!answers || answers.connections.length === 0)
    return { connections: 0, texts: Buffer.alloc(0), cooked: Buffer.alloc(0) };
  return { connections: answers.connections.length, texts: bytesOf(answers), cooked: bytesOfCooked(answers.cooked) };
}

let cooks: boolean | undefined;

/** Whether the monitor makes answers by recipes: an older one does not. To be asked while it has none. */
export function monitorCooks(): boolean {
  return (cooks ??= native.monitorRecipes(Buffer.alloc(0)) !== -system.errno.ENOSYS);
}

/** What a monitor does not know of it does without. */
function known(status: number): void {
  if (status !== -system.errno.ENOSYS) checked(status, 'sendmsg');
}

/** As ASK_ANSWERS has it (monitor/handover.h). */
function bytesOf({ connections, texts }: Answers): Buffer {
  const askers = Uint32Array.from(connections.flatMap(({ place, lastStreamId }) => [place, lastStreamId]));
  return Buffer.concat([Buffer.from(askers.buffer), bytesOfAnswers(texts)]);
}

/** The same for the case that this process ends without a word before it has done so again; it goes on, with its own. */
export function keepWithMonitor(record: Uint8Array, format: number, all: readonly Resting[]): void {
  hand(record, format, all, false);
}

/** What was kept is closed and forgotten: the end of this process is the shim's. */
export function forgetWithMonitor(): void {
  checked(native.monitorForget(), 'sendmsg');
}

function hand(record: Uint8Array, format: number, all: readonly Resting[], isEnd: boolean): void {
  checked(
    native.monitorRest(
      record,
      format,
      all.map(({ fd }) => fd),
      all.map(({ how }) => HOW[how]),
      all.map(intoOf),
      all.map((one) => (one.how === 'copied' || one.how === 'logged' ? (one.most ?? -1) : 0)),
      isEnd,
    ),
    'sendmsg',
  );
}

/** Ends this process without a word to anybody: what it had open is another's by now. */
export function endSilently(): never {
  return native.exitNow(0);
}

/** What an earlier worker has left. The monitor keeps it, too, until {@link haveTaken}. */
export function takeFromMonitor(): GivenRecord {
  const given = native.monitorRecord();
  if (typeof given === 'number') throw new SysError(given, 'recvmsg');
  return given;
}

/** Which program is to take the monitor's place; undefined when there is none. */
export function successor(): Successor | undefined {
  const result = native.monitorSuccessor();
  return typeof result === 'number' ? undefined : result;
}

/** This worker does not leave for another program: why not, or `''` when it was only asked whether it could. */
export function staysWithMonitor(why: string): void {
  checked(native.monitorStays(why), 'sendmsg');
}

/** The monitor may forget what it has given: this process has it. Gives how many requests were answered while there was none. */
export function haveTaken(): number {
  return checked(native.monitorTaken(), 'sendmsg');
}
