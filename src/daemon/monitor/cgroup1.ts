/** What the Stats of a container on cgroup v1 say (contract §3.6). */
import { io } from '../../api/gen/metrics.js';
import { numberOf, sample, samplesOf, type Sample } from './sample.js';

type Entry = io.containerd.cgroups.v1.BlkIOEntry.$Properties;

/** Fields whose names in memory.stat are others. */
const MEMORY_NAMES = {
  pgPgIn: 'pgpgin',
  pgPgOut: 'pgpgout',
  pgFault: 'pgfault',
  pgMajFault: 'pgmajfault',
  hierarchicalSwapLimit: 'hierarchical_memsw_limit',
  totalPgPgIn: 'total_pgpgin',
  totalPgPgOut: 'total_pgpgout',
  totalPgFault: 'total_pgfault',
  totalPgMajFault: 'total_pgmajfault',
};

export function cgroup1Samples(value: Uint8Array): Sample[] {
  const { pids, cpu, memory, hugetlb, blkio } = io.containerd.cgroups.v1.Metrics.decode(value);
  return [
    ...(pids
      ? [
          sample('pids', 'limit', 'The limit to the number of pids allowed', pids.limit),
          sample('pids', 'current', 'The current number of pids', pids.current),
        ]
      : []),
    ...(cpu ? cpuSamples(cpu) : []),
    ...(memory ? memorySamples(memory) : []),
    ...(hugetlb ?? []).flatMap(({ usage, failcnt, max, pagesize }) => [
      sample('hugetlb_usage', 'bytes', 'The hugetlb usage', usage, { page: pagesize ?? '' }),
      sample('hugetlb_failcnt', 'total', 'The hugetlb failcnt', failcnt, { page: pagesize ?? '' }),
      sample('hugetlb_max', 'bytes', 'The hugetlb maximum usage', max, { page: pagesize ?? '' }),
    ]),
    ...(blkio ? blkioSamples(blkio) : []),
  ];
}

function cpuSamples({ usage, throttling }: io.containerd.cgroups.v1.CPUStat.$Properties): Sample[] {
  return [
    sample('cpu_total', 'nanoseconds', 'The total cpu time', usage?.total),
    sample('cpu_kernel', 'nanoseconds', 'The total kernel cpu time', usage?.kernel),
    sample('cpu_user', 'nanoseconds', 'The total user cpu time', usage?.user),
    ...(usage?.perCpu ?? []).map((value, cpu) =>
      sample('per_cpu', 'nanoseconds', 'The total cpu time per cpu', value, { cpu: String(cpu) }),
    ),
    sample('cpu_throttle_periods', 'total', 'The total cpu throttle periods', throttling?.periods),
    sample('cpu_throttled_periods', 'total', 'The total cpu throttled periods', throttling?.throttledPeriods),
    sample('cpu_throttled_time', 'nanoseconds', 'The total cpu throttled time', throttling?.throttledTime),
  ];
}

function memorySamples(memory: io.containerd.cgroups.v1.MemoryStat.$Properties): Sample[] {
  const { usage, swap, kernel, kernelTcp, ...rest } = memory;
  return [
    ...samplesOf('memory_', 'bytes', rest, MEMORY_NAMES),
    ...Object.entries({ usage, swap, kernel, kerneltcp: kernelTcp }).flatMap(([name, entry]) =>
      entry
        ? [
            sample(`memory_${name}_failcnt`, 'total', `The ${name} failcnt`, entry.failcnt),
            sample(`memory_${name}_limit`, 'bytes', `The ${name} limit`, entry.limit),
            sample(`memory_${name}_max`, 'bytes', `The ${name} maximum usage`, entry.max),
            sample(`memory_${name}_usage`, 'bytes', `The ${name} usage`, entry.usage),
          ]
        : [],
    ),
  ];
}

function blkioSamples(blkio: io.containerd.cgroups.v1.BlkIOStat.$Properties): Sample[] {
  const lists: Record<string, Entry[] | null | undefined> = {
    io_merged: blkio.ioMergedRecursive,
    io_queued: blkio.ioQueuedRecursive,
    io_service_bytes: blkio.ioServiceBytesRecursive,
    io_service_time: blkio.ioServiceTimeRecursive,
    io_serviced: blkio.ioServicedRecursive,
    io_wait_time: blkio.ioWaitTimeRecursive,
    io_time: blkio.ioTimeRecursive,
    sectors: blkio.sectorsRecursive,
  };
  return Object.entries(lists).flatMap(([name, entries]) =>
    (entries ?? []).map(({ op, device, major, minor, value }) => {
      const unit = name === 'io_service_bytes' ? 'bytes' : 'total';
      return sample(`blkio_${name}_recursive`, unit, `The blkio ${name.replaceAll('_', ' ')} recursive`, value, {
        op: op ?? '',
        device: device ?? '',
        major: String(numberOf(major)),
        minor: String(numberOf(minor)),
      });
    }),
  );
}
