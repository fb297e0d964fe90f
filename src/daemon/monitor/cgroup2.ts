/** What the Stats of a container on cgroup v2 say (contract §3.6). */
import { io } from '../../api/gen/metrics.js';
import { numberOf, sample, samplesOf, type Sample } from './sample.js';

export function cgroup2Samples(value: Uint8Array): Sample[] {
  const { pids, cpu, memory, io: disk, hugetlb, memoryEvents } = io.containerd.cgroups.v2.Metrics.decode(value);
  return [
    ...(pids
      ? [
          sample('pids', 'limit', 'The limit to the number of pids allowed (cgroup v2)', pids.limit),
          sample('pids', 'current', 'The current number of pids (cgroup v2)', pids.current),
        ]
      : []),
    ...(cpu
      ? [
          sample('cpu_usage_usec', 'microseconds', 'Total cpu usage (cgroup v2)', cpu.usageUsec),
          sample('cpu_user_usec', 'microseconds', 'Current cpu usage in user space (cgroup v2)', cpu.userUsec),
          sample('cpu_system_usec', 'microseconds', 'Current cpu usage in kernel space (cgroup v2)', cpu.systemUsec),
          sample('cpu_nr_periods', 'total', 'Current cpu number of periods (cgroup v2)', cpu.nrPeriods),
          sample('cpu_nr_throttled', 'total', 'How often tasks have been throttled (cgroup v2)', cpu.nrThrottled),
          sample(
            'cpu_throttled_usec',
            'microseconds',
            'For how long tasks have been throttled (cgroup v2)',
            cpu.throttledUsec,
          ),
        ]
      : []),
    ...(memory ? samplesOf('memory_', 'bytes', memory) : []),
    ...(memoryEvents ? [sample('memory_oom', 'total', OOM_HELP, memoryEvents.oom)] : []),
    ...(disk?.usage ?? []).flatMap(({ major, minor, rbytes, wbytes, rios, wios }) => {
      const device = { major: String(numberOf(major)), minor: String(numberOf(minor)) };
      return [
        sample('io_rbytes', 'bytes', 'IO bytes read', rbytes, device),
        sample('io_wbytes', 'bytes', 'IO bytes written', wbytes, device),
        sample('io_rios', 'total', 'Number of read IOs', rios, device),
        sample('io_wios', 'total', 'Number of write IOs', wios, device),
      ];
    }),
    ...(hugetlb ?? []).flatMap(({ current, max, pagesize }) => [
      sample('hugetlb_usage', 'bytes', 'The hugetlb usage', current, { page: pagesize ?? '' }),
      sample('hugetlb_max', 'bytes', 'The hugetlb limit', max, { page: pagesize ?? '' }),
    ]),
  ];
}

export const OOM_HELP = 'The number of times a container has received an oom event';
