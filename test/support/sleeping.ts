/** Shims that sleep: made so that they do soon, and waited for. */
import { processInfo } from './machine.js';
import { eventually } from './eventually.js';
import { hawserOnly, STATUS, type ActionOptions, type Lab, type Shim, type Task, type TaskOptions } from './shim.js';

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

/** No process but the monitor is left of it. */
export const asleep = (shim: Shim): Promise<unknown> =>
  eventually('the shim sleeps', () => shim.awake === undefined && processInfo(shim.pid) !== undefined);

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
