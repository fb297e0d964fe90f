/** Metrics of a cgroup v1 container, as containerd's own collector reads them (contract §3.6). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { io } from '../../api/gen/metrics.js';
import { keyed, keyedText, number, parseU64, tryList, tryText, u64, type U64 } from './files.js';

type Metrics = io.containerd.cgroups.v1.Metrics.$Properties;
type BlkIOEntry = io.containerd.cgroups.v1.BlkIOEntry.$Properties;

const NS_PER_TICK = 10_000_000n;

/** Everything the mounted controllers say. A file that is missing counts as zero, a controller that is missing not at all. */
export function metricsV1(controllers: Record<string, string>): Metrics {
  const { hugetlb, pids, cpuacct, cpu, memory, blkio, rdma } = controllers;
  return {
    ...(hugetlb === undefined ? {} : { hugetlb: hugetlbStats(hugetlb) }),
    ...(pids === undefined ? {} : { pids: pidsStat(pids) }),
    ...(cpuacct === undefined && cpu === undefined ? {} : { cpu: cpuStat(cpuacct, cpu) }),
    ...(memory === undefined ? {} : { memory: memoryStat(memory), memoryOomControl: oomControl(memory) }),
    ...(blkio === undefined ? {} : { blkio: blkioStat(blkio) }),
    ...(rdma === undefined
      ? {}
      : { rdma: { current: rdmaEntries(rdma, 'rdma.current'), limit: rdmaEntries(rdma, 'rdma.max') } }),
  };
}

/** Encoded, for an Any of type `io.containerd.cgroups.v1.Metrics`. */
export function encodeMetricsV1(controllers: Record<string, string>): Uint8Array {
  return io.containerd.cgroups.v1.Metrics.encode(metricsV1(controllers)).finish();
}

function pidsStat(dir: string): NonNullable<Metrics['pids']> {
  // "max" is zero here, as containerd's v1 collector has it.
  const limit = tryText(dir, 'pids.max')?.trim();
  return { current: number(dir, 'pids.current'), limit: limit === 'max' ? u64(0n) : number(dir, 'pids.max') };
}

function cpuStat(cpuacct: string | undefined, cpu: string | undefined): NonNullable<Metrics['cpu']> {
  const ticks = cpuacct === undefined ? new Map<string, bigint>() : keyed(cpuacct, 'cpuacct.stat');
  const throttling = cpu === undefined ? new Map<string, bigint>() : keyed(cpu, 'cpu.stat');
  return {
    ...(cpuacct === undefined
      ? {}
      : {
          usage: {
            total: number(cpuacct, 'cpuacct.usage'),
            kernel: u64((ticks.get('system') ?? 0n) * NS_PER_TICK),
            user: u64((ticks.get('user') ?? 0n) * NS_PER_TICK),
            perCpu: (tryText(cpuacct, 'cpuacct.usage_percpu') ?? '')
              .split(/\s+/)
              .filter(Boolean)
              .map((word) => u64(parseU64(word) ?? 0n)),
          },
        }),
    ...(cpu === undefined
      ? {}
      : {
          throttling: {
            periods: u64(throttling.get('nr_periods') ?? 0n),
            throttledPeriods: u64(throttling.get('nr_throttled') ?? 0n),
            throttledTime: u64(throttling.get('throttled_time') ?? 0n),
          },
        }),
  };
}

function memoryStat(dir: string): NonNullable<Metrics['memory']> {
  const stat = keyed(dir, 'memory.stat');
  const of = (name: string): U64 => u64(stat.get(name) ?? 0n);
  return {
    cache: of('cache'),
    rss: of('rss'),
    rssHuge: of('rss_huge'),
    mappedFile: of('mapped_file'),
    dirty: of('dirty'),
    writeback: of('writeback'),
    pgPgIn: of('pgpgin'),
    pgPgOut: of('pgpgout'),
    pgFault: of('pgfault'),
    pgMajFault: of('pgmajfault'),
    inactiveAnon: of('inactive_anon'),
    activeAnon: of('active_anon'),
    inactiveFile: of('inactive_file'),
    activeFile: of('active_file'),
    unevictable: of('unevictable'),
    hierarchicalMemoryLimit: of('hierarchical_memory_limit'),
    hierarchicalSwapLimit: of('hierarchical_memsw_limit'),
    totalCache: of('total_cache'),
    totalRss: of('total_rss'),
    totalRssHuge: of('total_rss_huge'),
    totalMappedFile: of('total_mapped_file'),
    totalDirty: of('total_dirty'),
    totalWriteback: of('total_writeback'),
    totalPgPgIn: of('total_pgpgin'),
    totalPgPgOut: of('total_pgpgout'),
    totalPgFault: of('total_pgfault'),
    totalPgMajFault: of('total_pgmajfault'),
    totalInactiveAnon: of('total_inactive_anon'),
    totalActiveAnon: of('total_active_anon'),
    totalInactiveFile: of('total_inactive_file'),
    totalActiveFile: of('total_active_file'),
    totalUnevictable: of('total_unevictable'),
    usage: memoryEntry(dir, 'memory'),
    swap: memoryEntry(dir, 'memory.memsw'),
    kernel: memoryEntry(dir, 'memory.kmem'),
    kernelTcp: memoryEntry(dir, 'memory.kmem.tcp'),
  };
}

