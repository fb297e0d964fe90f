/** A container's task: made, started, run beside, and taken away. */
import { randomBytes } from 'node:crypto';
import { Code } from '../ttrpc/status.js';
import { change, limit, pause, quietly, Undo } from './abort.js';
import { FailedPreconditionError, InvalidArgumentError, NotFoundError } from './errors.js';
import type { Services } from './grpc/services.js';
import type { NetworkContext } from './network/plan.js';
import { closeIo, ContainerProcess } from './process.js';
import { asProgramError } from './program-error.js';
import { packOptions, packProcess, runcOptions } from './record.js';
import { stopSignalOf } from './signals.js';
import { applyProcess } from './spec/process.js';
import type { SpecProcess } from './spec/types.js';
import { Streams } from './stdio/streams.js';
import type { Any, Mount } from './types/calls.js';
import type { ContainerRecord, StartOptions } from './types/container.js';
import type { ExecOptions } from './types/process.js';
import type { ClientVolumes } from './volume/volumes.js';

const KILL = 9;
/** How long what was killed may take to end. */
const END_MS = 10_000;

export interface TaskContext extends NetworkContext {
  readonly volumes: ClientVolumes;
  readonly fifoDir: string;
}

/** Makes a container's task and starts it. */
export async function startTask(
  { services, fifoDir, scope }: TaskContext,
  record: ContainerRecord,
  options: StartOptions,
  rootfs: readonly Mount[],
): Promise<ContainerProcess> {
  const { tasks } = services;
  const { id: containerId } = record;
  const signal = limit(options);
  const terminal = record.spec.process?.terminal ?? false;
  const undo = new Undo();
  try {
    const restore = options.checkpointDir === undefined ? {} : { options: restoring(record, options.checkpointDir) };
    const streams = Streams.make(
      fifoDir,
      { scope, container: containerId, exec: false },
      containerId,
      options,
      terminal,
      () => closeIo(tasks, containerId, ''),
    );
    undo.add(() => streams.remove());
    undo.add(() => streams.destroy());
    const { pid } = await change(undo, signal, {
      make: (own) => tasks.Create({ containerId, rootfs: [...rootfs], ...streams.paths, ...restore }, { signal: own }),
      hasten: () => tasks.Kill({ containerId, signal: KILL, all: true }),
      back: () => removeTask(services, containerId),
    });
    const made = new ContainerProcess({
      tasks,
      containerId,
      exec: '',
      streams,
      own: true,
      stopSignal: stopSignalOf(record.labels),
    });
    undo.add(() => made.detach());
    made.started(pid, false);
    if (terminal && options.size !== undefined) await made.resize(options.size, { signal });
    await options.created?.(made);
    await change(undo, signal, {
      make: (own) => tasks.Start({ containerId }, { signal: own }),
      hasten: () => tasks.Kill({ containerId, signal: KILL, all: true }),
      // The task goes as a whole.
      back: () => Promise.resolve(),
    });
    made.started(pid, true);
    return made;
  } catch (error) {
    return undo.because(asProgramError(error, record.spec.process?.cwd));
  }
}

/** Runs another process in a container. */
export async function execProcess(
  { services, fifoDir, scope }: TaskContext,
  record: ContainerRecord,
  options: ExecOptions,
): Promise<ContainerProcess> {
  const { tasks } = services;
  const { id: containerId } = record;
  const signal = limit(options);
  const exec = options.id ?? `exec-${randomBytes(8).toString('hex')}`;
  const spec = await processOf(services, record, options, signal);
  const undo = new Undo();
  try {
    const streams = Streams.make(
      fifoDir,
      { scope, container: containerId, exec: true },
      exec,
      options,
      spec.terminal ?? false,
      () => closeIo(tasks, containerId, exec),
    );
    undo.add(() => streams.remove());
    undo.add(() => streams.destroy());
    await change(undo, signal, {
      make: (own) =>
        tasks.Exec({ containerId, execId: exec, spec: packProcess(spec), ...streams.paths }, { signal: own }),
      back: () => removeExec(services, containerId, exec),
    });
    const process = new ContainerProcess({ tasks, containerId, exec, streams, own: true, stopSignal: 'SIGTERM' });
    undo.add(() => process.detach());
    const { pid } = await change(undo, signal, {
      make: (own) => tasks.Start({ containerId, execId: exec }, { signal: own }),
      back: () => Promise.resolve(),
    });
    process.started(pid, true);
    return process;
  } catch (error) {
    return undo.because(asProgramError(error, spec.cwd));
  }
}

/** Takes a task away, whatever state it is in; nothing when there is none. */
export async function removeTask({ tasks }: Services, containerId: string, signal?: AbortSignal): Promise<void> {
  for (const deadline = Date.now() + END_MS; ;) {
    try {
      await tasks.Delete({ containerId }, { signal });
      return;
    } catch (error) {
      if (error instanceof NotFoundError) return;
      if (signal?.aborted === true || Date.now() > deadline) throw error;
    }
    await quietly(tasks.Kill({ containerId, signal: KILL, all: true }, { signal }));
    await pause(20, signal);
  }
}

async function removeExec({ tasks }: Services, containerId: string, execId: string): Promise<void> {
  for (const deadline = Date.now() + END_MS; ;) {
    try {
      await tasks.DeleteProcess({ containerId, execId });
      return;
    } catch (error) {
      if (error instanceof NotFoundError) return;
      if (Date.now() > deadline) throw error;
    }
    await quietly(tasks.Kill({ containerId, execId, signal: KILL }));
    await pause(20);
  }
}

/** The container's first process is what an exec is like, but for what its options say. */
async function processOf(
  { tasks }: Services,
  record: ContainerRecord,
  options: ExecOptions,
  signal: AbortSignal | undefined,
): Promise<SpecProcess> {
  if (options.args === undefined || options.args.length === 0)
    throw new InvalidArgumentError(
      Code.InvalidArgument,
      `an exec in container ${record.id} needs args: invalid argument`,
    );
  const { consoleSize: _, ...base } = structuredClone(
    record.spec.process ?? { user: { uid: 0, gid: 0, additionalGids: [0] }, cwd: '/' },
  );
  const spec: SpecProcess = { ...base, terminal: options.terminal ?? false };
  await applyProcess(spec, options, async (look) => {
    const { process } = await tasks.Get({ containerId: record.id }, { signal });
    return look(`/proc/${process?.pid ?? 0}/root`);
  });
  if (spec.terminal === true && options.size !== undefined)
    spec.consoleSize = { width: options.size.columns, height: options.size.rows };
  return spec;
}

function restoring(record: ContainerRecord, checkpointDir: string): Any {
  const known = runcOptions(record.runtime.options);
  if (known === undefined)
    throw new FailedPreconditionError(
      Code.FailedPrecondition,
      `container ${record.id}: its runtime ${record.runtime.name} has options of its own (${record.runtime.options?.type_url ?? ''}); only runc's shim can be told to restore: failed precondition`,
    );
  return packOptions({ ...known, criuImagePath: checkpointDir });
}
