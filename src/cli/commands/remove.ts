/** hawser rm, and what removes a container that was run with --rm after everybody has left it. */
import type { Globals } from '../address.js';
import { remove, type Removal } from '../container/end.js';
import { CliError, NoSuchContainer } from '../errors.js';
import { Session, withSession } from '../session.js';
import type { Container } from '../../client/index.js';
import { forEach } from './each.js';
import { markStopped } from './mark-stopped.js';

export async function removeCommand(
  references: readonly string[],
  { force = false, volumes = false }: Removal,
  globals: Globals,
): Promise<void> {
  await forEach(
    references,
    globals,
    async (container, session) => {
      await removeOne(session, container, { force, volumes });
    },
    (error) => force && error instanceof NoSuchContainer,
  );
}

async function removeOne(session: Session, container: Container, removal: Removal): Promise<void> {
  const { NotFoundError } = await import('../../client/index.js');
  if (removal.force !== true) {
    const status = await container.status().catch((error: unknown) => {
      if (error instanceof NotFoundError) return undefined;
      throw error;
    });
    if (status !== undefined && status.state !== 'stopped')
      throw new CliError(
        `container ${container.id} cannot be removed while it is ${status.state}: stop it first, or use rm -f`,
      );
    if (status !== undefined) await container.deleteTask();
  }
  // Else the daemon might start it between its end and its removal.
  await markStopped(container).catch((error: unknown) => {
    if (!(error instanceof NotFoundError)) throw error;
  });
  await remove(session, container, removal);
}

/** Once its process has ended. It may have been started again, or be gone. */
export async function reapCommand(id: string, globals: Globals): Promise<void> {
  await withSession(globals, async (session) => {
    const { NotFoundError } = await import('../../client/index.js');
    const unlessGone = (error: unknown): void => {
      if (!(error instanceof NotFoundError)) throw error;
    };
    try {
      const container = await session.client.load(id);
      // Who was to remove it may have been ended in between: its task is gone then, and the rest is not.
      await container.wait().catch(unlessGone);
      await removeOne(session, container, { volumes: true });
    } catch (error) {
      unlessGone(error);
    }
  });
}
