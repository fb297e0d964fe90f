/** Shims that sleep: made so that they do soon, and waited for. */
import assert from 'node:assert/strict';
import { stateOf } from './debug.js';
import { processInfo } from './machine.js';
import { eventually, within } from './eventually.js';
import type { FifoWriter } from './fifo-client.js';
import { both } from './logs.js';
import { hawserOnly, STATUS, type ActionOptions, type Lab, type Shim, type Task, type TaskOptions } from './shim.js';
import { sh } from './spec.js';

/** For tests of what only Hawser does. */
export const only = { skip: hawserOnly } as const;
/** Soon, and with a zygote for who wakes. */
export const env = { HAWSER_SLEEP: '0.3', HAWSER_ZYGOTE: '600' };

/** A container that runs, in a shim that sleeps soon. */
export async function running(
  lab: Lab,
  id: string,
  args: readonly string[],
  options: TaskOptions = {},
  action: ActionOptions = {},
): Promise<Task> {
  lab.bundle(id, args, options.edit);
  const shim = await lab.shim(id, { env, ...action });
  const task = await shim.create(id, options);
  await task.start();
  return task;
}

/** One with a terminal of 90 columns and 33 rows, that says what it is told by its input, and its size. */
export async function runningInTerminal(
  lab: Lab,
  action: ActionOptions = {},
): Promise<{ task: Task; input: FifoWriter }> {
  const options: TaskOptions = {
    terminal: true,
    stdin: true,
    edit: (spec) => {
      spec.process.terminal = true;
    },
  };
  const task = await running(lab, 'c', sh('while read line; do echo "got $line"; stty size; done'), options, action);
  await task.shim.task.ResizePty({ id: 'c', width: 90, height: 33 });
  return { task, input: await task.stdio.input() };
}

/** No process but the monitor is left of it. */
export const asleep = (shim: Shim): Promise<unknown> =>
  eventually('the shim sleeps', () => shim.awake === undefined && processInfo(shim.pid) !== undefined);

/** Asks what no sleeping shim answers by itself. */
export const wake = (task: Task): Promise<unknown> => task.shim.task.Pids({ id: task.id });

/** Has a shim sleep and wake so many times, and its container end by SIGTERM while it sleeps; then deletes that. */
export async function endAfterSleeping(task: Task, times: number): Promise<void> {
  for (let time = 0; time < times; time++) {
    await asleep(task.shim);
    await wake(task);
  }
  await asleep(task.shim);
  await task.kill(15);
  await within('the exit', task.wait());
  const { sleep } = await stateOf(task.shim);
  assert.ok(sleep.times > times, `it has slept ${sleep.times} times`);
  await task.delete();
}

/** Does what it is told by its input. */
export const OBEDIENT = sh('while read -r line; do eval "$line"; done');

/** A container that does so, and whose output goes there. */
export async function obedient(
  lab: Lab,
  uri: string,
  options: TaskOptions = {},
): Promise<{ task: Task; input: FifoWriter }> {
  const task = await running(lab, 'c', OBEDIENT, { stdin: true, ...both(uri), ...options });
  return { task, input: await task.stdio.input() };
}

/** It has ended, and the shim says so. */
export const over = (task: Task): Promise<unknown> =>
  eventually('the container is over', async () => (await task.state()).status === STATUS.STOPPED);

/** Kills the worker, whatever it does at that moment, and sees that the monitor knows of it. */
export async function killWorker(task: Task): Promise<void> {
  const before = (await stateOf(task.shim)).deaths.times ?? 0;
  await eventually('it has been killed', async () => {
    await wake(task);
    const { awake } = task.shim;
    if (awake !== undefined) process.kill(awake, 'SIGKILL');
    return ((await stateOf(task.shim)).deaths.times ?? 0) > before;
  });
}

/** The container, and its shim, and all that there was of them. */
export async function end(lab: Lab, task: Task): Promise<void> {
  if ((await task.state()).status === STATUS.STOPPED) await task.delete();
  else await task.remove();
  await task.shim.shutdown();
  await nothingLeft(lab);
}

/** The zygote may have begun another rehearsal. */
export async function nothingLeft(lab: Lab): Promise<void> {
  const left = (): unknown[] => Object.values(lab.snapshot() as unknown as Record<string, unknown[]>).flat();
  await eventually(`nothing is left: ${left().join(', ')}`, () => left().length === 0);
}
