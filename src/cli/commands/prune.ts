/** hawser container prune and system prune. */
import type { Container, ContainerRecord, Image } from '../../client/index.js';
import type { Globals } from '../address.js';
import { remove } from '../container/end.js';
import { ownSize } from '../container/size.js';
import { CliError, Exit, FAILED, SIGNALLED } from '../errors.js';
import { decimalSize } from '../format/size.js';
import { accepting } from '../options/prune-filter.js';
import { shortId, withSession, type Session } from '../session.js';
import { ask } from '../terminal/ask.js';

export interface PruneFlags {
  readonly all?: boolean;
  readonly volumes?: boolean;
  readonly force?: boolean;
  readonly filter?: string[];
}

export async function pruneContainersCommand(flags: PruneFlags, globals: Globals): Promise<void> {
  const where = accepting(flags.filter);
  await sure('container prune', flags, ['containers that do not run']);
  await withSession(globals, async (session) => {
    const { ids, bytes } = await pruneContainers(session, where);
    print('Deleted Containers', ids, bytes);
  });
}

export async function pruneSystemCommand(flags: PruneFlags, globals: Globals): Promise<void> {
  const { all = false, volumes = false } = flags;
  const where = accepting(flags.filter);
  await sure('system prune', flags, [
    'containers that do not run',
    all ? 'images that no container was made from' : 'images without a tag that no container was made from',
    ...(volumes ? ['anonymous volumes that no container has'] : []),
  ]);
  await withSession(globals, async (session) => {
    const { client } = session;
    const containers = await pruneContainers(session, where);
    const gone = volumes ? await client.volumes.prune() : { volumes: [], bytes: 0 };
    const images = await client.images.prune({ all, filter: imageFilter(session, flags.filter) });
    print('Deleted Containers', containers.ids);
    print('Deleted Volumes', gone.volumes);
    print('Deleted Images', images.images, containers.bytes + gone.bytes + images.bytes);
  });
}

/** Images are as old as they say, and have the labels of their configuration. Undefined without a filter. */
export function imageFilter(
  { client }: Session,
  filters: readonly string[] | undefined,
): ((image: Image) => Promise<boolean>) | undefined {
  if (filters === undefined) return undefined;
  const accepts = accepting(filters);
  return async (image) => {
    const { NotFoundError } = await import('../../client/index.js');
    try {
      const { created, config } = await client.images.inspect(image);
      return accepts({ createdAt: created ?? image.createdAt, labels: config.Labels ?? {} });
    } catch (error) {
      // Of what is not all there nobody knows.
      if (error instanceof NotFoundError) return false;
      throw error;
    }
  };
}

function print(heading: string, names: readonly string[], bytes?: number): void {
  if (names.length > 0) process.stdout.write(`${heading}:\n${names.join('\n')}\n\n`);
  if (bytes !== undefined) process.stdout.write(`Total reclaimed space: ${decimalSize(bytes)}\n`);
}

async function pruneContainers(
  session: Session,
  where: (record: ContainerRecord) => boolean,
): Promise<{ ids: string[]; bytes: number }> {
  const { FailedPreconditionError } = await import('../../client/index.js');
  const ids: string[] = [];
  let bytes = 0;
  const running = new Set(
    (await session.client.tasks()).filter(({ state }) => state !== 'stopped').map(({ containerId }) => containerId),
  );
  for (const container of await session.client.containers()) {
    if (running.has(container.id) || !where(container.record)) continue;
    try {
      const size = await ownSize(session.client, container.record);
      await discardTask(container);
      await remove(session, container);
      ids.push(shortId(container.id));
      bytes += size;
    } catch (error) {
      // It was started meanwhile.
      if (!(error instanceof FailedPreconditionError)) throw error;
    }
  }
  return { ids, bytes };
}

async function discardTask(container: Container): Promise<void> {
  const { NotFoundError } = await import('../../client/index.js');
  await container.deleteTask().catch((error: unknown) => {
    if (!(error instanceof NotFoundError)) throw error;
  });
}

/** Asks, unless it was said already. */
async function sure(command: string, { force = false }: PruneFlags, what: readonly string[]): Promise<void> {
  if (force) return;
  if (!process.stdin.isTTY)
    throw new CliError(`${command}: standard input is no terminal to ask at: say -f when it is meant`, FAILED);
  const answer = await ask(`This removes all ${what.join('; ')}. Go on? [y/N] `);
  if (!/^y(es)?$/i.test(answer.trim())) throw new Exit(SIGNALLED + 2);
}
