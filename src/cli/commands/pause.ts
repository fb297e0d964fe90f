/** hawser pause and unpause. */
import type { Globals } from '../address.js';
import { forEach, naming } from './each.js';

const NOT_RUNNING = 'it does not run';

export async function pauseCommand(references: readonly string[], globals: Globals): Promise<void> {
  await forEach(references, globals, (container) =>
    naming(container.id, 'cannot be paused', { NotFoundError: NOT_RUNNING }, () => container.pause()),
  );
}

export async function unpauseCommand(references: readonly string[], globals: Globals): Promise<void> {
  await forEach(references, globals, (container) =>
    naming(container.id, 'cannot go on', { NotFoundError: NOT_RUNNING }, () => container.resume()),
  );
}
