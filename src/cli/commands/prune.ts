/** hawser container prune and system prune. */
import type { Client, Container, ContainerRecord } from '../../client/index.js';
import type { Globals } from '../address.js';
import { remove } from '../container/end.js';
import { CliError, Exit, FAILED, SIGNALLED, UsageError } from '../errors.js';
import { decimalSize } from '../format/size.js';
import { parseMoment } from '../format/time.js';
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
    // A filter is about times and labels of containers, which images here have not.
    const images = flags.filter === undefined ? await client.images.prune({ all }) : { images: [], bytes: 0 };
    print('Deleted Containers', containers.ids);
    print('Deleted Volumes', gone.volumes);
    print('Deleted Images', images.images, containers.bytes + gone.bytes + images.bytes);
  });
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
      const size = await sizeOf(session.client, container);
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

/** Bytes of what a container has written to its own layer. */
export async function sizeOf(
  { services }: Client,
  { record: { snapshotter, snapshotKey } }: Pick<Container, 'record'>,
): Promise<number> {
  if (snapshotKey === '') return 0;
  const { NotFoundError } = await import('../../client/index.js');
  try {
    return Number((await services.snapshots.Usage({ snapshotter, key: snapshotKey })).size ?? 0);
  } catch (error) {
    if (error instanceof NotFoundError) return 0;
    throw error;
  }
}

function accepting(filters: readonly string[] = []): (record: ContainerRecord) => boolean {
  const all = filters.map((text) => {
    const [, name, value = ''] = /^([a-z]+!?)=(.*)$/s.exec(text) ?? [];
    if (name === 'until') {
      const moment = parseMoment(value, '--filter until');
      return ({ createdAt }: ContainerRecord) => createdAt.getTime() < moment;
    }
    if (name !== 'label' && name !== 'label!')
      throw new UsageError(`--filter ${JSON.stringify(text)}: there are until=, label= and label!=`);
    const at = value.indexOf('=');
    const [label, wanted] = at < 0 ? [value, undefined] : [value.slice(0, at), value.slice(at + 1)];
    return ({ labels }: ContainerRecord) => {
      const has = wanted === undefined ? labels[label] !== undefined : labels[label] === wanted;
      return has === (name === 'label');
    };
  });
  return (record) => all.every((accepts) => accepts(record));
}

/** Asks, unless it was said already. */
async function sure(command: string, { force = false }: PruneFlags, what: readonly string[]): Promise<void> {
  if (force) return;
  if (!process.stdin.isTTY)
    throw new CliError(`${command}: standard input is no terminal to ask at: say -f when it is meant`, FAILED);
  const answer = await ask(`This removes all ${what.join('; ')}. Go on? [y/N] `);
  if (!/^y(es)?$/i.test(answer.trim())) throw new Exit(SIGNALLED + 2);
}
