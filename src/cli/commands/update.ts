/** hawser update: other limits for containers that run. */
import type { Container } from '../../client/index.js';
import type { Globals } from '../address.js';
import { UsageError } from '../errors.js';
import { resourcesOf, type LimitFlags } from '../options/limits.js';
import { changedRestart } from '../options/restart.js';
import { forEach, naming } from './each.js';

export interface UpdateFlags extends LimitFlags {
  readonly restart?: string;
}

async function isRunning(container: Container): Promise<boolean> {
  const { NotFoundError } = await import('../../client/index.js');
  try {
    return (await container.status()).state !== 'stopped';
  } catch (error) {
    if (error instanceof NotFoundError) return false;
    throw error;
  }
}

export async function updateCommand(
  references: readonly string[],
  flags: UpdateFlags,
  globals: Globals,
): Promise<void> {
  const resources = resourcesOf(flags);
  const limited = Object.keys(resources).length > 0;
  if (flags.restart !== undefined) changedRestart(flags.restart, false);
  else if (!limited) throw new UsageError('update: there is nothing to change: give a limit such as --memory 512m');
  await forEach(references, globals, (container) =>
    naming(container.id, 'cannot be changed', { NotFoundError: 'it does not run' }, async () => {
      if (limited) await container.updateResources(resources);
      if (flags.restart !== undefined)
        await container.setLabels(changedRestart(flags.restart, await isRunning(container)));
    }),
  );
}
