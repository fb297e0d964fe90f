import { encodeMetrics } from '../cgroup/metrics.js';
import { cgroupsOf } from '../cgroup/paths.js';
import type { Any } from './types.js';
import { notFound } from '../../api/errdefs.js';

/**
 * The metrics of the cgroup that a process is in, of cgroup v1 or v2, as `ctr tasks metrics` and `docker stats` read them.
 *
 * @throws NotFound for a process that has no cgroup of its own
 */
export function cgroupMetrics(pid: number): Any {
  const cgroup = cgroupsOf(pid);
  if (!cgroup) throw notFound('cgroup does not exist');
  return encodeMetrics(cgroup);
}
