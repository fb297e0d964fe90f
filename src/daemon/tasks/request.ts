/** What a task is asked for with, and how its shim is asked. */
import { errdefs, type containerd, type google } from '../../api/full.js';
import type { CallOptions } from '../../ttrpc/index.js';
import type { Runtime } from '../runtime/types.js';
import type { Bootstrap } from '../shims/answer.js';
import type { TaskBundle } from './bundle.js';
import { prefixed } from './failure.js';
import { isClosed, type Task, type TaskIo } from './task.js';

type Any = google.protobuf.Any.$Properties;
type Mount = containerd.types.Mount.$Properties;

/** What a task is made of. */
export interface TaskRequest {
  readonly namespace: string;
  readonly id: string;
  /** `config.json`, byte for byte. */
  readonly spec: Uint8Array;
  readonly runtime: Runtime;
  /** The runtime's. */
  readonly options?: Any | undefined;
  readonly rootfs: readonly Mount[];
  readonly io: TaskIo;
  /** The sandbox that it is in, and where the shim of that listens; without one it gets a shim by its runtime. */
  readonly sandbox?: { readonly id: string; readonly bootstrap: Bootstrap } | undefined;
  /** A directory to restore from, or what fills the one that it is given, which goes with the task. */
  readonly checkpoint?: string | ((dir: string) => Promise<void>) | undefined;
}

/** The directory to restore from, filled if need be; empty for none. */
export async function restoreFrom({ checkpoint = '' }: TaskRequest, bundle: TaskBundle): Promise<string> {
  if (typeof checkpoint === 'string') return checkpoint;
  const dir = `${bundle.work}/restore`;
  await checkpoint(dir);
  return dir;
}

/** Has the shim create the container. */
export async function createIn(
  task: Task,
  { rootfs, io, checkpoint, options }: TaskRequest & { checkpoint: string },
  call: CallOptions,
): Promise<{ pid: number }> {
  try {
    return await task.connection.task.Create(
      { id: task.id, bundle: task.bundle.path, rootfs: [...rootfs], ...io, checkpoint, options: options ?? null },
      call,
    );
  } catch (error) {
    throw prefixed(
      'failed to create shim task',
      isClosed(error) ? errdefs.unknown(`the shim ${task.binary} died while creating it: ttrpc: closed`, error) : error,
    );
  }
}
