/** Entry of containerd-shim-runc-v2: argv, env and stdin become an invocation, which is start, delete, info or serve. */
import { closeSync, fstatSync, openSync, writeSync } from 'node:fs';
import { basename } from 'node:path';
import { Bundle } from '../oci/bundle.js';
import type { ServerInterceptor } from '../ttrpc/index.js';
import { readInput } from './program/bootstrap.js';
import { dispatch, type Program } from './program/dispatch.js';
import { ttrpcAddress, type Invocation } from './program/flags.js';
import type { Listening } from './program/listen.js';
import { FifoLogger } from './observe/log.js';
import { isZygote, standIn, type StandIn } from './zygote/zygote.js';
import { Observations } from './observe/observations.js';
import type { Timeline } from './observe/timeline.js';
import { VERSION, REVISION } from './observe/version.js';
import { showWorker, WORKER_NAME } from './worker/identity.js';
import type { ServeOptions } from './worker/serve.js';
import { idleMsOf } from './worker/sleep.js';
import {
  attachMonitor,
  duplicate,
  limitChildrenNofile,
  openPidfd,
  peerCredentials,
  reportWritten,
  setName,
  shimPid,
  signalPidfd,
} from '../sys/index.js';

/** Set when the shim is bundled: the directory that it runs from. */
declare const HAWSER_LIBRARY: string;

const PROGRAM = 'containerd-shim-runc-v2';
/** As the kernel cuts the Go shim's: what `pgrep containerd-shim` finds. */
const PROCESS_NAME = 'containerd-shim';
const ZYGOTE_NAME = 'hawser-zygote';
const RUNTIME = 'io.containerd.runc.v2';
/** Executed by this name, the shim fails where its container's annotations say so: for tests of what is above it. */
const FAILING_PROGRAM = 'containerd-shim-runc-fp-v1';
/** By then a container is being created, or what has woken us is being done. */
const UNDER_WAY_MS = 50;
/** The launcher hands the listening socket of `serve` over as this. */
const LISTENER_FD = 3;

/** What the program says when it ends, through the launcher where there is one. */
type Reply = (status: number, text: string | Uint8Array) => void;

/** The daemon that ran us, and what it wrote to our standard input. */
interface Caller {
  /** What it calls us. */
  name: string;
  input: number;
  daemonPid: number;
  /** Where we are to serve, when it has been told so already: a listening descriptor, and its path. */
  place?: { fd: number; path: string; isDebugging: boolean } | undefined;
  /** It has been forked by a zygote. */
  isForked: boolean;
  /** How long it has nothing to do before it sleeps, in milliseconds; undefined where it never does. */
  idleMs: number | undefined;
  /** It goes on where an earlier worker has left off. */
  isWoken: boolean;
  /** See {@link Settings}. */
  upgrade: Pick<Settings, 'program' | 'tableFormat' | 'runDir'>;
  observations: Observations;
}

/**
 * The launcher waits for one reply: a byte with the exit status, then what to print. It prints and exits with it, while
 * this process may go on as the shim. Without a launcher this process prints itself.
 */
function replyFunction(fd: number): Reply {
  return (status, text) => {
    const bytes = Buffer.from(text);
    if (fd > 0) {
      writeAll(fd, Buffer.concat([Buffer.from([status]), bytes]));
      closeSync(fd);
    } else {
      writeAll(status === 0 ? 1 : 2, bytes);
    }
  };
}

function writeAll(fd: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
}

/** The command line, where it is not to be seen. */
function givenWords(): string[] {
  const words: string[] = [];
  for (let word; (word = process.env[`HAWSER_WORD_${words.length}`]) !== undefined;) words.push(word);
  return words;
}

/** What this process was started with, by a launcher or by hand. */
function ownTask(): StandIn {
  const { HAWSER_REPLY_FD: reply, HAWSER_LISTENER_FD: listener, HAWSER_MONITOR: monitor } = process.env;
  const [name = process.argv0, ...args] =
    monitor === undefined ? [process.argv0, ...process.argv.slice(2)] : givenWords();
  const [control, bell] = (monitor ?? '').split(',').map(Number);
  return {
    name,
    args,
    input: 0,
    reply: Number(reply),
    listener: listener === undefined ? undefined : Number(listener),
    monitor: control === undefined || bell === undefined ? undefined : { control, bell },
  };
}

