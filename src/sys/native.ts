/** Loads the addon and declares its functions. sys/index.ts is the face that others use. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';

/** What a child ended with: its pid, and its exit code or 128 + signal. */
export interface WaitResult {
  pid: number;
  status: number;
}

/** What a launcher hands to a process that a zygote has forked for it: see monitor/zygote.c. */
export interface Job {
  /** Of the process that was forked for it. */
  pid: number;
  /** The command line, and the environment as NAME=value. */
  words: string[];
  settings: string[];
  /** Descriptors: standard input, the working directory, the pipe for the reply. */
  input: number;
  directory: number;
  reply: number;
  /** What connects it with its monitor, see monitor/handover.h. */
  control: number;
  bell: number;
  /** The socket on which the launcher already listens for us, and has told the daemon so; or -1. */
  listener: number;
}

/** process.c */
interface ProcessCalls {
  setSubreaper(): number;
  waitFor(pid: number, keep: boolean): WaitResult | null | number;
  pidfdOpen(pid: number): number;
  pidfdSendSignal(pidfd: number, signal: number): number;
  trimMemory(): void;
  releaseFiles(): void;
}

/** spawn.c */
interface SpawnCalls {
  spawn(
    file: string,
    argv: readonly string[],
    env: readonly string[] | string | null,
    cwd: string | null,
    fds: readonly number[],
    dieWithParent: boolean,
    ownGroup: boolean,
  ): number;
  exec(file: string, argv: readonly string[], env: readonly string[]): number;
  firstProgram(files: readonly string[]): number;
  setChildrenNofile(soft: number): void;
}

/** What an earlier worker has left with the monitor. */
export interface GivenRecord {
  record: Buffer;
  fds: number[];
  /** For each descriptor what the monitor has read of it, and not written to where it copies it. */
  held: Buffer[];
  /** For each descriptor how many bytes of it the monitor has written to where it copies it. */
  copied: number[];
  /** The place of the descriptor for which there is a worker again; -1 a signal or the end of a child. */
  wokenBy: number;
  /** What was accepted or opened when the record was there already. */
  shared: number[];
}

/** A program that is to take the monitor's place. */
export interface Successor {
  /** The newest format of a record that its workers read. */
  readable: number;
  /** How long this worker may try to leave; negative when it is only to say whether it could. */
  seconds: number;
}

/** monitor.c */
interface MonitorCalls {
  monitorAttach(control: number): number;
  monitorRest(
    record: Uint8Array,
    format: number,
    fds: readonly number[],
    hows: readonly number[],
    intos: readonly number[],
    most: readonly number[],
    isEnd: boolean,
  ): number;
  monitorForget(): number;
  monitorAccept(listener: number, most: number): number[] | number;
  monitorOpen(path: string): number;
  monitorRecord(): GivenRecord | number;
  monitorTaken(): number;
  monitorAnswers(connections: number, bytes: Uint8Array): number;
  monitorRecipes(bytes: Buffer): number;
  monitorWatch(pid: number): WaitResult | null | number;
  monitorCollect(pid: number): number;
  monitorSpawned(): boolean;
  monitorSuccessor(): Successor | number;
  monitorStays(why: string): number;
}

/** descriptors.c */
interface DescriptorCalls {
  read(fd: number, buffer: Uint8Array): number;
  readMuch(fd: number, buffer: Uint8Array): number;
  write(fd: number, buffer: Uint8Array, from: number, to: number): number;
  pipe(): [number, number] | number;
  memfd(name: string): number;
  eventfd(): number;
  mkfifo(path: string, mode: number): number;
  copyOf(fd: number): number;
  duplicate(fd: number, onto: number): number;
  copy(fd: number): number;
  waiting(fd: number): number;
  pipeSize(fd: number, size: number): number;
  setNonblock(fd: number, on: boolean): number;
  isHungUp(fd: number): number;
  lock(fd: number): number;
}

/** clock.c */
interface ClockCalls {
  realtime(): bigint;
}

/** sockets.c */
interface SocketCalls {
  peerCredentials(fd: number): { pid: number; uid: number; gid: number } | number;
  listenUnix(path: string): number;
  connectUnix(path: string): number;
  listenOn(fd: number): number;
  sendDatagram(path: string, text: string): number;
  accept(fd: number): number;
  peek(fd: number, buffer: Buffer): number;
  consume(fd: number, count: number): number;
  sendBytes(fd: number, bytes: Uint8Array): number;
  receiveDescriptor(fd: number): number;
}

/** shared.c */
interface SharedCalls {
  mapShared(fd: number, size: number): Buffer | number;
}

/** watch.c */
interface WatchCalls {
  watchOpen(fd: number, callback: (status: number, events: number) => void): unknown;
  watchFor(handle: unknown, events: number): number;
  watchAnswering(handle: unknown, ledger: Uint32Array, place: number, quiet: number): void;
  watchClose(handle: unknown): void;
  watchUnref(handle: unknown): void;
}

/** answers.c */
interface AnswerCalls {
  answersKeep(bytes: Buffer): number;
  answersForget(): number;
  recipeCook(steps: Buffer): Buffer | number;
  recipeFailed(): string;
}

