/** Checkpoints in the tests of the shim: with a real criu, of containers that count. */
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { containerd, pack } from '../../src/api/index.js';
import { eventually } from './eventually.js';
import type { FifoReader } from './fifo-client.js';
import type { Lab, Task, TaskOptions } from './shim.js';
import { sh } from './spec.js';

export type CheckpointOptions = containerd.runc.v1.CheckpointOptions.$Properties;

/** Counts until told to end, then ends with 7. That it counts on shows that its memory is what it was. */
export const counting = sh('trap "exit 7" TERM; i=0; while :; do i=$((i+1)); echo count $i; sleep 0.1; done');

/** The last number that was counted. */
export function lastCount(text: string): number {
  return Number([...text.matchAll(/count (\d+)\r?\n/g)].at(-1)?.[1] ?? 0);
}

export function firstCount(text: string): number {
  return Number(/count (\d+)\r?\n/.exec(text)?.[1] ?? 0);
}

/** The reader has seen it count past a number. */
export function countsPast(out: FifoReader, number: number): Promise<unknown> {
  return eventually(
    `a count beyond ${number} in ${JSON.stringify(out.text.slice(-100))}`,
    () => lastCount(out.text) > number,
  );
}

/** A container whose bundle has the directory for criu that the daemon makes. */
export async function taskWithWork(
  lab: Lab,
  id: string,
  args: readonly string[] = counting,
  options: TaskOptions = {},
): Promise<Task> {
  lab.bundle(id, args, options.edit);
  mkdirSync(join(lab.bundlePath(id), 'work'), { recursive: true });
  return (await lab.shim(id)).create(id, options);
}

/** Takes a checkpoint; resolves to the directory of its images. No options at all unless given. */
export async function checkpoint(task: Task, options?: CheckpointOptions, name = `${task.id}-images`): Promise<string> {
  const path = join(task.lab.dir, name);
  await task.shim.task.Checkpoint({ id: task.id, path, ...(options ? { options: checkpointOptions(options) } : {}) });
  return path;
}

export function checkpointOptions(options: CheckpointOptions): ReturnType<typeof pack> {
  return pack('containerd.runc.v1.CheckpointOptions', containerd.runc.v1.CheckpointOptions, options);
}

/** A container that is to be started from a checkpoint. */
export function restored(lab: Lab, id: string, path: string, options: TaskOptions = {}): Promise<Task> {
  return taskWithWork(lab, id, counting, { ...options, request: { checkpoint: path, ...options.request } });
}

/** Files of a directory, or none. */
export function filesIn(dir: string): string[] {
  return readdirSync(dir).sort();
}
