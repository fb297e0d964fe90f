/** hawser wait. */
import type { Globals } from '../address.js';
import { stateOf } from '../container/state.js';
import { CliError } from '../errors.js';
import { forEach } from './each.js';

export async function waitCommand(references: readonly string[], globals: Globals): Promise<void> {
  const { NotFoundError } = await import('../../client/index.js');
  await forEach(references, globals, async (container) => {
    try {
      return String((await container.wait()).exitCode);
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error;
      const state = stateOf({ ...container, record: await container.refresh() }, undefined);
      if (state.exitCode !== undefined) return String(state.exitCode);
      throw new CliError(
        `container ${container.id} has not been started, so that it has no end to wait for: \`hawser start ${container.id}\``,
        1,
        { cause: error },
      );
    }
  });
}