/** What the launcher says by the environment, which goes no further: the runtime and its hooks have no business with it. */
interface Settings {
  daemonPid: number;
  nofile: number;
  socket: string;
  isWoken: boolean;
  isDebugging: boolean;
  sleep: string | undefined;
  /** Set for `upgrade`: our native program, and the newest format of a monitor's table that it reads. */
  program: string | undefined;
  tableFormat: number;
  /** Where zygotes wait. */
  runDir: string | undefined;
}

function takeSettings(timeline: Timeline): Settings {
  const {
    HAWSER_DAEMON_PID: daemonPid,
    HAWSER_NOFILE: nofile,
    HAWSER_ARENAS: ours,
    HAWSER_SOCKET: socket = '',
    HAWSER_WAKE: wake,
    HAWSER_SLEEP: sleep,
    HAWSER_DEBUG: debug,
    HAWSER_PROGRAM: program,
    HAWSER_TABLE_FORMAT: tableFormat,
    HAWSER_RUN_DIR: runDir,
  } = process.env;
  for (const [what, at] of [
    ['launched', process.env.HAWSER_LAUNCHED_AT],
    ['answered', process.env.HAWSER_ANSWERED_AT],
  ] as const) {
    if (at) timeline.note({ what, at: Number(at) });
  }
  if (ours !== undefined) delete process.env.MALLOC_ARENA_MAX;
  for (const name of Object.keys(process.env)) {
    if (name.startsWith('HAWSER_')) delete process.env[name];
  }
  return {
    daemonPid: Number(daemonPid) || process.ppid,
    nofile: Number(nofile) || 0,
    socket,
    isWoken: wake !== undefined,
    isDebugging: debug !== undefined,
    sleep,
    program,
    tableFormat: Number(tableFormat),
    runDir,
  };
}

async function main(): Promise<number> {
  // Who counts shims by their name must not count what has no container.
  const zygote = isZygote();
  const observations = new Observations();
  const { timeline } = observations;
  setName(zygote ? ZYGOTE_NAME : PROCESS_NAME);
  const task = zygote ? await standIn(timeline) : ownTask();
  if (!task) return 0;
  timeline.mark(zygote ? 'forked' : 'booted');
  if (zygote) setTimeout(reportWritten, UNDER_WAY_MS).unref();
  if (task.monitor) attachMonitor(task.monitor);
  setName(task.monitor ? WORKER_NAME : PROCESS_NAME);
  const reply = replyFunction(task.reply);
  const { daemonPid, nofile, socket, isWoken, isDebugging, sleep, ...upgrade } = takeSettings(timeline);
  limitChildrenNofile(nofile);
  const place = task.listener === undefined ? undefined : { fd: task.listener, path: socket, isDebugging };
  const { name, input } = task;
  const idleMs = task.monitor && idleMsOf(sleep);
  const caller = { name, input, daemonPid, place, isForked: zygote, observations, idleMs, isWoken, upgrade };
  return dispatch(program(reply, caller), task.args);
}

function program(reply: Reply, caller: Caller): Program {
  return {
    name: PROGRAM,
    version: VERSION,
    revision: REVISION,
    origin: () => `Library: ${HAWSER_LIBRARY}`,
    noNamespace: 'shim namespace cannot be empty',
    // A person asks for the state; daemons put the others into texts of their own, as the Go shim's.
    failure: (message, action) => `${RUNTIME}: ${message}${['debug', 'upgrade'].includes(action) ? '\n' : ''}`,
    reply,
    warn: (text) => writeAll(2, Buffer.from(text)),
    // Their code is loaded when it is asked for.
    info: async (bytes) => (await import('./program/info.js')).info(bytes),
    delete: async (invocation, warn) => (await import('./program/delete.js')).deleteAction(invocation, warn),
    upgrade: async (order) => {
      const { upgrade } = await import('./program/upgrade.js');
      const system = { openPidfd, signalPidfd, peerCredentials };
      await upgrade({ ...order, ...caller.upgrade, system }, (line) => writeAll(1, Buffer.from(line)));
    },
    start: (invocation) => startAndServe(invocation, reply, caller),
    async serve(invocation) {
      const listening = inheritedListener();
      const log = openLog(invocation.debug);
      await serveInvocation(invocation, listening, log, await faults(caller.name), caller);
    },
  };
}

