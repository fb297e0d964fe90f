/**
 * Finds the tasks again after a restart of the daemon (contract §1.13). A task that has stopped meanwhile stays until a client
 * deletes it, so that its exit status can be asked for; containerd since 1.7 deletes it, and with it the exit.
 */
import { readdirSync, type Dirent } from 'node:fs';
import { join } from 'node:path';
import { millis } from '../../api/full.js';
import { checkIdentifier } from '../../api/identifier.js';
import { Code, TtrpcError } from '../../ttrpc/index.js';
import { ShimConnection } from '../shims/connection.js';
import type { LogFifo } from '../shims/log-fifo.js';
import { TaskBundle, type TaskDirs } from './bundle.js';
import { eachBounded } from './limit.js';
import { removeTree } from './mounts.js';
import { cleanUp, openLog, type TaskManagerOptions } from './remains.js';
import { isClosed, Task } from './task.js';

/** One that hangs keeps its place for seconds, so there are many. */
const AT_ONCE = 64;

/** Where found tasks go. */
export interface TaskTable {
  add(task: Task): void;
  has(namespace: string, id: string): boolean;
}

/** Kept when each task that was left is found again or cleaned up; what goes wrong with one is logged, and holds up no other. */
export async function loadTasks(options: TaskManagerOptions, table: TaskTable): Promise<void> {
  const { dirs, log } = options;
  const bundles = bundlesIn(dirs, log);
  const started = performance.now();
  await eachBounded(bundles, AT_ONCE, async (bundle) => {
    try {
      const task = await loadTask(options, bundle);
      if (task !== undefined) table.add(task);
    } catch (error) {
      log.error({ err: error, namespace: bundle.namespace, id: bundle.id }, 'failed to load task');
    }
  });
  if (bundles.length > 0)
    log.info({ tasks: bundles.length, ms: Math.round(performance.now() - started) }, 'loaded tasks');
  await removeOrphans(options, table);
}

/** Those that an earlier daemon has left. */
export function bundlesIn(dirs: TaskDirs, log: TaskManagerOptions['log']): TaskBundle[] {
  return identified(dirs.state, log).flatMap((namespace) =>
    identified(join(dirs.state, namespace), log).map((id) => new TaskBundle(dirs, namespace, id)),
  );
}

/** The task in a bundle; undefined when it has died, and has been cleaned up after. */
async function loadTask(options: TaskManagerOptions, bundle: TaskBundle): Promise<Task | undefined> {
  const { log } = options;
  const { namespace, id } = bundle;
  if (readdirSync(bundle.path).length === 0) {
    await bundle.remove();
    return undefined;
  }
  const binary = findBinary(options, bundle);
  try {
    return await reconnect(options, bundle, binary ?? '');
  } catch (error) {
    log.error({ err: error, namespace, id }, 'cleaning up after dead shim');
    const last = binary === undefined ? undefined : await cleanUp(options, bundle, binary);
    if (last !== undefined)
      log.warn(
        { namespace, id, pid: last.pid, exitStatus: last.exitStatus, exitedAt: new Date(millis(last.exitedAt) ?? 0) },
        'cleaned up after dead shim',
      );
    await bundle.remove();
    return undefined;
  }
}

/** What to clean up with. A shim that lives can do without: it may have been upgraded away. */
function findBinary(
  { launcher, recordedRuntime, log }: TaskManagerOptions,
  { namespace, id, shimBinary }: TaskBundle,
): string | undefined {
  try {
    const runtime = shimBinary ?? recordedRuntime(namespace, id);
    if (runtime === undefined) throw new Error('neither the bundle nor a container record names the shim');
    return launcher.resolve(runtime);
  } catch (error) {
    log.warn({ err: error, namespace, id }, 'the shim of a task cannot be found');
    return undefined;
  }
}

