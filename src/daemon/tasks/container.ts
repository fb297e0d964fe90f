/**
 * The runtime's operations as objects: containers that run, and what can be done with them. The Tasks service is made of these,
 * and a plugin gets them as `context.get(PluginType.Task, 'task')`:
 *
 *     const containers = context.get<ContainerRuntime>(PluginType.Task, 'task');
 *     const container = await containers.create('default', 'web', { spec, rootfs, io, runtime: 'runc' });
 *     await container.start();
 *     await container.checkpoint('before', { exit: true });
 *     await containers.delete(container);
 *     const again = await containers.restore('default', 'web', 'before', { spec, rootfs, io });
 */
import { containerd, errdefs, pack, type google } from '../../api/full.js';
import { stringifyExact } from '../../oci/json.js';
import type { CallOptions } from '../../ttrpc/index.js';
import type { Envelope, Exchange } from '../events/types.js';
import type { RuntimeRegistry } from '../runtime/types.js';
import type { Bootstrap } from '../shims/answer.js';
import type { ShimLauncher } from '../shims/launcher.js';
import type { Checkpoint, CheckpointStore } from './checkpoints.js';
import type { TaskManager } from './manager.js';
import { checkpointOptions, mergeOptions, restorePath } from './options.js';
import type { TaskRequest } from './request.js';
import type { Exit, Task, TaskIo } from './task.js';
import type { Timeouts } from './timeouts.js';

type Any = google.protobuf.Any.$Properties;
type Process = containerd.v1.types.Process.$Properties;
type ProcessInfo = containerd.v1.types.ProcessInfo.$Properties;

export const NO_IO: TaskIo = { stdin: '', stdout: '', stderr: '', terminal: false };

/** What a running container is made of. */
export interface CreateOptions {
  /** The OCI spec: an object, or its JSON text, which is passed on byte for byte. */
  readonly spec: object | Uint8Array;
  /** Mounted one after the other onto the bundle's `rootfs`; none when the spec's root is an absolute path. */
  readonly rootfs?: readonly containerd.types.Mount.$Properties[];
  readonly io?: TaskIo;
  /** A registered name, one in containerd's grammar, or the absolute path of a shim; the default runtime unless given. */
  readonly runtime?: string;
  /** The runtime's options, for this task and for the container; the first that is given counts. */
  readonly options?: Any | null | undefined;
  readonly containerOptions?: Any | null | undefined;
  /** The id of the sandbox that it is in: it joins the shim of that. */
  readonly sandbox?: string;
  /** A directory of criu's images to restore from at the start, or what fills one. */
  readonly checkpoint?: string | ((dir: string) => Promise<void>) | undefined;
}

/** What containers need to know of sandboxes. */
export interface SandboxPlaces {
  /** True while one of this id runs, or is made or ended. */
  has(namespace: string, id: string): boolean;
  /** Where the shim of one listens; undefined for a sandbox that was never known here. NotFound when it is known and does not run. */
  place(namespace: string, id: string): Bootstrap | undefined;
}

/** Makes, lists and deletes running containers. */
export class ContainerRuntime {
  /** Given by the controller of sandboxes, when there is one. */
  sandboxes: SandboxPlaces | undefined;

  constructor(
    private readonly manager: TaskManager,
    private readonly runtimes: RuntimeRegistry,
    private readonly exchange: Exchange,
    private readonly checkpoints: CheckpointStore,
  ) {}

  get launcher(): ShimLauncher {
    return this.manager.options.launcher;
  }
  /** The shim of a runtime, by the rules of {@link create}. */
  shimOf(runtime: string): string {
    return this.runtimes.get(runtime).shim;
  }

  get timeouts(): Timeouts {
    return this.manager.options.timeouts;
  }

  /**
   * Makes it, with its first process not started yet.
   *
   * @throws AlreadyExists when it runs; InvalidArgument for an unknown runtime or a spec that is no JSON; what its shim says
   */
  async create(namespace: string, id: string, options: CreateOptions, call?: CallOptions): Promise<RunningContainer> {
    const { spec, rootfs = [], io = NO_IO, containerOptions } = options;
    // They would have one shim, which would end with the first of them.
    if (this.sandboxes?.has(namespace, id)) throw errdefs.alreadyExists(`task ${id}: a sandbox has this id`);
    const { task, pid } = await this.manager.create(
      {
        namespace,
        id,
        rootfs,
        io,
        spec: spec instanceof Uint8Array ? spec : Buffer.from(stringifyExact(spec)),
        runtime: this.runtimes.get(options.runtime ?? ''),
        options: mergeOptions(options.options, containerOptions),
        checkpoint: restorePath(options.options) || options.checkpoint,
        sandbox: this.#place(namespace, options.sandbox),
      },
      call,
    );
    return this.#container(task, pid);
  }

  /** Makes it of a checkpoint, and starts it. NotFound when there is none of that name. */
  async restore(
    namespace: string,
    id: string,
    checkpoint: string,
    options: Omit<CreateOptions, 'checkpoint'>,
    call?: CallOptions,
  ): Promise<RunningContainer> {
    const { path } = this.checkpoints.get(namespace, id, checkpoint);
    const container = await this.create(namespace, id, { ...options, checkpoint: path }, call);
    try {
      await container.start('', call);
    } catch (error) {
      await this.delete(container);
      throw error;
    }
    return container;
  }

