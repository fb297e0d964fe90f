/** Containers whose output goes into one sink, such as a log. */
import { within } from './eventually.js';
import type { Lab, Task, TaskOptions } from './shim.js';
import { sh } from './spec.js';

/** Both outputs into one sink. */
export const both = (uri: string): Pick<TaskOptions, 'stdout' | 'stderr'> => ({ stdout: uri, stderr: uri });

/**
 * Has a container print a lot to both of its outputs, and an exec in it to its own, all at once and into one sink; and deletes it.
 *
 * @param lot the script for who is called so
 */
export async function printAtOnce(lab: Lab, uri: string, lot: (name: 'out' | 'err' | 'exe') => string): Promise<Task> {
  const script = `{ ${lot('out')}; } & { ${lot('err')}; } >&2; wait; read stop`;
  const task = await lab.task('c', sh(script), { stdin: true, ...both(uri) });
  await task.start();
  await task.exec('e', sh(lot('exe')), both(uri));
  await task.start('e');
  await within('the exec', task.wait('e'), 50_000);
  await task.delete('e');
  const client = await task.stdio.input();
  await client.write('stop\n');
  await within('the exit', task.wait(), 50_000);
  await task.delete();
  return task;
}
