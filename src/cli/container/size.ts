/** What containers take on the disk, by what their snapshots use. */
import type { Client, ContainerRecord } from '../../client/index.js';

/** In bytes, as docker's `SizeRw` and `SizeRootFs`. */
export interface ContainerSize {
  /** What it has written to its own layer. */
  readonly own: number;
  /** That, and all layers below. 0 where it has none: its root file system is a directory. */
  readonly all: number;
}

/** Asks each snapshot once, however many containers have it below them. */
export class Sizes {
  readonly #layers = new Map<string, Promise<ContainerSize>>();

  constructor(private readonly client: Client) {}

  async of({ snapshotter, snapshotKey }: Pick<ContainerRecord, 'snapshotter' | 'snapshotKey'>): Promise<ContainerSize> {
    if (snapshotKey === '') return { own: 0, all: 0 };
    const name = `${snapshotter} ${snapshotKey}`;
    const found = this.#layers.get(name) ?? this.#look(snapshotter, snapshotKey);
    this.#layers.set(name, found);
    return found;
  }

  async #look(snapshotter: string, key: string): Promise<ContainerSize> {
    const { NotFoundError } = await import('../../client/index.js');
    const { snapshots } = this.client.services;
    try {
      const [{ info }, own] = await Promise.all([
        snapshots.Stat({ snapshotter, key }),
        sizeOf(this.client, snapshotter, key),
      ]);
      const below = await this.of({ snapshotter, snapshotKey: info?.parent ?? '' });
      return { own, all: own + below.all };
    } catch (error) {
      // It was removed meanwhile.
      if (error instanceof NotFoundError) return { own: 0, all: 0 };
      throw error;
    }
  }
}

/** Bytes of what a container has written to its own layer. */
export async function ownSize(
  client: Client,
  { snapshotter, snapshotKey }: Pick<ContainerRecord, 'snapshotter' | 'snapshotKey'>,
): Promise<number> {
  if (snapshotKey === '') return 0;
  const { NotFoundError } = await import('../../client/index.js');
  try {
    return await sizeOf(client, snapshotter, snapshotKey);
  } catch (error) {
    if (error instanceof NotFoundError) return 0;
    throw error;
  }
}

async function sizeOf({ services }: Client, snapshotter: string, key: string): Promise<number> {
  return Number((await services.snapshots.Usage({ snapshotter, key })).size ?? 0);
}
