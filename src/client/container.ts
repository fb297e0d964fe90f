/** One container of a daemon's. */
import { containerd, isType, pack } from '../api/full.js';
import { Code } from '../ttrpc/status.js';
import { abortable, limit, quietly } from './abort.js';
import { FailedPreconditionError, NotFoundError } from './errors.js';
import { copyFrom, copyTo, readArchive, writeArchive } from './files/copy.js';
import { changedFiles } from './files/diff.js';
import { exportFiles } from './files/export.js';
import type { Asking } from './files/layers.js';
import type { Services } from './grpc/services.js';
import { commitContainer } from './image/commit.js';
import type { CommitOptions, Image } from './image/types.js';
import { joinProcesses } from './joined.js';
import { joinAgain } from './network/plan.js';
import { readLog } from './log/container-log.js';
import { forget } from './network/set-up.js';
import { directoryOf } from './network/state.js';
import { closeIo, ContainerProcess, waitForExit } from './process.js';
import { exitOf, packResources, recordOf, statusOf } from './record.js';
import { signalNumber, stopSignalOf } from './signals.js';
import { statsOf, type Stats } from './stats.js';
import { fifosOf, removeDirectories, removeFifos, type StreamName } from './stdio/fifos.js';
import { Streams } from './stdio/streams.js';
import { execProcess, startTask, type TaskContext } from './task.js';
import { deleteWithVolumes, finishFilling } from './volume/of-container.js';
import type { LinuxResources } from './spec/types.js';
import type { CallOptions, Mount } from './types/calls.js';
import type { Copied, CopyFromOptions, CopyToOptions, FileChange, WriteArchiveOptions } from './types/files.js';
import type { LogEntry, LogOptions } from './types/log.js';
import type {
  AttachOptions,
  CheckpointOptions,
  Container,
  ContainerRecord,
  DeleteOptions,
  StartOptions,
} from './types/container.js';
import type {
  ExecOptions,
  Exit,
  OfProcess,
  Output,
  OutputOptions,
  Process,
  ProcessSummary,
  Signal,
  TaskStatus,
  WindowSize,
} from './types/process.js';

const CHECKPOINT = 'containerd.runc.v1.CheckpointOptions';
const DETAILS = 'containerd.runc.v1.ProcessDetails';
/** A label of containers whose snapshot was made with them. */
export const OWN_SNAPSHOT = 'io.hawser.snapshot';

export class ClientContainer implements Container {
  #record: ContainerRecord;
  #process: ContainerProcess | undefined;
  readonly #services: Services;

  /** @param rootfs mounts that the daemon does not know of */
  constructor(
    private readonly context: TaskContext,
    record: ContainerRecord,
    private readonly rootfs: readonly Mount[] = [],
  ) {
    this.#record = record;
    this.#services = context.services;
  }

  get id(): string {
    return this.#record.id;
  }

  get record(): ContainerRecord {
    return this.#record;
  }

  get process(): Process | undefined {
    return this.#process;
  }

  async refresh(options: CallOptions = {}): Promise<ContainerRecord> {
    const { container } = await this.#services.containers.Get({ id: this.id }, options);
    return (this.#record = recordOf(container ?? {}));
  }

  async setLabels(labels: Readonly<Record<string, string>>, options: CallOptions = {}): Promise<void> {
    const { container } = await this.#services.containers.Update(
      {
        container: { id: this.id, labels: { ...labels } },
        updateMask: { paths: Object.keys(labels).map((name) => `labels.${name}`) },
      },
      options,
    );
    this.#record = recordOf(container ?? {});
  }

