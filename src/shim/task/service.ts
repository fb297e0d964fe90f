/** The Task service: protobuf in, protobuf out. What holds for tasks is decided in container.ts. */
import { invalidArgument, notFound } from '../../api/errdefs.js';
import { containerd, type google } from '../../api/gen/api.js';
import { timestamp } from '../../api/timestamp.js';
import { isType, pack } from '../../api/typeurl.js';
import { Bundle } from '../../oci/bundle.js';
import { encodeMetrics } from '../cgroup/metrics.js';
import { sharesPidNamespace, type Spec } from '../../oci/spec.js';
import type { Containers } from './containers.js';
import type { ShimContext } from './context.js';
import type { TaskHandlers } from './custom.js';
import { connectionTo, stateOf } from './questions.js';
import { checkIdentifier } from '../../api/identifier.js';
import { decodeOptions, optionsFile, runtimeSettings } from '../runtime/options.js';
import type { ContainerRecord, ProcessRecord } from '../record/record.js';
import { ON_DEATH_ANNOTATION } from '../stdio/index.js';

type Any = google.protobuf.Any.$Properties;
type CreateRequest = containerd.task.v2.CreateTaskRequest;

const empty = {};

/** The handlers of containerd.task.v2.Task and containerd.task.v3.Task, which are the same. */
export function taskService(shim: ShimContext, containers: Containers, shutdown: () => void): TaskHandlers {
  return {
    async Create(request, context) {
      try {
        const { init } = (await containers.create(newRecord(request, shim.record.namespace))).record;
        return { pid: init.pid };
      } catch (error) {
        // A daemon that was killed meanwhile knows nothing of this container, and will not ask for the shim's end.
        if (context.signal.aborted && containers.endIfForgotten()) shutdown();
        throw error;
      }
    },

    async Start({ id, execId }, context) {
      const container = containers.get(id);
      return { pid: await (execId ? container.startExec(execId, context.signal) : container.start()) };
    },

    async Delete({ id, execId }, context) {
      const process = execId
        ? await containers.get(id).deleteExec(execId)
        : (await containers.delete(id, context.signal)).init;
      return { pid: process.pid, exitStatus: process.exitStatus, exitedAt: timestamp(process.exitedAt) };
    },

    State({ id, execId }) {
      return stateOf(containers, id, execId);
    },

    async Wait({ id, execId }, context) {
      const process = await containers.get(id).wait(execId, context.signal);
      return { exitStatus: process.exitStatus, exitedAt: timestamp(process.exitedAt) };
    },

    async Kill({ id, execId, signal, all }) {
      const container = containers.get(id);
      if (execId) await container.killExec(execId, signal);
      else await container.kill(signal, all);
      return empty;
    },

    Exec(request) {
      const { id, execId, stdin, stdout, stderr, terminal, spec } = request;
      const container = containers.get(id);
      checkIdentifier('exec id', execId);
      container.addExec({
        id: execId,
        state: 'created',
        spec: processSpec(spec),
        ...newProcess({ stdin, stdout, stderr, terminal }),
      });
      return empty;
    },

    async Pids({ id }, { connection }) {
      const found = await containers.get(id).pids(connection.openedAt);
      return {
        processes: found.map(({ pid, execId }) => ({
          pid,
          ...(execId === undefined
            ? {}
            : { info: pack('containerd.runc.v1.ProcessDetails', containerd.runc.v1.ProcessDetails, { execId }) }),
        })),
      };
    },

    async Pause({ id }) {
      await containers.get(id).pause();
      return empty;
    },

    async Resume({ id }) {
      await containers.get(id).resume();
      return empty;
    },

    async Checkpoint({ id, path, options }) {
      const container = containers.get(id);
      const o = checkpointOptions(options);
      await container.checkpoint({
        imagePath: path,
        workPath: o.workPath || undefined,
        leaveRunning: !o.exit,
        allowOpenTcp: o.openTcp ?? false,
        allowExternalUnixSockets: o.externalUnixSockets ?? false,
        allowTerminal: o.terminal ?? false,
        fileLocks: o.fileLocks ?? false,
        emptyNamespaces: o.emptyNamespaces ?? [],
        ...('parentPath' in o && o.parentPath ? { parentPath: o.parentPath } : {}),
      });
      return empty;
    },

    ResizePty({ id, execId, width, height }) {
      containers.get(id).resize(execId, width, height);
      return empty;
    },

    CloseIO({ id, execId }) {
      containers.get(id).closeStdin(execId);
      return empty;
    },

    async Update({ id, resources }) {
      const container = containers.get(id);
      if (!resources?.value?.length) throw invalidArgument('resources are missing');
      await container.update(resources.value);
      return empty;
    },

    Stats({ id }) {
      const { cgroup } = containers.get(id).record;
      if (!cgroup) throw notFound('cgroup does not exist');
      return { stats: encodeMetrics(cgroup) };
    },

    Connect({ id }) {
      return connectionTo(containers, id);
    },

    Shutdown({ id }) {
      containers.shutdown(id, shutdown);
      return empty;
    },
  };
}

