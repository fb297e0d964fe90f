/** The gRPC service of tasks: each call goes to the shim of its container (contract §3.7, §7.5). */
import { mkdirSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { ContainerdServicesTasksV1Tasks as Tasks, errdefs, google, type containerd } from '../../api/full.js';
import { checkIdentifier } from '../../api/identifier.js';
import type { Handlers } from '../../ttrpc/handlers.js';
import { Code, TtrpcError, type CallOptions } from '../../ttrpc/index.js';
import { realtime } from '../../sys/index.js';
import { compileFilters } from '../filter/index.js';
import { bindService, type BoundService, type Call } from '../grpc/service.js';
import type { Container, Metadata } from '../metadata/types.js';
import { CHECKPOINT_TYPE, CONFIG_TYPE, tarOf, untar } from './checkpoint-image.js';
import type { ContainerRuntime, RunningContainer } from './container.js';
import { eachBounded } from './limit.js';
import { removeTree } from './mounts.js';
import { checkpointPath } from './options.js';

type Descriptor = containerd.types.Descriptor.$Properties;

const AT_ONCE = 32;

export interface TasksServiceOptions {
  readonly runtime: ContainerRuntime;
  readonly metadata: Metadata;
  readonly log: Logger;
  /** For checkpoints on their way to the content store. */
  readonly temporary: string;
}

export function tasksService({ runtime, metadata, log, temporary }: TasksServiceOptions): BoundService {
  /** As containerd does, a task is only known as long as its container's record is. */
  const find = (id: string, call: Call): RunningContainer => {
    metadata.containers.get(call.namespace, id);
    return runtime.get(call.namespace, id);
  };
  const noState =
    (id: string) =>
    (error: Error): void =>
      log.warn({ err: error, id }, 'get state');

  const handlers: Handlers<typeof Tasks, Call> = {
    async Create(request, call) {
      const { namespace } = call;
      const id = request.containerId;
      const record = metadata.containers.get(namespace, id);
      const { rootfs, stdin, stdout, stderr, terminal, checkpoint, options } = request;
      const container = await runtime.create(
        namespace,
        id,
        {
          spec: record.spec?.value ?? new Uint8Array(),
          rootfs,
          io: { stdin, stdout, stderr, terminal },
          runtime: request.runtimePath || (record.runtime?.name ?? ''),
          options,
          containerOptions: record.runtime?.options,
          sandbox: record.sandbox ?? '',
          checkpoint: checkpoint ? checkpointIn(metadata, namespace, checkpoint) : undefined,
        },
        limits(call),
      );
      return { containerId: id, pid: container.createdPid };
    },
    async Start({ containerId, execId }, call) {
      return { pid: await find(containerId, call).start(execId, limits(call)) };
    },
    async Delete({ containerId }, call) {
      // Not given up when the client is: half a deletion helps nobody.
      return runtime.delete(find(containerId, call));
    },
    async DeleteProcess({ containerId, execId }, call) {
      return { id: execId, ...(await find(containerId, call).removeProcess(execId)) };
    },
    async Get({ containerId, execId }, call) {
      return { process: await find(containerId, call).state(execId, limits(call), noState(containerId)) };
    },
    async List(_request, call) {
      const tasks = await eachBounded(runtime.list(call.namespace), AT_ONCE, async (container) => {
        return present(container.state('', limits(call), noState(container.id)));
      });
      return { tasks: tasks.filter((task) => task !== undefined) };
    },
    async Kill({ containerId, execId, signal, all }, call) {
      await find(containerId, call).signal(signal, { execId, all }, limits(call));
      return {};
    },
    async Exec({ containerId, execId, stdin, stdout, stderr, terminal, spec }, call) {
      if (execId === '') throw errdefs.invalidArgument('exec id cannot be empty');
      checkIdentifier('exec id', execId);
      await find(containerId, call).task.exec(execId, spec, { stdin, stdout, stderr, terminal }, limits(call));
      return {};
    },
    async ResizePty({ containerId, execId, width, height }, call) {
      await find(containerId, call).task.resizePty(width, height, execId, limits(call));
      return {};
    },
    async CloseIO({ containerId, execId, stdin }, call) {
      const { task } = find(containerId, call);
      // The Go shim's CloseIO has no error class for a process that is not there.
      if (execId !== '') await task.state(execId, limits(call));
      if (stdin) await task.closeStdin(execId, limits(call));
      return {};
    },
    async Pause({ containerId }, call) {
      await find(containerId, call).pause(limits(call));
      return {};
    },
    async Resume({ containerId }, call) {
      await find(containerId, call).resume(limits(call));
      return {};
    },
    async ListPids({ containerId }, call) {
      return { processes: await find(containerId, call).processes(limits(call)) };
    },
    async Checkpoint({ containerId, options }, call) {
      const container = find(containerId, call);
      const record = metadata.containers.get(call.namespace, containerId);
      const image = checkpointPath(options, record.runtime?.name ?? '');
      if (image !== '') {
        await container.checkpointTo(image, options, limits(call));
        return { descriptors: [] };
      }
      mkdirSync(temporary, { recursive: true, mode: 0o700 });
      const dir = mkdtempSync(join(temporary, 'checkpoint-'));
      try {
        await container.checkpointTo(dir, options, limits(call));
        return { descriptors: await keepCheckpoint(metadata, record, dir, call) };
      } finally {
        await removeTree(dir);
      }
    },
    async Update({ containerId, resources, annotations }, call) {
      await find(containerId, call).task.update(resources, annotations, limits(call));
      return {};
    },
    async Metrics({ filters }, call) {
      const matches = compileFilters(filters);
      const chosen = runtime
        .list(call.namespace)
        .filter(({ id, namespace }) =>
          matches(([first]) => (first === 'id' ? id : first === 'namespace' ? namespace : undefined)),
        );
      const metrics = await eachBounded(chosen, AT_ONCE, async ({ id, task }) => {
        try {
          const data = await present(task.stats({ ...limits(call), timeoutMs: runtime.timeouts.stats }));
          return data && { timestamp: realtime(), id, data };
        } catch (error) {
          log.warn({ err: error, id }, 'collecting metrics');
          return undefined;
        }
      });
      return { metrics: metrics.filter((metric) => metric !== undefined) };
    },
    async Wait({ containerId, execId }, call) {
      return find(containerId, call).wait(execId, limits(call));
    },
  };
  return bindService(Tasks, handlers);
}

function limits({ signal, deadline }: Call): CallOptions {
  return deadline === undefined ? { signal } : { signal, timeoutMs: Math.max(1, deadline - Date.now()) };
}

/** Undefined for what has gone while it was asked. */
async function present<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (TtrpcError.from(error).code === Code.NotFound) return undefined;
    throw error;
  }
}

/** Fills a directory with a checkpoint from the content store. */
function checkpointIn(
  metadata: Metadata,
  namespace: string,
  { mediaType, digest }: Descriptor,
): (dir: string) => Promise<void> {
  if (mediaType !== CHECKPOINT_TYPE)
    throw errdefs.invalidArgument(
      `unsupported checkpoint type ${JSON.stringify(mediaType)}: it must be ${CHECKPOINT_TYPE}`,
    );
  return async (dir) => {
    const blob = await metadata.content.open(namespace, digest ?? '');
    try {
      await untar(blob, dir);
    } finally {
      await blob.close();
    }
  };
}

/** Writes a checkpoint and the container's spec to the content store. */
async function keepCheckpoint(
  { content }: Metadata,
  record: Container,
  dir: string,
  { namespace, lease }: Call,
): Promise<Descriptor[]> {
  const images = await content.put(namespace, dir, tarOf(dir), { lease });
  const spec = await content.put(namespace, join(dir, 'spec'), google.protobuf.Any.encode(record.spec ?? {}).finish(), {
    lease,
  });
  return [
    { mediaType: CHECKPOINT_TYPE, ...images },
    { mediaType: CONFIG_TYPE, ...spec },
  ];
}