/** mount.c, loop.c, mapped.c */
interface MountCalls {
  mount(source: string, target: string, type: string, data: string, cwd: string | null, flags: number): Promise<number>;
  mountApart(source: string, type: string, data: string, cwd: string | null, flags: number): Promise<number>;
  unmount(target: string, flags: number): Promise<number>;
  pageSize(): number;
  attachLoop(file: string, flags: number): Promise<number>;
  makeUserNamespace(uidMap: string, gidMap: string): Promise<number>;
  cloneMapped(path: string, userns: number, recursive: number, attributes: number): Promise<number>;
  attachMount(target: string, tree: number): Promise<number>;
}

/** files.c */
interface FileCalls {
  replaceFile(path: string | Buffer, temporary: string | Buffer, content: Buffer, mode: number): number;
  mknod(path: string | Buffer, mode: number, major: number, minor: number): number;
  setTimes(
    path: string | Buffer,
    accessed: number,
    accessedNanos: number,
    modified: number,
    modifiedNanos: number,
  ): number;
  setAttribute(path: string | Buffer, name: string | Buffer, value: Buffer): number;
  getAttribute(path: string | Buffer, name: string | Buffer): Buffer | number;
  listAttributes(path: string | Buffer): Buffer | number;
  seek(fd: number, offset: number, whence: number): number;
  syncFileSystem(path: string): Promise<number>;
}

/** terminal.c */
interface TerminalCalls {
  setWindowSize(fd: number, columns: number, rows: number): number;
  openTerminalPeer(master: number): number;
  sendTerminal(path: string): number;
}

/** relay.c */
interface RelayCalls {
  relayOpen(source: number, sink: number, first: Uint8Array | null, stream: number): unknown;
  relayStep(relay: unknown): number;
  relayStart(relay: unknown, over: number): number;
  relayStop(relay: unknown): void;
  relayJoin(relay: unknown): void;
  relayNumbers(relay: unknown): [copied: number, held: number, errno: number, state: number];
  relayTake(relay: unknown): Buffer;
  relayClose(relay: unknown): void;
  logEntries(
    bytes: Uint8Array,
    from: number,
    to: number,
    stream: number,
    into: Uint8Array,
    at: number,
  ): [taken: number, put: number];
}

/** migration.c */
interface MigrationCalls {
  expectMigration(root: string): void;
}

/** job.c */
interface JobCalls {
  forkForJobs(
    listener: number,
    watched: number,
    waitMs: number,
    shown: readonly string[] | null,
  ): { job?: Job; forked: number; isOver: boolean } | number;
  reportWritten(): void;
  exitNow(status: number): never;
  setIdentity(words: readonly string[], settings: readonly string[]): number;
  setName(name: string): void;
}

/** The addon as it is, by its files: results, or negative errnos. */
export interface Native
  extends
    ProcessCalls,
    SpawnCalls,
    DescriptorCalls,
    ClockCalls,
    SocketCalls,
    SharedCalls,
    WatchCalls,
    AnswerCalls,
    MountCalls,
    FileCalls,
    TerminalCalls,
    RelayCalls,
    MigrationCalls,
    MonitorCalls,
    JobCalls {}

/** Where the addon lies. In the bundled shim it is beside the bundle: esbuild replaces this expression. */
declare const HAWSER_ADDON: string | undefined;

/** Where it lies, as an absolute path: built in the checkout, or packed with the libraries, or of the package that npm has taken for this platform. */
export function addonPath(): string {
  if (typeof HAWSER_ADDON === 'string') return HAWSER_ADDON;
  const own = fileURLToPath(new URL('../../dist/hawser_sys.node', import.meta.url));
  if (existsSync(own)) return own;
  const name = `@hawser/linux-${process.arch}`;
  try {
    return createRequire(import.meta.url).resolve(`${name}/hawser_sys.node`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
    throw new Error(
      `hawser's native addon is missing: neither is ${own} there (in a checkout, 'make build' makes it) nor the package ${name}, which npm takes for this platform (${platform()}) unless it is told to omit optional packages. There is one for linux with glibc on x64 and arm64`,
      { cause: error },
    );
  }
}

function platform(): string {
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  const libc = process.platform !== 'linux' ? '' : header.glibcVersionRuntime === undefined ? ', musl' : ', glibc';
  return `${process.platform}, ${process.arch}${libc}`;
}

function load(): Native {
  const path = addonPath();
  const module = { exports: {} };
  try {
    process.dlopen(module, path, constants.dlopen.RTLD_NOW);
  } catch (error) {
    throw new Error(
      `hawser's native addon does not load from ${path}; build it with 'make build', or install it again`,
      {
        cause: error,
      },
    );
  }
  return module.exports as Native;
}

/** Where many a run does without, as of the command line: esbuild replaces this expression. */
declare const HAWSER_ADDON_LATE: boolean | undefined;

/** Loaded when something of it is asked for; what is asked afterwards is a property as any other. */
function loadLate(): Native {
  const late = {} as Native;
  const get = (_: object, name: string | symbol): unknown => {
    const loaded = load();
    Object.setPrototypeOf(late, null);
    return Reflect.get(Object.assign(late, loaded), name);
  };
  return Object.setPrototypeOf(late, new Proxy({}, { get })) as Native;
}

export const native = typeof HAWSER_ADDON_LATE === 'boolean' ? loadLate() : load();
