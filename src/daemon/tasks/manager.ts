/** All tasks by namespace and id: made, found, ended (contract §1.10, §1.15, §7.4). */
import { containerd, errdefs, pack } from '../../api/full.js';
import { checkIdentifier } from '../../api/identifier.js';
import { realtime } from '../../sys/index.js';
import { Code, TtrpcError, type CallOptions } from '../../ttrpc/index.js';
import type { ShimConnection } from '../shims/connection.js';
import type { LastWord } from '../shims/launcher.js';
import type { LogFifo } from '../shims/log-fifo.js';
import { TaskBundle } from './bundle.js';
import { joinShim, resolveFor, startShim } from './launch.js';
import { defaultsFor, withRoot } from './options.js';
import { cleanUp, openLog, type TaskManagerOptions } from './remains.js';
import { tolerated } from './failure.js';
import { createIn, restoreFrom, type TaskRequest } from './request.js';
import { loadTasks } from './restart.js';
import { Task, type Exit } from './task.js';

export class TaskManager {
  readonly #tasks = new Map<string, Task>();
  /** Those that are being made or cleaned up after. */
  readonly #making = new Set<string>();
  readonly #ending = new Map<string, Promise<void>>();
  #closed = false;

  constructor(readonly options: TaskManagerOptions) {}

  /** Finds the tasks again that an earlier daemon has left, and cleans up after those that have died. */
  async load(): Promise<void> {
    await loadTasks(this.options, {
      add: (task) => this.#add(task),
      has: (namespace, id) => this.#tasks.has(key(namespace, id)),
    });
  }

  find(namespace: string, id: string): Task | undefined {
    return this.#tasks.get(key(namespace, id));
  }

  /** It is being made, and not there yet. */
  isMaking(namespace: string, id: string): boolean {
    return this.#making.has(key(namespace, id));
  }

  /** Throws NotFound. */
  get(namespace: string, id: string): Task {
    const task = this.find(namespace, id);
    if (task === undefined) throw noTask(id);
    return task;
  }

  /** Those of a namespace, or all. */
  list(namespace?: string): Task[] {
    const all = [...this.#tasks.values()];
    return namespace === undefined ? all : all.filter((task) => task.namespace === namespace);
  }

  /**
   * Has a shim make a task.
   *
   * @throws AlreadyExists when it is there; what the shim said when it failed, and then nothing is left of it
   */
  async create(request: TaskRequest, call: CallOptions = {}): Promise<{ task: Task; pid: number }> {
    const { namespace, id } = request;
    const name = key(namespace, id);
    // First of all: a path is made of it, and what an earlier task has left there is removed.
    checkIdentifier('task id', id);
    if (this.#closed) throw errdefs.unavailable('the daemon is ending');
    if (this.#tasks.has(name) || this.#making.has(name)) throw errdefs.alreadyExists(`task ${id}`);
    this.#making.add(name);
    try {
      // The last one of this id may be on its way out.
      await this.#ending.get(name);
      const binary = resolveFor(this.options.launcher, request.runtime.shim);
      const bundle = await this.#makeBundle(request, binary);
      return await this.#launch(request, bundle, binary, call);
    } finally {
      this.#making.delete(name);
    }
  }

  /** Ends a task that has stopped: the shim forgets it, and nothing is left of it. Throws what the shim says against it. */
  async delete(task: Task, call: CallOptions = {}): Promise<Exit> {
    // Whoever comes first is told how it ended.
    while (task.deletion !== undefined) await task.deletion.catch(() => undefined);
    if (this.find(task.namespace, task.id) !== task) throw noTask(task.id);
    const deletion = this.#delete(task, call);
    task.deletion = deletion;
    try {
      return await deletion;
    } finally {
      if (task.deletion === deletion) task.deletion = undefined;
    }
  }

  /** Lets go of all tasks; they go on. */
  close(): void {
    this.#closed = true;
    for (const task of this.#tasks.values()) {
      task.released = true;
      task.connection.close();
      task.logFifo?.close();
    }
  }

  async #makeBundle({ namespace, id, spec }: TaskRequest, binary: string): Promise<TaskBundle> {
    const { dirs, log } = this.options;
    const old = new TaskBundle(dirs, namespace, id);
    if (old.exists) {
      // What could not be cleaned up then may be by now.
      log.warn({ namespace, id }, 'cleaning up what an earlier task of this id has left');
      await this.#cleanUp(old, old.shimBinary ?? binary);
      await old.remove();
    }
    return TaskBundle.create(dirs, namespace, id, spec);
  }

  async #launch(
    request: TaskRequest,
    bundle: TaskBundle,
    binary: string,
    call: CallOptions,
  ): Promise<{ task: Task; pid: number }> {
    const { timeouts } = this.options;
    let logFifo: LogFifo | undefined;
    let connection: ShimConnection | undefined;
    try {
      const options = withRoot(
        request.options?.value?.length ? request.options : defaultsFor(request.runtime.options, request.spec),
        binary,
        this.options.runtimeRoot,
      );
      const checkpoint = await restoreFrom(request, bundle);
      logFifo = openLog(this.options, bundle);
      // Before the start: should the daemon die meanwhile, the next one knows what to clean up with.
      bundle.writeShimBinary(binary);
      connection = await (request.sandbox === undefined
        ? startShim(this.options.launcher, binary, bundle, options, call)
        : joinShim(bundle, request.sandbox));
      const task = new Task(bundle, binary, connection, logFifo, timeouts);
      const { pid } = await createIn(task, { ...request, options, checkpoint }, call);
      if (connection.isClosed) throw errdefs.unavailable(`the shim ${binary} died right after creating the task`);
      this.#add(task);
      return { task, pid: pid || (await task.routed((shim) => shim.Connect({ id: task.id }, call))).taskPid };
    } catch (error) {
      await this.#discard(bundle, binary, connection, logFifo);
      throw error;
    }
  }

  #add(task: Task): void {
    this.#tasks.set(key(task.namespace, task.id), task);
    void task.connection.closed.then(() => {
      if (!task.released) this.#track(task, this.#died(task));
    });
  }

