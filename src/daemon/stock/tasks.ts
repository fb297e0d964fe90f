/** Tasks as plugins: what runs them, their gRPC service, and their monitor. */
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { containerd, errdefs, isType } from '../../api/full.js';
import { within } from '../db/validate.js';
import { monitorPlugin } from './monitor.js';
import { PluginType, type GrpcPlugin, type InitContext, type Informative, type Registration } from '../plugin/types.js';
import { defaultSearch, programDir } from '../shims/binary.js';
import type { Runtime } from '../runtime/types.js';
import { ShimLauncher } from '../shims/launcher.js';
import { shimPlugin, type ShimEnvironment } from './shims.js';
import { TtrpcError } from '../../ttrpc/index.js';
import { CheckpointStore } from '../tasks/checkpoints.js';
import { hasSystemdCgroup } from '../tasks/options.js';
import { taskConfig, type TaskConfig } from '../tasks/config.js';
import { ContainerRuntime } from '../tasks/container.js';
import { TaskManager } from '../tasks/manager.js';
import { tasksService } from '../tasks/service.js';
import { timeoutsOf, type Timeouts } from '../tasks/timeouts.js';

/** Runs tasks in shims. It makes a {@link ContainerRuntime}. */
const taskPlugin: Registration<TaskConfig> = {
  type: PluginType.Task,
  id: 'task',
  requires: [PluginType.Event, PluginType.Metadata, `${PluginType.Shim}.manager`],
  config: taskConfig,
  init: async (context) => {
    const { events, log, signal, runtimes, metadata } = context;
    // containerd has one directory for all plugins of this type, named after it.
    const dirs = taskDirs(context);
    for (const dir of Object.values(dirs)) mkdirSync(dir, { recursive: true, mode: 0o711 });
    const timeouts = timeoutsOf(context.daemon.timeouts);
    const manager = new TaskManager({
      dirs,
      runtimeRoot: join(context.daemon.state, 'runc'),
      events,
      log,
      timeouts,
      launcher: launcherOf(context, timeouts),
      recordedRuntime: (namespace, id) => {
        try {
          return runtimes.get(metadata.containers.get(namespace, id).runtime?.name ?? '').shim;
        } catch (error) {
          if (error instanceof TtrpcError) return undefined;
          throw error;
        }
      },
    });
    const checkpoints = new CheckpointStore(join(dirs.root, '.checkpoints'));
    await checkpoints.prune((namespace, id) => hasRecord(context, namespace, id));
    forgetCheckpoints(context, checkpoints);
    await manager.load();
    context.onClose(() => manager.close());
    signal.addEventListener('abort', () => manager.close());
    // What clients make a container's cgroup path by.
    context.exports['systemd-cgroup'] = namesWithSystemd(runtimes.list()).join(',');
    return withInfo(new ContainerRuntime(manager, runtimes, events, checkpoints));
  },
};

/** The service `containerd.services.tasks.v1.Tasks`. */
const servicePlugin: Registration = {
  type: PluginType.Grpc,
  id: 'tasks',
  requires: [`${PluginType.Task}.task`, PluginType.Metadata],
  init: (context): GrpcPlugin => {
    const { metadata, log, daemon } = context;
    const temporary = join(daemon.root, 'io.containerd.grpc.v1.tasks');
    // Of a daemon that was killed in the middle of a checkpoint.
    rmSync(temporary, { recursive: true, force: true });
    return {
      services: [
        tasksService({ runtime: context.get<ContainerRuntime>(PluginType.Task, 'task'), metadata, log, temporary }),
      ],
    };
  },
};

export const taskPlugins: readonly Registration[] = [
  shimPlugin as Registration,
  taskPlugin as Registration,
  servicePlugin,
  monitorPlugin as Registration,
];

function taskDirs({ daemon }: InitContext): { state: string; root: string } {
  const name = 'io.containerd.runtime.v2.task';
  return { state: join(daemon.state, name), root: join(daemon.root, name) };
}

function launcherOf({ config, daemon, log, get }: InitContext<TaskConfig>, timeouts: Timeouts): ShimLauncher {
  const search = defaultSearch();
  return new ShimLauncher({
    address: daemon.address,
    ttrpcAddress: daemon.ttrpcAddress,
    publishBinary: ownProgram(),
    search: { ...search, first: [...config.shim_dirs, ...search.first] },
    debug: log.isLevelEnabled('debug'),
    env: {
      ...get<ShimEnvironment>(PluginType.Shim, 'manager'),
      ...(config.sched_core ? { SCHED_CORE: '1' } : {}),
    },
    startMs: timeouts.start,
    cleanupMs: timeouts.cleanup,
  });
}

/** The daemon's program: some shims run it as `hawserd publish`. */
function ownProgram(): string {
  const program = join(programDir() ?? '', 'hawserd');
  return existsSync(program) ? program : (process.argv[1] ?? process.execPath);
}

function hasRecord({ metadata }: InitContext, namespace: string, id: string): boolean {
  try {
    metadata.containers.get(namespace, id);
    return true;
  } catch (error) {
    if (error instanceof TtrpcError) return false;
    throw error;
  }
}

/** A container's checkpoints go with its record. */
function forgetCheckpoints({ events, signal, log }: InitContext, checkpoints: CheckpointStore): void {
  const follow = async (): Promise<void> => {
    for await (const { namespace, event } of events.subscribe(['topic=="/containers/delete"'], signal)) {
      // ContainerDelete has the id as its only field, the first, as this event has.
      const { containerId } = containerd.events.TaskOOM.decode(event?.value ?? new Uint8Array());
      // Not waited for: those of the next container must not be mistaken for those of this one, should it get the same name.
      checkpoints
        .deleteAll(namespace ?? '', containerId)
        .catch((err: unknown) =>
          log.error({ err, namespace, id: containerId }, 'failed to remove the checkpoints of a deleted container'),
        );
    }
  };
  follow().catch((error: unknown) =>
    log.error({ err: error }, 'checkpoints of deleted containers are no longer removed'),
  );
}

/** Runtimes whose containers get their cgroups from systemd if they don't say otherwise. */
function namesWithSystemd(runtimes: readonly Runtime[]): string[] {
  return runtimes.filter(({ options }) => hasSystemdCgroup(options)).map(({ name }) => name);
}

/** `ctr plugins inspect-runtime` asks a shim what it can do. */
function withInfo(runtime: ContainerRuntime): ContainerRuntime & Informative {
  const info: Informative['info'] = async (request) => {
    if (!request?.value || !isType({ type_url: request.type_url ?? '' }, 'containerd.types.RuntimeRequest')) {
      throw errdefs.invalidArgument('say which runtime by a containerd.types.RuntimeRequest');
    }
    const { runtimePath, options } = containerd.types.RuntimeRequest.decode(request.value);
    const { launcher } = runtime;
    const value = await launcher.info(
      within('failed to resolve runtime path', () => launcher.resolve(runtime.shimOf(runtimePath))),
      options ?? undefined,
    );
    return { type_url: 'containerd.types.RuntimeInfo', value };
  };
  return Object.assign(runtime, { info });
}
