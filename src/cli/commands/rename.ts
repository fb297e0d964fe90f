/** hawser rename: another name for a container, beside its id, which stays. */
import { NAME } from '../../client/nerdctl.js';
import type { Globals } from '../address.js';
import { CliError } from '../errors.js';
import { checkName } from '../options/container.js';
import { nameOf, shortId, withSession } from '../session.js';

export async function renameCommand(reference: string, name: string, globals: Globals): Promise<void> {
  checkName(name);
  await withSession(globals, async (session) => {
    const container = await session.find(reference);
    const other = (await session.client.containers()).find(
      ({ id, record }) => id !== container.id && (id === name || nameOf(record.labels) === name),
    );
    if (other !== undefined)
      throw new CliError(`container ${reference} cannot be called ${name}: container ${shortId(other.id)} is already`);
    await container.setLabels({ [NAME]: name });
  });
}