  /** Also while it is being made. */
  has(namespace: string, id: string): boolean {
    return this.manager.find(namespace, id) !== undefined || this.manager.isMaking(namespace, id);
  }

  /** Throws NotFound. */
  get(namespace: string, id: string): RunningContainer {
    return this.#container(this.manager.get(namespace, id));
  }

  /** Those of a namespace, or all. */
  list(namespace?: string): RunningContainer[] {
    return this.manager.list(namespace).map((task) => this.#container(task));
  }

  /** Ends one whose first process has ended or was never started. Its record and its checkpoints stay. */
  async delete(container: RunningContainer, call?: CallOptions): Promise<Exit> {
    return this.manager.delete(container.task, call);
  }

  /** What happens to the containers of a namespace, or of all, until the signal aborts. */
  events(signal: AbortSignal, namespace?: string): AsyncIterable<Envelope> {
    return this.exchange.subscribe(
      [`${namespace === undefined ? '' : `namespace==${namespace},`}topic~=|^/tasks/|`],
      signal,
    );
  }

  #place(namespace: string, id = ''): TaskRequest['sandbox'] {
    const bootstrap = id === '' ? undefined : this.sandboxes?.place(namespace, id);
    return bootstrap && { id, bootstrap };
  }

  #container(task: Task, pid = 0): RunningContainer {
    return new RunningContainer(task, this.exchange, this.checkpoints, pid);
  }
}

/** A container that runs, or has run and was not deleted yet. Each call fails with NotFound once it is no more. */
export class RunningContainer {
  constructor(
    readonly task: Task,
    private readonly exchange: Exchange,
    private readonly checkpointStore: CheckpointStore,
    readonly createdPid: number,
  ) {}

  get id(): string {
    return this.task.id;
  }
  get namespace(): string {
    return this.task.namespace;
  }

  /** Starts the first process, or one that {@link exec} made. Gives its pid. */
  async start(execId = '', call?: CallOptions): Promise<number> {
    return this.task.start(execId, call);
  }

  /** Makes another process; {@link start} starts it. */
  async exec(execId: string, process: object | Any, io: TaskIo = NO_IO, call?: CallOptions): Promise<void> {
    const spec =
      'type_url' in process
        ? process
        : {
            type_url: 'types.containerd.io/opencontainers/runtime-spec/1/Process',
            value: Buffer.from(stringifyExact(process)),
          };
    await this.task.exec(execId, spec, io, call);
  }

  async processes(call?: CallOptions): Promise<ProcessInfo[]> {
    return this.task.pids(call);
  }

  /** Removes a process that has ended or was never started. */
  async removeProcess(execId: string, call?: CallOptions): Promise<Exit> {
    if (execId === '')
      throw errdefs.invalidArgument('exec id cannot be empty: the first process goes with its container');
    return this.task.deleteProcess(execId, call);
  }

  /** Sends a signal by its number, to the first process unless told otherwise. */
  async signal(
    signal: number,
    { execId = '', all = false }: { execId?: string; all?: boolean } = {},
    call?: CallOptions,
  ): Promise<void> {
    await this.task.kill(signal, all, execId, call);
  }

  async wait(execId = '', call?: CallOptions): Promise<Exit> {
    return this.task.wait(execId, call);
  }

  async pause(call?: CallOptions): Promise<void> {
    await this.task.pause(call);
  }

  async resume(call?: CallOptions): Promise<void> {
    await this.task.resume(call);
  }

  /** Of the first process or of another; with status Unknown when its shim does not tell. */
  async state(execId = '', call?: CallOptions, onFailure: (error: Error) => void = () => undefined): Promise<Process> {
    return this.task.process(execId, onFailure, call);
  }

  /** Keeps the state of its processes under a name. AlreadyExists for one that is taken. */
  async checkpoint(
    name: string,
    options: containerd.runc.v1.CheckpointOptions.$Properties = {},
    call?: CallOptions,
  ): Promise<Checkpoint> {
    const checkpoint = await this.checkpointStore.add(this.namespace, this.id, name, (dir) =>
      this.task.checkpoint(dir, checkpointOptions(options), call),
    );
    this.#publishCheckpoint(checkpoint.path);
    return checkpoint;
  }

  /** The same into a directory of the caller's. */
  async checkpointTo(dir: string, options: Any | null | undefined, call?: CallOptions): Promise<void> {
    await this.task.checkpoint(dir, options, call);
    this.#publishCheckpoint(dir);
  }

  /** The oldest first. */
  checkpoints(): Checkpoint[] {
    return this.checkpointStore.list(this.namespace, this.id);
  }

  async deleteCheckpoint(name: string): Promise<void> {
    await this.checkpointStore.delete(this.namespace, this.id, name);
  }

  #publishCheckpoint(checkpoint: string): void {
    this.exchange.publish(
      this.namespace,
      '/tasks/checkpointed',
      pack('containerd.events.TaskCheckpointed', containerd.events.TaskCheckpointed, {
        containerId: this.id,
        checkpoint,
      }),
    );
  }
}
