/** What a container's files were before it changed them: the snapshot that its own was made on. */
import { randomBytes } from 'node:crypto';
import { Code } from '../../ttrpc/status.js';
import { quietly } from '../abort.js';
import { FailedPreconditionError } from '../errors.js';
import type { Scope } from '../image/content.js';
import { leased } from '../image/lease.js';
import type { Mount } from '../types/calls.js';
import type { Asking } from './layers.js';

export interface Sides {
  /** Name of the snapshot that is the image's; empty for a root file system that began empty. */
  readonly parent: string;
  readonly before: readonly Mount[];
  readonly after: readonly Mount[];
}

/**
 * The view of the snapshot that is needed for that is removed afterwards; a lease takes it away when this process is killed, within a day.
 *
 * @throws FailedPreconditionError when the container has no snapshot
 */
export async function withSides<R>(
  { services, record, signal }: Asking,
  work: (sides: Sides, scope: Scope) => Promise<R>,
): Promise<R> {
  const { id, snapshotter, snapshotKey: key } = record;
  if (key === '')
    throw new FailedPreconditionError(
      Code.FailedPrecondition,
      `container ${id} was made of a directory and not of an image, so nobody knows what it has changed: failed precondition`,
    );
  return leased(services, signal, async (scope) => {
    const { lease } = scope;
    const parent = (await services.snapshots.Stat({ snapshotter, key }, { signal })).info?.parent ?? '';
    const after = (await services.snapshots.Mounts({ snapshotter, key }, { signal })).mounts;
    if (parent === '') return work({ parent, before: [], after }, scope);
    const view = `${id}-before-${randomBytes(6).toString('hex')}`;
    try {
      const { mounts: before } = await services.snapshots.View({ snapshotter, key: view, parent }, { signal, lease });
      return await work({ parent, before, after }, scope);
    } finally {
      await quietly(services.snapshots.Remove({ snapshotter, key: view }));
    }
  });
}