/** Checks a create request and writes down what `delete` will need, should this process not live to see it. */
function newRecord(request: CreateRequest, namespace: string): ContainerRecord {
  const { id, bundle: path, stdin, stdout, stderr, terminal, checkpoint, parentCheckpoint } = request;
  checkIdentifier('container id', id);
  if (!path.startsWith('/')) throw invalidArgument(`bundle ${JSON.stringify(path)} must be an absolute path`);
  const bundle = new Bundle(path);
  const spec = readSpec(bundle);
  const options = decodeOptions(request.options);
  bundle.writeOptions(optionsFile(options));
  bundle.writeRuntime(options.binaryName ?? '');
  return {
    id,
    bundle: path,
    checkpoint,
    parentCheckpoint,
    mounts: request.rootfs.map((mount) => ({
      type: mount.type ?? '',
      source: mount.source ?? '',
      target: mount.target ?? '',
      options: mount.options ?? [],
    })),
    runtime: runtimeSettings(options, namespace),
    sharesPidNamespace: sharesPidNamespace(spec),
    onLogDeath: spec.annotations?.[ON_DEATH_ANNOTATION] ?? '',
    cgroupsPath: spec.linux?.cgroupsPath ?? '',
    cgroup: undefined,
    init: {
      state: 'creating',
      // `ctr containers restore` does not say that it is one; the runtime goes by the spec, and needs to be given a place for it.
      ...newProcess({
        stdin,
        stdout,
        stderr,
        terminal: terminal || (checkpoint !== '' && spec.process?.terminal === true),
      }),
    },
    execs: {},
  };
}

function readSpec(bundle: Bundle): Spec {
  try {
    return bundle.spec();
  } catch (error) {
    // Not "no such file or directory": dockerd takes that for a command missing in the container.
    const why = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'it is missing' : (error as Error).message;
    throw invalidArgument(`the bundle ${bundle.path} has no usable config.json: ${why}`, error);
  }
}

function newProcess(io: Pick<ProcessRecord, 'stdin' | 'stdout' | 'stderr' | 'terminal'>): ProcessRecord {
  return { pid: 0, ...io, stdinClosed: false, exitStatus: 0 };
}

/** The OCI process of an exec, as text. Its type URL is not looked at (contract §5.4). */
function processSpec(spec: Any | null | undefined): string {
  const text = Buffer.from(spec?.value ?? []).toString('utf8');
  try {
    const process: unknown = JSON.parse(text);
    if (typeof process === 'object' && process !== null) return text;
  } catch (error) {
    throw invalidArgument(`the process to run is not valid JSON: ${(error as Error).message}`, error);
  }
  throw invalidArgument('the process to run is not a JSON object');
}

function checkpointOptions(any: Any | null | undefined): containerd.runc.v1.CheckpointOptions.$Properties {
  if (!any?.value?.length) return {};
  if (isType(any, 'containerd.runc.v1.CheckpointOptions'))
    return containerd.runc.v1.CheckpointOptions.decode(any.value);
  if (isType(any, 'containerd.linux.runc.CheckpointOptions'))
    return containerd.linux.runc.CheckpointOptions.decode(any.value);
  throw invalidArgument(`checkpoint options of type ${any.type_url}`);
}
