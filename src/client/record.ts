/** What the daemon says about containers and tasks, in this library's terms. */
import { containerd, google, isType, millis, pack } from '../api/full.js';
import { parseExact, stringifyExact } from '../oci/json.js';
import { Code } from '../ttrpc/status.js';
import { UnknownError } from './errors.js';
import type { Any } from './types/calls.js';
import type { ContainerRecord, RuncOptions } from './types/container.js';
import type { Exit, TaskState, TaskStatus } from './types/process.js';
import type { Spec, SpecProcess } from './spec/types.js';

type Container = containerd.services.containers.v1.Container.$Properties;
type Process = containerd.v1.types.Process.$Properties;

const SPEC = 'types.containerd.io/opencontainers/runtime-spec/1/Spec';
const PROCESS = 'types.containerd.io/opencontainers/runtime-spec/1/Process';
const RESOURCES = 'types.containerd.io/opencontainers/runtime-spec/1/LinuxResources';
const RUNC_OPTIONS = 'containerd.runc.v1.Options';

const STATES: readonly TaskState[] = ['unknown', 'created', 'running', 'stopped', 'paused', 'pausing'];

export function recordOf(container: Container): ContainerRecord {
  const { id, labels, image, runtime, spec, snapshotter, snapshotKey, createdAt, updatedAt, extensions } = container;
  return {
    id: id ?? '',
    // Containerd sends them in any order, another one each time.
    labels: Object.fromEntries(Object.entries(labels ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))),
    image: image ?? '',
    runtime: { name: runtime?.name ?? '', options: runtime?.options ?? undefined },
    spec: parseSpec(id ?? '', spec),
    snapshotter: snapshotter ?? '',
    snapshotKey: snapshotKey ?? '',
    createdAt: date(createdAt),
    updatedAt: date(updatedAt),
    extensions: { ...extensions },
  };
}

export function statusOf(containerId: string, process: Process): TaskStatus {
  const state = STATES[process.status ?? 0] ?? 'unknown';
  return {
    containerId,
    id: process.id || containerId,
    state,
    pid: process.pid ?? 0,
    exit: state === 'stopped' ? exitOf(process) : undefined,
    terminal: process.terminal ?? false,
    stdin: process.stdin ?? '',
    stdout: process.stdout ?? '',
    stderr: process.stderr ?? '',
  };
}

export function exitOf({
  exitStatus,
  exitedAt,
}: {
  exitStatus?: number | null;
  exitedAt?: google.protobuf.Timestamp.$Properties | null;
}): Exit {
  return { exitCode: exitStatus ?? 0, exitedAt: date(exitedAt) };
}

export function date(time: google.protobuf.Timestamp.$Properties | null | undefined): Date {
  return new Date(millis(time) ?? 0);
}

export function packSpec(spec: Spec): Any {
  return packJson(SPEC, spec);
}

export function packProcess(process: SpecProcess): Any {
  return packJson(PROCESS, process);
}

export function packResources(resources: object): Any {
  return packJson(RESOURCES, resources);
}

/** A runtime's options: those of runc's shim, unless they are packed already. */
export function packOptions(options: RuncOptions | Any): Any {
  return 'type_url' in options ? options : pack(RUNC_OPTIONS, containerd.runc.v1.Options, options as RuncOptions);
}

/** The options of runc's shim; undefined when they are another's. */
export function runcOptions(options: Any | undefined): RuncOptions | undefined {
  if (options?.value == null || !options.type_url) return {};
  return isType(options, RUNC_OPTIONS) ? containerd.runc.v1.Options.decode(options.value) : undefined;
}

function packJson(type: string, value: object): Any {
  return { type_url: type, value: Buffer.from(stringifyExact(value)) };
}

function parseSpec(id: string, spec: Any | null | undefined): Spec {
  if (!spec?.value?.length) return { ociVersion: '' };
  try {
    return parseExact(Buffer.from(spec.value).toString()) as Spec;
  } catch (error) {
    throw new UnknownError(Code.Unknown, `container ${id}: its spec is no JSON: ${(error as Error).message}`, {
      cause: error,
    });
  }
}
