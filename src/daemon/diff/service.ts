import { ContainerdServicesDiffV1Diff } from '../../api/full.js';
import { bindService, type BoundService } from '../grpc/service.js';
import type { Differ } from './types.js';

/** The Diff service. */
export function diffService(differ: Differ): BoundService {
  return bindService(ContainerdServicesDiffV1Diff, {
    Apply: async ({ diff, mounts, syncFs }, { namespace }) => ({
      applied: await differ.apply(namespace, diff ?? {}, mounts, { sync: syncFs }),
    }),
    Diff: async ({ left, right, mediaType, ref, labels, sourceDateEpoch }, { namespace, lease }) => ({
      diff: await differ.compare(namespace, left, right, {
        mediaType,
        ref,
        labels,
        epoch: sourceDateEpoch ?? null,
        lease,
      }),
    }),
  });
}