function memoryEntry(dir: string, prefix: string): { usage: U64; max: U64; failcnt: U64; limit: U64 } {
  return {
    usage: number(dir, `${prefix}.usage_in_bytes`),
    max: number(dir, `${prefix}.max_usage_in_bytes`),
    failcnt: number(dir, `${prefix}.failcnt`),
    limit: number(dir, `${prefix}.limit_in_bytes`),
  };
}

function oomControl(dir: string): NonNullable<Metrics['memoryOomControl']> {
  const control = keyed(dir, 'memory.oom_control');
  return {
    oomKillDisable: u64(control.get('oom_kill_disable') ?? 0n),
    underOom: u64(control.get('under_oom') ?? 0n),
    oomKill: u64(control.get('oom_kill') ?? 0n),
  };
}

function hugetlbStats(dir: string): NonNullable<Metrics['hugetlb']> {
  const sizes = tryList(dir)
    .map((name) => /^hugetlb\.(.+)\.usage_in_bytes$/.exec(name)?.[1])
    .filter((size) => size !== undefined);
  return sizes
    .filter((size) => !size.endsWith('.rsvd'))
    .map((size) => ({
      pagesize: size,
      usage: number(dir, `hugetlb.${size}.usage_in_bytes`),
      max: number(dir, `hugetlb.${size}.max_usage_in_bytes`),
      failcnt: number(dir, `hugetlb.${size}.failcnt`),
    }));
}

function blkioStat(dir: string): NonNullable<Metrics['blkio']> {
  const devices = deviceNames();
  const entries = (file: string): BlkIOEntry[] => blkioEntries(tryText(dir, file), devices);
  // Only the CFQ scheduler kept the files named after their fields.
  if (entries('blkio.io_serviced_recursive').length > 0) {
    return {
      sectorsRecursive: entries('blkio.sectors_recursive'),
      ioServiceBytesRecursive: entries('blkio.io_service_bytes_recursive'),
      ioServicedRecursive: entries('blkio.io_serviced_recursive'),
      ioQueuedRecursive: entries('blkio.io_queued_recursive'),
      ioServiceTimeRecursive: entries('blkio.io_service_time_recursive'),
      ioWaitTimeRecursive: entries('blkio.io_wait_time_recursive'),
      ioMergedRecursive: entries('blkio.io_merged_recursive'),
      ioTimeRecursive: entries('blkio.time_recursive'),
    };
  }
  return {
    ioServicedRecursive: entries('blkio.throttle.io_serviced'),
    ioServiceBytesRecursive: entries('blkio.throttle.io_service_bytes'),
  };
}

/** Lines of `major:minor Operation value` or `major:minor value`; the closing totals have no device. */
function blkioEntries(text: string | undefined, devices: Map<string, string>): BlkIOEntry[] {
  return (text?.split('\n') ?? []).flatMap((line) => {
    const [, major, minor, op = '', value] = /^(\d+):(\d+) (?:(\S+) )?(\d+)$/.exec(line) ?? [];
    if (major === undefined || minor === undefined || value === undefined) return [];
    return [
      {
        op,
        device: devices.get(`${major}:${minor}`) ?? '',
        major: u64(BigInt(major)),
        minor: u64(BigInt(minor)),
        value: u64(BigInt(value)),
      },
    ];
  });
}

/** Device files by `major:minor`, from /proc/partitions. */
function deviceNames(): Map<string, string> {
  const lines = readFileSync('/proc/partitions', 'utf8').split('\n').slice(2);
  return new Map(
    lines.flatMap((line) => {
      const [major, minor, , name] = line.trim().split(/\s+/);
      return name === undefined ? [] : [[`${major}:${minor}`, join('/dev', name)] as const];
    }),
  );
}

interface RdmaEntry {
  device: string;
  hcaHandles: number;
  hcaObjects: number;
}

/** Lines of `device hca_handle=N hca_object=N`, the same in v1 and v2. */
export function rdmaEntries(dir: string, file: string): RdmaEntry[] {
  return (tryText(dir, file)?.split('\n') ?? []).flatMap((line) => {
    const [device, ...pairs] = line.trim().split(/\s+/);
    if (!device) return [];
    const values = keyedText(pairs.join('\n').replaceAll('=', ' '));
    const of = (name: string): number => Number(BigInt.asUintN(32, values.get(name) ?? 0n));
    return [{ device, hcaHandles: of('hca_handle'), hcaObjects: of('hca_object') }];
  });
}
