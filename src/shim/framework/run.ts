/** A shim's program: containerd's command line, and what it asks for. */
import { realpathSync } from 'node:fs';
import { basename } from 'node:path';
import { containerd } from '../../api/gen/api.js';
import { monitorProgram, setName } from '../../sys/index.js';
import { readInput } from '../program/bootstrap.js';
import type { Custom } from '../task/custom.js';
import { deleteAction } from '../program/delete.js';
import { dispatch, type Program } from '../program/dispatch.js';
import { ttrpcAddress, type Invocation } from '../program/flags.js';
import { info } from '../program/info.js';
import { FifoLogger, type Logger } from '../observe/log.js';
import { Observations } from '../observe/observations.js';
import { Timeline } from '../observe/timeline.js';
import { serve } from '../worker/serve.js';
import { start } from '../program/start.js';
import { aroundRunc } from './around-runc.js';
import { authored } from './authored.js';
import { bundleOf, cleanUp, deleteAuthored } from './delete.js';
import { takeEarlier } from '../worker/earlier.js';
import { inheritedListener, launch, sayReady } from './launch.js';
import { beWorker } from './monitor.js';
import type { Json, RuncShim, Shim } from './types.js';

/** As the kernel cuts any shim's name: what `pgrep containerd-shim` finds. */
const PROCESS_NAME = 'containerd-shim';

const NO_MONITOR = 'there is no program beside the native addon that could be its monitor';

/** What differs from one kind of author's shim to another. */
interface Kind extends Pick<Program, 'version' | 'info' | 'delete'> {
  /** The runtime's name. */
  readonly name: string;
  /** The author says that it may. */
  readonly sleeps: boolean;
  custom(around: { name: string; namespace: string; log: Logger; onServing: () => void }): Custom;
}

/**
 * Runs a shim: the whole of its program. It does what containerd's command line asks for, be it start, delete, -info or
 * -v, or serves containers until there are none any more, and ends the process then. Never returns.
 *
 * @param shim what makes, starts, signals and deletes containers
 */
export function runShim<Kept extends Json = Json>(shim: Shim<Kept>): Promise<never> {
  const name = shim.name ?? nameOfProgram();
  const version = shim.version ?? '';
  return run({
    name,
    sleeps: shim.sleeps !== undefined,
    version,
    custom: (around) => authored(shim, around),
    delete: ({ id, namespace }, warn) => deleteAuthored(id, namespace, shim.cleanup?.bind(shim), warn),
    info: () => Promise.resolve(containerd.types.RuntimeInfo.encode({ name, version: { version } }).finish()),
  });
}

/**
 * Runs a shim whose containers are Hawser's own, made by runc or another OCI runtime, with hooks around them. Runtime
 * options, execs, checkpoints, statistics and all else are as with `containerd-shim-runc-v2`. Never returns.
 *
 * @param shim what is to be done before or after
 */
export function runRuncShim<Kept extends Json = Json>(shim: RuncShim<Kept>): Promise<never> {
  const name = shim.name ?? nameOfProgram();
  const version = shim.version ?? '';
  return run({
    name,
    sleeps: shim.sleeps !== undefined,
    version,
    custom: (around) => aroundRunc(shim, around),
    async delete(invocation, warn) {
      const response = await deleteAction(invocation, warn);
      const { id, namespace } = invocation;
      const { pid } = containerd.task.v2.DeleteResponse.decode(response);
      await cleanUp(shim.cleanup?.bind(shim), { id, namespace, bundle: bundleOf(id).path, pid }, warn);
      return response;
    },
    async info(input) {
      const { RuntimeInfo } = containerd.types;
      return RuntimeInfo.encode({ ...RuntimeInfo.decode(await info(input)), name, version: { version } }).finish();
    },
  });
}

/** `containerd-shim-NAME-v1` runs `io.containerd.NAME.v1`; containerd makes the one from the other. */
function nameOfProgram(): string {
  const program = basename(process.argv[1] ?? '');
  const [, name, version] = /^containerd-shim-(.+)-(v\d+)$/.exec(program) ?? [];
  return name === undefined ? program : `io.containerd.${name}.${version}`;
}

async function run(kind: Kind): Promise<never> {
  const args = process.argv.slice(2);
  const status = await dispatch(
    {
      ...kind,
      origin: () => `Program: ${realpathSync(process.argv[1]!)}`,
      noNamespace: 'shim namespace cannot be empty; containerd gives it by -namespace',
      failure: (message) => `${kind.name}: ${message}\n`,
      reply,
      warn: (text) => process.stderr.write(text),
      start: (invocation) => startAction(invocation, args, kind.sleeps ? monitorProgram() : undefined),
      serve: (invocation) => serveAction(kind, invocation),
    },
    args,
  );
  return process.exit(status);
}

/** Resolves once all of it is written. */
function reply(status: number, text: string | Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    (status === 0 ? process.stdout : process.stderr).write(text, () => resolve());
  });
}

/** Answers when another process serves. */
async function startAction(
  invocation: Invocation,
  args: readonly string[],
  monitor: string | undefined,
): Promise<void> {
  const { answer, listening } = await start(invocation, readInput(), process.ppid, new Timeline());
  try {
    if (listening) await launch(listening, args.slice(0, args.lastIndexOf('start')), monitor);
  } catch (error) {
    listening?.unlink();
    throw error;
  }
  await reply(0, answer);
}

async function serveAction(kind: Kind, invocation: Invocation): Promise<void> {
  setName(PROCESS_NAME);
  const monitored = beWorker(invocation);
  const { namespace } = invocation;
  const newLog = (debug: boolean): FifoLogger => new FifoLogger(debug, kind.name);
  const earlier = monitored?.isWoken ? takeEarlier(newLog) : undefined;
  if (monitored?.isWoken && !earlier) return;
  const log = earlier?.log ?? newLog(invocation.debug);
  const listening = earlier?.listening ?? inheritedListener();
  const observations = new Observations();
  // What makes an author's code end the process is hard to find otherwise: containerd only sees that nobody answers.
  process.on('exit', (status) => {
    const [request] = observations.requests.pending();
    if (request) log.error(`the shim ends with status ${status} during ${request.method}`, { id: request.id });
  });
  const custom = kind.custom({
    name: kind.name,
    namespace,
    log,
    onServing() {
      log.open('log');
      if (!earlier) sayReady();
    },
  });
  await serve({
    invocation,
    listening,
    log,
    observations,
    interceptors: [],
    idleMs: monitored?.idleMs,
    earlier,
    ttrpcAddress: ttrpcAddress(invocation),
    custom: monitored ? custom : { ...custom, staysAwake: custom.staysAwake ?? NO_MONITOR },
  });
}
