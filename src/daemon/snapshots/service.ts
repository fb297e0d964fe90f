import { ContainerdServicesSnapshotsV1Snapshots } from '../../api/full.js';
import { bindService, type BoundService } from '../grpc/service.js';
import type { Metadata } from '../metadata/types.js';

/** Records in one message of List. */
const BLOCK = 100;

/** The Snapshots service: each request names its snapshotter. */
export function snapshotsService(metadata: Pick<Metadata, 'snapshotter'>): BoundService {
  return bindService(ContainerdServicesSnapshotsV1Snapshots, {
    Prepare: async ({ snapshotter, key, parent, labels }, { namespace, lease }) => ({
      mounts: await metadata.snapshotter(snapshotter).prepare(namespace, key, parent, labels, lease),
    }),
    View: async ({ snapshotter, key, parent, labels }, { namespace, lease }) => ({
      mounts: await metadata.snapshotter(snapshotter).view(namespace, key, parent, labels, lease),
    }),
    Mounts: async ({ snapshotter, key }, { namespace }) => ({
      mounts: await metadata.snapshotter(snapshotter).mounts(namespace, key),
    }),
    Commit: async ({ snapshotter, name, key, labels }, { namespace, lease }) => {
      await metadata.snapshotter(snapshotter).commit(namespace, name, key, labels, lease);
      return {};
    },
    Remove: async ({ snapshotter, key }, { namespace, lease }) => {
      await metadata.snapshotter(snapshotter).remove(namespace, key, lease);
      return {};
    },
    Stat: ({ snapshotter, key }, { namespace }) => ({ info: metadata.snapshotter(snapshotter).stat(namespace, key) }),
    Update: async ({ snapshotter, info, updateMask }, { namespace }) => ({
      info: await metadata.snapshotter(snapshotter).update(namespace, info ?? {}, updateMask?.paths ?? []),
    }),
    *List({ snapshotter, filters }, { namespace }) {
      const infos = metadata.snapshotter(snapshotter).list(namespace, filters);
      for (let n = 0; n < infos.length; n += BLOCK) yield { info: infos.slice(n, n + BLOCK) };
    },
    Usage: ({ snapshotter, key }, { namespace }) => metadata.snapshotter(snapshotter).usage(namespace, key),
    Cleanup: async ({ snapshotter }) => {
      await metadata.snapshotter(snapshotter).cleanup();
      return {};
    },
  });
}