/** One process does both: it becomes the shim once the daemon has its answer. Nothing of the daemon's stays open. */
async function startAndServe(invocation: Invocation, reply: Reply, caller: Caller): Promise<void> {
  const { name, input, daemonPid, place, observations, isWoken } = caller;
  const { timeline } = observations;
  if (shimPid() !== process.pid) showWorker(invocation);
  if (isWoken) return goOn(invocation, caller);
  if (place) {
    leaveStandard();
    if (input > 2) closeSync(input);
    const log = openLog(invocation.debug || place.isDebugging);
    const { startAt } = await import('./program/start.js');
    const listening = startAt(place.fd, place.path, daemonPid, { log, timeline });
    // The launcher that has found a zygote waits for this, and would else have somebody new serve there.
    reply(0, '');
    await serveInvocation(invocation, listening, log, [], caller);
    return;
  }
  // Before anything is there that would have to be taken back when they can't be understood.
  const interceptors = await faults(name);
  const { start } = await import('./program/start.js');
  const { answer, listening, debug } = await start(invocation, readInput(input), daemonPid, timeline);
  if (input > 2) closeSync(input);
  if (!listening) {
    reply(0, answer);
    return;
  }
  try {
    reply(0, answer);
    timeline.mark('answered');
  } catch (error) {
    // The daemon gave up on us.
    listening.unlink();
    throw error;
  }
  leaveStandard();
  await serveInvocation(invocation, listening, openLog(debug), interceptors, caller);
}

/** Goes on where an earlier worker has left off. */
async function goOn(invocation: Invocation, caller: Caller): Promise<void> {
  leaveStandard();
  if (caller.input > 2) closeSync(caller.input);
  const { takeEarlier } = await import('./worker/earlier.js');
  const earlier = takeEarlier(openLog);
  if (!earlier) return;
  const { log, listening } = earlier;
  try {
    await serveInvocation(invocation, listening, log, [], caller, earlier);
  } catch (error) {
    // Nobody reads what it says at its end.
    log.error('going on with what an earlier worker has left failed', { error, stack: (error as Error).stack });
    throw error;
  }
}

/** The daemon waits for the end of what it gave us. */
function leaveStandard(): void {
  const nowhere = openSync('/dev/null', 'r+');
  for (const standard of [0, 1, 2]) duplicate(nowhere, standard);
  closeSync(nowhere);
}

function openLog(debug: boolean): FifoLogger {
  const log = new FifoLogger(debug);
  log.open('log');
  return log;
}

/** What makes calls fail on purpose: nothing, unless the program for that was executed. */
async function faults(name: string): Promise<readonly ServerInterceptor[]> {
  if (basename(name) !== FAILING_PROGRAM) return [];
  const { failpoints } = await import('./program/failpoint.js');
  return [failpoints(new Bundle(process.cwd()).spec().annotations, panic)];
}

function panic(text: string): void {
  try {
    writeAll(2, Buffer.from(`panic: ${text}\n`));
  } finally {
    process.exit(2);
  }
}

async function serveInvocation(
  invocation: Invocation,
  listening: Listening,
  log: FifoLogger,
  interceptors: readonly ServerInterceptor[],
  { isForked, observations, idleMs }: Caller,
  earlier?: ServeOptions['earlier'],
): Promise<void> {
  const { serve } = await import('./worker/serve.js');
  await serve({
    invocation,
    listening,
    log,
    observations,
    isForked,
    idleMs,
    earlier,
    interceptors,
    ttrpcAddress: ttrpcAddress(invocation),
  });
}

/** Serve mode proper: somebody else has bound the socket. */
function inheritedListener(): Listening {
  if (!fstatSync(LISTENER_FD, { bigint: false }).isSocket())
    throw new Error(`descriptor ${LISTENER_FD} is no listening socket; use the start action`);
  return { fd: LISTENER_FD, ino: 0, dev: 0, path: '', unlink: () => undefined };
}

void main().then(
  (status) => process.exit(status),
  (error: unknown) => {
    writeAll(2, Buffer.from(`${RUNTIME}: ${(error as Error).stack}`));
    process.exit(1);
  },
);