  /** A creation of the same id waits until this one's remains are gone. */
  #track(task: Task, ending: Promise<void>): void {
    const name = key(task.namespace, task.id);
    const settled = ending
      .catch((error: unknown) => {
        this.options.log.error(
          { err: error, namespace: task.namespace, id: task.id },
          'failed to clean up after a task; the next one of this id tries again',
        );
      })
      .finally(() => {
        if (this.#ending.get(name) === settled) this.#ending.delete(name);
      });
    this.#ending.set(name, settled);
  }

  /** The connection has ended without our doing: the shim is dead (contract §7.4). */
  async #died(task: Task): Promise<void> {
    const { namespace, id, bundle } = task;
    this.options.log.warn({ namespace, id }, 'cleaning up after shim disconnected');
    task.logFifo?.close();
    const last = await this.#cleanUp(bundle, task.binary);
    this.#tasks.delete(key(namespace, id));
    this.#publishEnd(task, last ?? { pid: 0, exitStatus: 255, exitedAt: realtime(), warnings: '' });
    if (last !== undefined) await bundle.remove();
  }

  #publishEnd(task: Task, last: LastWord): void {
    const { namespace, id } = task;
    const { TaskExit, TaskDelete } = containerd.events;
    const end = { containerId: id, pid: last.pid, exitStatus: last.exitStatus, exitedAt: last.exitedAt };
    this.options.events.publish(namespace, '/tasks/exit', pack('containerd.events.TaskExit', TaskExit, { ...end, id }));
    this.options.events.publish(namespace, '/tasks/delete', pack('containerd.events.TaskDelete', TaskDelete, end));
    task.settleGone(last);
  }

  async #delete(task: Task, call: CallOptions): Promise<Exit> {
    let exit: Exit | undefined;
    let missing: unknown;
    try {
      const { pid, exitStatus, exitedAt } = await task.connection.task.Delete({ id: task.id }, call);
      exit = { pid, exitStatus, exitedAt: exitedAt ?? null };
    } catch (error) {
      if (task.isDeath(error)) {
        const { pid, exitStatus, exitedAt } = await task.gone;
        await this.#ending.get(key(task.namespace, task.id));
        return { pid, exitStatus, exitedAt };
      }
      if (!(error instanceof TtrpcError) || error.code !== Code.NotFound) throw error;
      missing = error;
    }
    task.released = true;
    const ending = this.#discard(task.bundle, task.binary, task.connection, task.logFifo, false);
    this.#track(task, ending);
    this.#tasks.delete(key(task.namespace, task.id));
    await ending;
    if (exit === undefined) throw missing;
    return exit;
  }

  /** The shim, if there is one, is told to forget the task and to end; then all that is left of the task is removed. */
  async #discard(
    bundle: TaskBundle,
    binary: string,
    connection?: ShimConnection,
    logFifo?: LogFifo,
    forget = true,
  ): Promise<void> {
    const { id, namespace } = bundle;
    const { timeouts, log } = this.options;
    if (connection !== undefined) {
      if (forget)
        await tolerated(connection.task.Delete({ id }, { timeoutMs: timeouts.cleanup }), (error) =>
          log.debug({ err: error, namespace, id }, 'failed to delete task'),
        );
      // A sandbox has others, and its controller says when it ends.
      if (!bundle.isSandboxed)
        await tolerated(connection.task.Shutdown({ id }, { timeoutMs: timeouts.shutdown }), (error) =>
          log.warn({ err: error, namespace, id }, 'failed to shut down shim'),
        );
      connection.close();
    }
    const last = await this.#cleanUp(bundle, binary);
    logFifo?.close();
    if (last !== undefined || forget) await bundle.remove();
  }

  /** The shim's own clean-up; undefined when it failed, which is logged. */
  async #cleanUp(bundle: TaskBundle, binary: string): Promise<LastWord | undefined> {
    return cleanUp(this.options, bundle, binary);
  }
}

function key(namespace: string, id: string): string {
  return `${namespace}/${id}`;
}

/** Without the class at its end, as containerd has it: clients of containerd 2 show the text as it is. */
function noTask(id: string): TtrpcError {
  return new TtrpcError(Code.NotFound, `task ${id} not found`);
}
