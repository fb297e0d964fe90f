/** What a container's root file system is made of, where it lies on this machine. */
import { closeSync, constants, existsSync, openSync } from 'node:fs';
import { openApart, valueOf } from '../../oci/temporary-mounts.js';
import { O_PATH } from '../../oci/tree.js';
import { Code } from '../../ttrpc/status.js';
import { FailedPreconditionError } from '../errors.js';
import type { Services } from '../grpc/services.js';
import type { Mount } from '../types/calls.js';
import type { ContainerRecord } from '../types/container.js';

/** A container whose files are asked for, and by what. */
export interface Asking {
  readonly services: Services;
  readonly record: ContainerRecord;
  readonly signal: AbortSignal | undefined;
}

export type Layers = { readonly mounts: readonly Mount[] } | { readonly directory: string };

/** @throws FailedPreconditionError when nobody here knows where they are */
export async function layersOf({ services, record, signal }: Asking): Promise<Layers> {
  const { id, snapshotter, snapshotKey: key, spec } = record;
  if (key !== '') return { mounts: (await services.snapshots.Mounts({ snapshotter, key }, { signal })).mounts };
  const directory = spec.root?.path ?? '';
  if (directory.startsWith('/')) return { directory };
  throw new FailedPreconditionError(
    Code.FailedPrecondition,
    `container ${id}: its root file system was mounted by whoever has started it, who alone knows what it is made of: failed precondition`,
  );
}

/** @returns a descriptor of the root (O_PATH), to be closed by the caller: what it leads to goes with it */
export async function openLayers(record: ContainerRecord, layers: Layers, { writable = false } = {}): Promise<number> {
  if ('directory' in layers) return openDirectory(layers.directory);
  for (const path of layers.mounts.flatMap(({ source = '', options = [] }) => [
    ...(source?.startsWith('/') === true ? [source] : []),
    valueOf(options ?? [], 'upperdir') ?? '',
  ]))
    if (path !== '' && !existsSync(path))
      throw new FailedPreconditionError(
        Code.FailedPrecondition,
        `container ${record.id}: its files are in ${path}, which is not here: they can be reached on the daemon's machine alone, as root: failed precondition`,
      );
  return openApart(layers.mounts, { writable });
}

/** A directory as it is named, to be looked into. */
export function openDirectory(path: string): number {
  return openSync(path, O_PATH | constants.O_DIRECTORY);
}

/** Does something with an open directory, and closes it. */
export async function withDirectory<R>(fd: number, work: (fd: number) => Promise<R>): Promise<R> {
  try {
    return await work(fd);
  } finally {
    closeSync(fd);
  }
}
