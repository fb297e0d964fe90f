import { ContainerdServicesSnapshotsV1Snapshots } from '../../api/full.js';
import { bindService, type BoundService } from '../grpc/service.js';
import type { Snapshotters } from './types.js';

/** Records in one message of List. */
const BLOCK = 100;

/** The Snapshots service: each request names its snapshotter. */
export function snapshotsService(all: Snapshotters): BoundService {
  return bindService(ContainerdServicesSnapshotsV1Snapshots, {
    Prepare: async ({ snapshotter, key, parent, labels }, { namespace, lease }) => ({
      mounts: await all.snapshotter(snapshotter).prepare(namespace, key, parent, labels, lease),
    }),
    View: async ({ snapshotter, key, parent, labels }, { namespace, lease }) => ({
      mounts: await all.snapshotter(snapshotter).view(namespace, key, parent, labels, lease),
    }),
    Mounts: async ({ snapshotter, key }, { namespace }) => ({
      mounts: await all.snapshotter(snapshotter).mounts(namespace, key),
    }),
    Commit: async ({ snapshotter, name, key, labels }, { namespace, lease }) => {
      await all.snapshotter(snapshotter).commit(namespace, name, key, labels, lease);
      return {};
    },
    Remove: async ({ snapshotter, key }, { namespace, lease }) => {
      await all.snapshotter(snapshotter).remove(namespace, key, lease);
      return {};
    },
    Stat: ({ snapshotter, key }, { namespace }) => ({ info: all.snapshotter(snapshotter).stat(namespace, key) }),
    Update: async ({ snapshotter, info, updateMask }, { namespace }) => ({
      info: await all.snapshotter(snapshotter).update(namespace, info ?? {}, updateMask?.paths ?? []),
    }),
    *List({ snapshotter, filters }, { namespace }) {
      const infos = all.snapshotter(snapshotter).list(namespace, filters);
      for (let n = 0; n < infos.length; n += BLOCK) yield { info: infos.slice(n, n + BLOCK) };
    },
    Usage: ({ snapshotter, key }, { namespace }) => all.snapshotter(snapshotter).usage(namespace, key),
    Cleanup: async ({ snapshotter }) => {
      await all.snapshotter(snapshotter).cleanup();
      return {};
    },
  });
}
