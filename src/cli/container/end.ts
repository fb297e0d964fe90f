/** What is done when a container's run is over. */
import type { Container, Exit } from '../../client/index.js';
import { lastRun, runLabel } from '../labels.js';
import { removeContainerDirectory } from '../store.js';
import type { Session } from '../session.js';

/** Takes the ended task away and keeps how it ended with the container. */
export async function settle(container: Container): Promise<Exit> {
  const exit = await container.deleteTask();
  const { startedAt } = lastRun(container.record.labels);
  await container.setLabels(
    runLabel({
      ...(startedAt === undefined ? {} : { startedAt }),
      exitCode: exit.exitCode,
      exitedAt: exit.exitedAt.toISOString(),
    }),
  );
  return exit;
}

/** How a container is removed. */
export interface Removal {
  /** Even when it runs. */
  readonly force?: boolean;
  /** With its anonymous volumes. */
  readonly volumes?: boolean;
}

/** Removes a container, its files, and its task. It is no error when it is gone. */
export async function remove(
  session: Session,
  container: Container,
  { force = false, volumes = false }: Removal = {},
): Promise<void> {
  const { NotFoundError } = await import('../../client/index.js');
  await container.delete({ kill: force, volumes }).catch((error: unknown) => {
    if (!(error instanceof NotFoundError)) throw error;
  });
  removeContainerDirectory(session.address, session.namespace, container.id);
}
