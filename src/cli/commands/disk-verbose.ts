/** hawser system df -v: each image, container and volume, and what it takes. */
import type { Image } from '../../client/index.js';
import { Sizes } from '../container/size.js';
import { rowsOf } from '../container/state.js';
import { list, one } from '../format/output.js';
import { decimalSize } from '../format/size.js';
import { imageParts } from '../image-size.js';
import { nameOf, type Session } from '../session.js';
import { describeImageRow } from './images.js';
import { describeRow } from './ps.js';

type Rows = Record<string, unknown>[];

const IMAGES = {
  REPOSITORY: 'Repository',
  TAG: 'Tag',
  'IMAGE ID': 'ID',
  CREATED: 'CreatedSince',
  SIZE: 'Size',
  'SHARED SIZE': 'SharedSize',
  'UNIQUE SIZE': 'UniqueSize',
  CONTAINERS: 'Containers',
};
const CONTAINERS = {
  'CONTAINER ID': 'ID',
  IMAGE: 'Image',
  COMMAND: 'Command',
  'LOCAL VOLUMES': 'LocalVolumes',
  SIZE: 'Size',
  CREATED: 'RunningFor',
  STATUS: 'Status',
  NAMES: 'Names',
};
const VOLUMES = { 'VOLUME NAME': 'Name', LINKS: 'Links', SIZE: 'Size' };

/** Three tables as docker prints them, or one object. */
export async function wholeDisk(session: Session, format: string | undefined): Promise<string> {
  const [images, containers, volumes] = await Promise.all([
    imagesOf(session),
    containersOf(session),
    volumesOf(session),
  ]);
  if (format !== undefined && format !== 'table')
    return one({ Images: images, Containers: containers, Volumes: volumes }, format);
  const section = (title: string, rows: Rows, columns: Record<string, string>): string =>
    `${title} space usage:\n\n${list(rows, columns, { idKey: 'ID' })}`;
  return [
    section('Images', images, IMAGES),
    section('Containers', containers, CONTAINERS),
    section('Local Volumes', volumes, VOLUMES),
  ].join('\n');
}

/** Names of one image share all that it has: it is one of them that is its own. */
async function imagesOf({ client }: Session): Promise<Rows> {
  const [images, containers] = await Promise.all([client.images.list(), client.containers()]);
  const parts = new Map<string, ReadonlyMap<string, number>>();
  for (const image of images)
    if (!parts.has(image.target.digest)) parts.set(image.target.digest, await imageParts(client, image));
  const having = new Map<string, number>();
  for (const digest of [...parts.values()].flatMap((one) => [...one.keys()]))
    having.set(digest, (having.get(digest) ?? 0) + 1);
  return images.map((image: Image) => {
    const own = [...parts.get(image.target.digest)!];
    const sum = (some: typeof own): number => some.reduce((total, [, size]) => total + size, 0);
    const shared = sum(own.filter(([digest]) => having.get(digest)! > 1));
    return {
      ...describeImageRow(image, sum(own), true),
      SharedSize: decimalSize(shared),
      UniqueSize: decimalSize(sum(own) - shared),
      Containers: String(containers.filter(({ record }) => record.image === image.name).length),
    };
  });
}

async function containersOf({ client }: Session): Promise<Rows> {
  const [rows, users] = await Promise.all([rowsOf(client), client.volumes.users()]);
  const sizes = new Sizes(client);
  const now = Date.now();
  return Promise.all(
    rows.map(async (row) => {
      const { container } = row;
      const { own } = await sizes.of(container.record);
      const name = nameOf(container.record.labels) ?? container.id;
      return {
        // What is below it is counted with its image.
        ...describeRow(row, client.networks.of(container.id, container.record.labels), {
          size: { own, all: 0 },
          cut: true,
          now,
        }),
        LocalVolumes: String([...users.values()].filter((names) => names.includes(name)).length),
      };
    }),
  );
}

async function volumesOf({ client }: Session): Promise<Rows> {
  const [volumes, users] = await Promise.all([client.volumes.list(), client.volumes.users()]);
  return Promise.all(
    volumes.map(async ({ name }) => ({
      Name: name,
      Links: String(users.get(name)?.length ?? 0),
      Size: decimalSize(await client.volumes.size(name)),
    })),
  );
}
