/** The metrics of a container as Stats gives them. Loaded when first asked for. */
import type { google } from '../../api/gen/api.js';
import { encodeMetricsV1 } from './metrics-v1.js';
import { encodeMetricsV2 } from './metrics-v2.js';
import type { CgroupPaths } from '../record/cgroup-paths.js';

export function encodeMetrics(cgroup: CgroupPaths): google.protobuf.Any.$Properties {
  return cgroup.version === 1
    ? { type_url: 'io.containerd.cgroups.v1.Metrics', value: encodeMetricsV1(cgroup.controllers) }
    : { type_url: 'io.containerd.cgroups.v2.Metrics', value: encodeMetricsV2(cgroup.dir) };
}
