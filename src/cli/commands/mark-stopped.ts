/** Writes down that a user ends a container, so that the daemon does not start it again. */
import type { Container } from '../../client/index.js';
import { stoppedLabels } from '../options/restart.js';

export async function markStopped(container: Container): Promise<void> {
  const labels = stoppedLabels(container.record.labels);
  if (Object.keys(labels).length > 0) await container.setLabels(labels);
}