  async start(options: StartOptions = {}): Promise<Process> {
    const signal = limit(options);
    await finishFilling(this.context.volumes, this.#record, signal);
    this.#record = await joinProcesses(this.#services, this.#record, signal);
    this.#record = await joinAgain(this.context, this.#record);
    return (this.#process = await startTask(this.context, this.#record, options, await this.#mounts(options)));
  }

  async attach(options: AttachOptions = {}): Promise<Process> {
    const status = await this.status(options);
    const exec = options.exec ?? '';
    const wanted = (['stdin', 'stdout', 'stderr'] as const).filter((name: StreamName) => options[name] ?? true);
    const { tasks } = this.#services;
    const streams = Streams.reopen(this.context.fifoDir, status, wanted, () => closeIo(tasks, this.id, exec));
    const process = new ContainerProcess({
      tasks,
      containerId: this.id,
      exec,
      streams,
      own: false,
      stopSignal: exec === '' ? stopSignalOf(this.#record.labels) : 'SIGTERM',
    });
    process.started(status.pid, true);
    if (exec === '') this.#process = process;
    return process;
  }

  /** Attaches, if there is a task that can be attached to. */
  async attachIfRunning(options: AttachOptions): Promise<void> {
    const status = await unlessGone(this.status(options));
    if (status !== undefined) await this.attach(options);
  }

  exec(options: ExecOptions): Promise<Process> {
    return execProcess(this.context, this.#record, options);
  }

  output(args: readonly string[], options?: OutputOptions & { readonly encoding?: 'utf8' }): Promise<Output<string>>;
  output(args: readonly string[], options: OutputOptions & { readonly encoding: 'buffer' }): Promise<Output<Buffer>>;
  async output(args: readonly string[], options: OutputOptions = {}): Promise<Output<string> | Output<Buffer>> {
    const { input, encoding, maxBytes, ...rest } = options;
    const signal = limit(options);
    const process = await execProcess(this.context, this.#record, {
      ...rest,
      signal,
      timeoutMs: undefined,
      args,
      stdin: input === undefined ? 'ignore' : 'pipe',
    });
    try {
      if (input !== undefined) {
        process.stdin.on('error', () => undefined);
        process.stdin.end(input);
      }
      const limits = { signal, maxBytes };
      return encoding === 'buffer' ? await process.result({ ...limits, encoding }) : await process.result(limits);
    } catch (error) {
      await quietly(process.kill('SIGKILL'));
      process.stdout.resume();
      process.stderr.resume();
      await quietly(process.done);
      throw error;
    }
  }

  wait({ exec = '', ...options }: OfProcess = {}): Promise<Exit> {
    return waitForExit(this.#services.tasks, this.id, exec, limit(options));
  }

  logs(options: LogOptions = {}): AsyncIterableIterator<LogEntry> {
    return readLog(this, options);
  }

  async signalProcess(
    signal?: Signal,
    { exec = '', all = false, ...options }: OfProcess & { readonly all?: boolean | undefined } = {},
  ): Promise<void> {
    await this.#services.tasks.Kill(
      {
        containerId: this.id,
        execId: exec,
        signal: signalNumber(signal ?? (exec === '' ? stopSignalOf(this.#record.labels) : 'SIGTERM')),
        all,
      },
      options,
    );
  }

  async resizeTerminal({ columns, rows }: WindowSize, { exec = '', ...options }: OfProcess = {}): Promise<void> {
    await this.#services.tasks.ResizePty({ containerId: this.id, execId: exec, width: columns, height: rows }, options);
  }

  async closeStdin({ exec = '', ...options }: OfProcess = {}): Promise<void> {
    if (this.#process !== undefined && exec === '' && !this.#process.stdin.destroyed)
      await this.#process.closeStdin(options);
    else await abortable(closeIo(this.#services.tasks, this.id, exec), limit(options));
  }

  async pause(options: CallOptions = {}): Promise<void> {
    await this.#services.tasks.Pause({ containerId: this.id }, options);
  }

  async resume(options: CallOptions = {}): Promise<void> {
    await this.#services.tasks.Resume({ containerId: this.id }, options);
  }

  async stats(options: CallOptions = {}): Promise<Stats> {
    const { metrics } = await this.#services.tasks.Metrics({ filters: [`id==${this.id}`] }, options);
    const metric = metrics.find(({ id }) => id === this.id);
    // Whoever collects leaves out what has none.
    if (metric === undefined) {
      const { state } = await this.status(options);
      throw new FailedPreconditionError(
        Code.FailedPrecondition,
        `container ${this.id} has no figures: it is ${state}: failed precondition`,
      );
    }
    return statsOf(metric);
  }

  async listPids(options: CallOptions = {}): Promise<number[]> {
    return (await this.summary(options)).map(({ pid }) => pid);
  }

  async summary(options: CallOptions = {}): Promise<ProcessSummary[]> {
    const { processes } = await this.#services.tasks.ListPids({ containerId: this.id }, options);
    return processes.map(({ pid, info }) => ({
      pid: pid ?? 0,
      exec:
        info?.value && isType(info, DETAILS)
          ? containerd.runc.v1.ProcessDetails.decode(info.value).execId || undefined
          : undefined,
    }));
  }

  async status({ exec = '', ...options }: OfProcess = {}): Promise<TaskStatus> {
    const { process } = await this.#services.tasks.Get({ containerId: this.id, execId: exec }, options);
    return statusOf(this.id, process ?? {});
  }

  async updateResources(resources: LinuxResources, options: CallOptions = {}): Promise<void> {
    await this.#services.tasks.Update({ containerId: this.id, resources: packResources(resources) }, options);
  }

  export(options: CallOptions = {}): AsyncIterableIterator<Uint8Array> {
    return exportFiles(this.#asking(options));
  }

  diff(options: CallOptions = {}): Promise<FileChange[]> {
    return changedFiles(this.#asking(options));
  }

  copyFrom(path: string, target: string, { followLink = false, ...options }: CopyFromOptions = {}): Promise<Copied> {
    return copyFrom(this.#asking(options), path, target, followLink);
  }

  copyTo(
    source: string,
    path: string,
    { followLink = false, ownedByUser = false, ...options }: CopyToOptions = {},
  ): Promise<Copied> {
    return copyTo(this.#asking(options), source, path, { followLink, ownedByUser });
  }

  readArchive(
    path: string,
    { followLink = false, ...options }: CopyFromOptions = {},
  ): AsyncIterableIterator<Uint8Array> {
    return readArchive(this.#asking(options), path, followLink);
  }

  writeArchive(
    path: string,
    archive: AsyncIterable<Uint8Array>,
    { ownedByUser = false, ...options }: WriteArchiveOptions = {},
  ): Promise<Copied> {
    return writeArchive(this.#asking(options), path, archive, ownedByUser);
  }

  commit({ pause = true, ...options }: CommitOptions = {}): Promise<Image> {
    return commitContainer(this.#asking(options), options, async (work) => {
      const status = pause ? await unlessGone(this.status({ signal: options.signal })) : undefined;
      if (status?.state !== 'running') return work();
      await this.pause({ signal: options.signal });
      try {
        return await work();
      } finally {
        // Also when all else is given up.
        await this.resume();
      }
    });
  }

  async createCheckpoint(directory: string, { signal, timeoutMs, ...options }: CheckpointOptions = {}): Promise<void> {
    const given = pack(CHECKPOINT, containerd.runc.v1.CheckpointOptions, {
      exit: options.exit ?? false,
      openTcp: options.openTcp ?? false,
      externalUnixSockets: options.externalUnixSockets ?? false,
      terminal: options.terminal ?? false,
      fileLocks: options.fileLocks ?? false,
      imagePath: directory,
    });
    await this.#services.tasks.Checkpoint({ containerId: this.id, options: given }, { signal, timeoutMs });
  }

  async deleteTask({
    kill = false,
    ...options
  }: CallOptions & { readonly kill?: boolean | undefined } = {}): Promise<Exit> {
    const signal = limit(options);
    const status = await this.status({ signal });
    if (kill && status.state !== 'stopped') await this.#end(status, signal);
    // The shim's own words have no class.
    else if (status.state === 'running' || status.state === 'paused')
      throw new FailedPreconditionError(
        Code.FailedPrecondition,
        `task ${this.id} is ${status.state}: end it first, or give kill: failed precondition`,
      );
    const left = this.#fifos();
    const exit = exitOf(await this.#services.tasks.Delete({ containerId: this.id }, { signal }));
    this.#process?.deleted();
    removeFifos(this.context.fifoDir, [status.stdin, status.stdout, status.stderr]);
    removeDirectories(left);
    return exit;
  }

  async delete({ kill = false, snapshot, volumes = false, ...options }: DeleteOptions = {}): Promise<void> {
    const signal = limit(options);
    if (kill) await unlessGone(this.deleteTask({ kill, signal }));
    else {
      const task = await unlessGone(this.status({ signal }));
      if (task !== undefined)
        throw new FailedPreconditionError(
          Code.FailedPrecondition,
          `container ${this.id} has a task that is ${task.state}: delete that first, or give kill: failed precondition`,
        );
    }
    const left = this.#fifos();
    const record = async (): Promise<void> => {
      await this.#services.containers.Delete({ id: this.id }, { signal });
    };
    await (volumes ? deleteWithVolumes(this.context.volumes, this.#record, record, signal) : record());
    removeDirectories(left);
    await forget(this.context.places, directoryOf(this.context.places, this.context.scope, this.id));
    const { snapshotter, snapshotKey: key, labels } = this.#record;
    if (key !== '' && (snapshot ?? OWN_SNAPSHOT in labels))
      await unlessGone(this.#services.snapshots.Remove({ snapshotter, key }, { signal }));
  }

  #asking(options: CallOptions): Asking {
    return { services: this.#services, record: this.#record, signal: limit(options) };
  }

  /** Of those who have left them: execs that were detached from, and clients that were killed. */
  #fifos(): string[] {
    return fifosOf(this.context.fifoDir, { scope: this.context.scope, container: this.id });
  }

  async #end({ state }: TaskStatus, signal: AbortSignal | undefined): Promise<void> {
    const { tasks } = this.#services;
    await quietly(tasks.Kill({ containerId: this.id, signal: signalNumber('SIGKILL'), all: true }, { signal }));
    // What is frozen does not end.
    if (state === 'paused' || state === 'pausing') await quietly(tasks.Resume({ containerId: this.id }, { signal }));
    await waitForExit(tasks, this.id, '', signal);
  }

  async #mounts({ signal, rootfsMounts }: StartOptions): Promise<readonly Mount[]> {
    const { snapshotter, snapshotKey: key } = this.#record;
    if (rootfsMounts !== undefined) return rootfsMounts;
    if (this.rootfs.length > 0 || key === '') return this.rootfs;
    return (await this.#services.snapshots.Mounts({ snapshotter, key }, { signal })).mounts;
  }
}

/** Undefined when it is not there. */
async function unlessGone<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof NotFoundError) return undefined;
    throw error;
  }
}
