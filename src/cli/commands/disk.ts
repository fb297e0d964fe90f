/** hawser system df. */
import type { Globals } from '../address.js';
import { ownSize } from '../container/size.js';
import { list } from '../format/output.js';
import { decimalSize } from '../format/size.js';
import { imageSize } from '../image-size.js';
import { withSession } from '../session.js';

/** What takes room, and whether something needs it. */
interface Item {
  readonly bytes: number;
  readonly active: boolean;
}

export async function diskCommand(
  { format, verbose = false }: { format?: string; verbose?: boolean },
  globals: Globals,
): Promise<void> {
  if (verbose) {
    const { wholeDisk } = await import('./disk-verbose.js');
    process.stdout.write(await withSession(globals, (session) => wholeDisk(session, format)));
    return;
  }
  const records = await withSession(globals, async ({ client }) => {
    const [images, containers, tasks, volumes, users] = await Promise.all([
      client.images.list(),
      client.containers(),
      client.tasks(),
      client.volumes.list(),
      client.volumes.users(),
    ]);
    const running = new Set(tasks.filter(({ state }) => state !== 'stopped').map(({ containerId }) => containerId));
    const used = new Set(containers.map(({ record }) => record.image));
    // Names of one image share all that it has.
    const byDigest = new Map(images.map((image) => [image.target.digest, image]));
    const active = new Set(images.filter(({ name }) => used.has(name)).map(({ target }) => target.digest));
    return [
      row(
        'Images',
        await Promise.all(
          [...byDigest.values()].map(async (image) => ({
            bytes: await imageSize(client, image),
            active: active.has(image.target.digest),
          })),
        ),
      ),
      row(
        'Containers',
        await Promise.all(
          containers.map(async (container) => ({
            bytes: await ownSize(client, container.record),
            active: running.has(container.id),
          })),
        ),
      ),
      row(
        'Local Volumes',
        await Promise.all(
          volumes.map(async ({ name }) => ({ bytes: await client.volumes.size(name), active: users.has(name) })),
        ),
      ),
    ];
  });
  const columns = {
    TYPE: 'Type',
    TOTAL: 'TotalCount',
    ACTIVE: 'Active',
    SIZE: 'Size',
    RECLAIMABLE: 'Reclaimable',
  };
  process.stdout.write(list(records, columns, { format, idKey: 'Type' }));
}

function row(type: string, items: readonly Item[]): Record<string, string> {
  const sum = (some: readonly Item[]): number => some.reduce((total, { bytes }) => total + bytes, 0);
  const [all, free] = [sum(items), sum(items.filter(({ active }) => !active))];
  return {
    Type: type,
    TotalCount: String(items.length),
    Active: String(items.filter(({ active }) => active).length),
    Size: decimalSize(all),
    Reclaimable: `${decimalSize(free)}${all === 0 ? '' : ` (${Math.round((100 * free) / all)}%)`}`,
  };
}
