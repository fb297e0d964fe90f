/** hawser debug: a shim's state. */
import type { Globals } from '../address.js';
import { CliError, UsageError } from '../errors.js';
import { withSession } from '../session.js';
import { askShim } from '../shim/ask.js';
import { findShim, isHawsers, shimSocket } from '../shim/find.js';

export async function debugCommand(reference: string, topic: string, globals: Globals): Promise<void> {
  if (topic !== 'state' && topic !== 'metrics')
    throw new UsageError(`debug: there is no ${JSON.stringify(topic)}; ask for state or metrics`, 'debug');
  const { id, namespace, address } = await withSession(globals, async (session) => ({
    id: (await session.find(reference)).id,
    namespace: session.namespace,
    address: session.address,
  }));
  const pid = findShim(namespace, id, address);
  if (pid === undefined)
    throw new CliError(`container ${reference} has no shim: it does not run; \`hawser start ${reference}\` starts it`);
  if (!isHawsers(pid))
    throw new CliError(
      `the shim of container ${reference}, process ${pid}, is not Hawser's, and has no state to show: containers that are started with Hawser's shim have one`,
    );
  const socket = shimSocket(pid);
  if (socket === undefined)
    throw new CliError(
      `the shim of container ${reference}, process ${pid}, has no socket that this user can find: run hawser as root`,
    );
  const answer = await askShim(socket, topic);
  process.stdout.write(answer.endsWith('\n') ? answer : `${answer}\n`);
}
