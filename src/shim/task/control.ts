/** Freezing, limits and checkpoints. Each is one of the init's operations, which come one after the other. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { unknown } from '../../api/errdefs.js';
import type { CheckpointOptions } from '../../runc/index.js';
import { check, move } from '../record/states.js';
import { runtimeFailure } from '../runtime/errors.js';
import type { Parts } from './parts.js';

/** Freezes the container. */
export async function pause({ record, runtime, events }: Pick<Parts, 'record' | 'runtime' | 'events'>): Promise<void> {
  move(record, 'pause');
  try {
    await runtime.live.pause(record.id);
  } catch (error) {
    move(record, 'pause failed');
    throw runtimeFailure('OCI runtime pause failed', error);
  }
  move(record, 'paused');
  events.paused();
}

/** Lets a frozen container go on. */
export async function resume({ record, runtime, events }: Pick<Parts, 'record' | 'runtime' | 'events'>): Promise<void> {
  check(record, 'resume');
  try {
    await runtime.live.resume(record.id);
  } catch (error) {
    throw runtimeFailure('OCI runtime resume failed', error);
  }
  // It may have ended meanwhile.
  move(record, 'resume');
  events.resumed();
}

/** Changes limits; see {@link RuntimePort.update}. */
export async function update(
  { record, runtime }: Pick<Parts, 'record' | 'runtime'>,
  resources: Uint8Array,
): Promise<void> {
  check(record, 'update');
  try {
    await runtime.live.update(record.id, resources);
  } catch (error) {
    throw unknown((error as Error).message, error);
  }
}

/** A checkpoint as a client asks for it; criu works in the bundle unless it says where. */
export type CheckpointRequest = Omit<CheckpointOptions, 'workPath'> & { workPath: string | undefined };

/** Writes the images of the container. */
export async function checkpoint(
  parts: Pick<Parts, 'record' | 'runtime' | 'bundle' | 'shim'>,
  options: CheckpointRequest,
): Promise<void> {
  const { record, bundle } = parts;
  check(record, 'checkpoint');
  const ownWork = join(bundle.work, 'criu-work');
  const workPath = options.workPath || ownWork;
  // What the container's end leaves to do is little, but it must be done: without it there is no checkpoint.
  const runtime = parts.runtime.finisher();
  try {
    await runtime.checkpoint(record.id, { ...options, workPath });
  } catch (error) {
    throw checkpointFailure(parts, error, workPath);
  } finally {
    if (workPath === ownWork) rmSync(ownWork, { recursive: true, force: true });
  }
}

/** criu's own log says why; it is kept in the bundle, as its work directory is removed. */
function checkpointFailure(
  { record, bundle, shim }: Pick<Parts, 'record' | 'bundle' | 'shim'>,
  error: unknown,
  workPath: string,
): Error {
  const kept = join(record.bundle, 'criu-dump.log');
  try {
    bundle.keepFile(join(workPath, 'dump.log'), kept);
  } catch (second) {
    shim.log.warn('keeping the log of a failed checkpoint failed', { id: record.id, error: second });
  }
  const [first = ''] = (error as Error).message.split('\n');
  return unknown(`${first} path= ${kept}`, error);
}
