/** hawser update: other limits for containers that run. */
import type { Globals } from '../address.js';
import { UsageError } from '../errors.js';
import { resourcesOf, type LimitFlags } from '../options/limits.js';
import { forEach, naming } from './each.js';

export async function updateCommand(references: readonly string[], flags: LimitFlags, globals: Globals): Promise<void> {
  const resources = resourcesOf(flags);
  if (Object.keys(resources).length === 0)
    throw new UsageError('update: there is nothing to change: give a limit such as --memory 512m');
  await forEach(references, globals, (container) =>
    naming(container.id, 'cannot be changed', { NotFoundError: 'it does not run' }, () =>
      container.updateResources(resources),
    ),
  );
}