async function reconnect(options: TaskManagerOptions, bundle: TaskBundle, binary: string): Promise<Task> {
  const { timeouts } = options;
  const deadline = performance.now() + timeouts.load;
  const left = (): { timeoutMs: number } => ({ timeoutMs: Math.max(1, deadline - performance.now()) });

  const bootstrap = bundle.bootstrap();
  if (bootstrap === undefined) throw new Error('it was never started: its bundle holds no address');
  let logFifo: LogFifo | undefined;
  let connection: ShimConnection | undefined;
  try {
    // First the log: a shim that waits for a reader would not answer.
    logFifo = openLog(options, bundle);
    connection = await ShimConnection.open(bootstrap, timeouts.load);
    try {
      await expectServing(connection, bundle, left);
    } catch (error) {
      if (!isLate(error) || connection.isClosed) throw error;
      keepAsking(options, bundle, connection, error);
    }
    return new Task(bundle, binary, connection, logFifo, timeouts);
  } catch (error) {
    connection?.close();
    logFifo?.close();
    throw error;
  }
}

/** Nothing has been said against it: on a machine that is busy a shim may take longer than the daemon waits. */
const isLate = (error: unknown): boolean => TtrpcError.from(error).code === Code.DeadlineExceeded;

/**
 * A shim that took the connection lives, and so does its container: to clean up would kill it. It is asked again for as long as it takes; the
 * end of the connection is the end of the shim, as that of any other.
 */
function keepAsking({ log }: TaskManagerOptions, bundle: TaskBundle, connection: ShimConnection, error: unknown): void {
  const { namespace, id } = bundle;
  log.warn({ err: error, namespace, id }, 'a shim lives, but gives no answer; it keeps its container');
  expectServing(connection, bundle, () => ({})).then(
    () => log.info({ namespace, id }, 'the shim has answered'),
    (late: unknown) => {
      if (!isClosed(late)) log.error({ err: late, namespace, id }, 'a shim that gave no answer has given a wrong one');
    },
  );
}

/** Resolves when the shim has answered for the container. */
async function expectServing(
  connection: ShimConnection,
  bundle: TaskBundle,
  left: () => { timeoutMs?: number },
): Promise<void> {
  const { id } = bundle;
  try {
    await connection.task.Connect({ id }, left());
  } catch (error) {
    if (TtrpcError.from(error).code !== Code.Unimplemented) throw error;
    connection.downgrade();
    await connection.task.Connect({ id }, left());
  }
  await expectCreated(connection, bundle, left);
}

/** A shim that was started for a container that it was never told to create serves nobody, unless it has others or is a sandbox. */
async function expectCreated(
  { task }: ShimConnection,
  { id, isSandboxed }: TaskBundle,
  left: () => { timeoutMs?: number },
): Promise<void> {
  try {
    await task.State({ id }, left());
  } catch (error) {
    if (TtrpcError.from(error).code === Code.NotFound && !isSandboxed) await task.Shutdown({ id }, left());
    throw error;
  }
}

/** What belongs to no task: working directories that outlived a reboot, and what a crash has left of removals. */
export async function removeOrphans(
  { dirs, log }: Pick<TaskManagerOptions, 'dirs' | 'log'>,
  table: Pick<TaskTable, 'has'>,
): Promise<void> {
  for (const dir of [dirs.root, dirs.state]) {
    for (const namespace of identified(dir, log)) {
      for (const { name } of directories(join(dir, namespace))) {
        const orphan = name.startsWith('.') || (dir === dirs.root && !table.has(namespace, name));
        if (!orphan) continue;
        await removeTree(join(dir, namespace, name)).catch((error: unknown) =>
          log.error({ err: error, namespace, id: name }, 'failed to remove an orphaned directory'),
        );
      }
    }
  }
}

/** Directories whose names can be a namespace's or a task's. */
function identified(dir: string, log: TaskManagerOptions['log']): string[] {
  return directories(dir)
    .map(({ name }) => name)
    .filter((name) => {
      if (name.startsWith('.')) return false;
      try {
        checkIdentifier('name', name);
        return true;
      } catch (error) {
        log.warn({ err: error, dir }, 'passing over a directory that is no task');
        return false;
      }
    });
}

function directories(dir: string): Dirent[] {
  try {
    return readdirSync(dir, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
