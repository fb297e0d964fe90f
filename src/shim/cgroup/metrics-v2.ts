/** Metrics of a cgroup v2 container, as containerd's own collector reads them (contract §3.6). */
import { io } from '../../api/gen/metrics.js';
import { keyed, keyedText, number, parseU64, tryList, tryText, u64, type U64 } from './files.js';
import { rdmaEntries } from './metrics-v1.js';

type Metrics = io.containerd.cgroups.v2.Metrics.$Properties;
type Psi = io.containerd.cgroups.v2.PSIStats.$Properties;

/** Everything the cgroup says; what is missing counts as zero. */
export function metricsV2(dir: string): Metrics {
  const events = keyed(dir, 'memory.events');
  return {
    pids: { current: number(dir, 'pids.current'), limit: number(dir, 'pids.max') },
    cpu: cpuStat(dir),
    memory: memoryStat(dir),
    rdma: { current: rdmaEntries(dir, 'rdma.current'), limit: rdmaEntries(dir, 'rdma.max') },
    io: { usage: ioEntries(tryText(dir, 'io.stat')), ...pressure(dir, 'io') },
    hugetlb: hugetlbStats(dir),
    ...(events.size === 0
      ? {}
      : {
          memoryEvents: {
            low: u64(events.get('low') ?? 0n),
            high: u64(events.get('high') ?? 0n),
            max: u64(events.get('max') ?? 0n),
            oom: u64(events.get('oom') ?? 0n),
            oomKill: u64(events.get('oom_kill') ?? 0n),
            oomGroupKill: u64(events.get('oom_group_kill') ?? 0n),
          },
        }),
  };
}

/** Encoded, for an Any of type `io.containerd.cgroups.v2.Metrics`. */
export function encodeMetricsV2(dir: string): Uint8Array {
  return io.containerd.cgroups.v2.Metrics.encode(metricsV2(dir)).finish();
}

function cpuStat(dir: string): NonNullable<Metrics['cpu']> {
  const stat = keyed(dir, 'cpu.stat');
  const of = (name: string): U64 => u64(stat.get(name) ?? 0n);
  return {
    usageUsec: of('usage_usec'),
    userUsec: of('user_usec'),
    systemUsec: of('system_usec'),
    nrPeriods: of('nr_periods'),
    nrThrottled: of('nr_throttled'),
    throttledUsec: of('throttled_usec'),
    nrBursts: of('nr_bursts'),
    burstUsec: of('burst_usec'),
    ...pressure(dir, 'cpu'),
  };
}

function memoryStat(dir: string): NonNullable<Metrics['memory']> {
  const stat = keyed(dir, 'memory.stat');
  const of = (...names: string[]): U64 => u64(names.reduce((sum, name) => sum + (stat.get(name) ?? 0n), 0n));
  return {
    anon: of('anon'),
    file: of('file'),
    kernelStack: of('kernel_stack'),
    slab: of('slab'),
    sock: of('sock'),
    shmem: of('shmem'),
    fileMapped: of('file_mapped'),
    fileDirty: of('file_dirty'),
    fileWriteback: of('file_writeback'),
    anonThp: of('anon_thp'),
    inactiveAnon: of('inactive_anon'),
    activeAnon: of('active_anon'),
    inactiveFile: of('inactive_file'),
    activeFile: of('active_file'),
    unevictable: of('unevictable'),
    slabReclaimable: of('slab_reclaimable'),
    slabUnreclaimable: of('slab_unreclaimable'),
    pgfault: of('pgfault'),
    pgmajfault: of('pgmajfault'),
    workingsetRefault: of('workingset_refault'),
    workingsetActivate: of('workingset_activate'),
    workingsetNodereclaim: of('workingset_nodereclaim'),
    pgrefill: of('pgrefill'),
    pgscan: of('pgscan'),
    pgsteal: of('pgsteal'),
    pgactivate: of('pgactivate'),
    pgdeactivate: of('pgdeactivate'),
    pglazyfree: of('pglazyfree'),
    pglazyfreed: of('pglazyfreed'),
    thpFaultAlloc: of('thp_fault_alloc'),
    thpCollapseAlloc: of('thp_collapse_alloc'),
    usage: number(dir, 'memory.current'),
    usageLimit: number(dir, 'memory.max'),
    maxUsage: number(dir, 'memory.peak'),
    swapUsage: number(dir, 'memory.swap.current'),
    swapLimit: number(dir, 'memory.swap.max'),
    swapMaxUsage: number(dir, 'memory.swap.peak'),
    ...pressure(dir, 'memory'),
  };
}

/** Lines of `major:minor key=value …`. */
function ioEntries(text: string | undefined): NonNullable<NonNullable<Metrics['io']>['usage']> {
  return (text?.split('\n') ?? []).flatMap((line) => {
    const [device = '', ...pairs] = line.split(' ');
    const [, major, minor] = /^(\d+):(\d+)$/.exec(device) ?? [];
    if (major === undefined || minor === undefined) return [];
    const values = keyedText(pairs.join('\n').replaceAll('=', ' '));
    const of = (name: string): U64 => u64(values.get(name) ?? 0n);
    return [
      {
        major: u64(BigInt(major)),
        minor: u64(BigInt(minor)),
        rbytes: of('rbytes'),
        wbytes: of('wbytes'),
        rios: of('rios'),
        wios: of('wios'),
      },
    ];
  });
}

function hugetlbStats(dir: string): NonNullable<Metrics['hugetlb']> {
  const sizes = tryList(dir)
    .map((name) => /^hugetlb\.([^.]+)\.current$/.exec(name)?.[1])
    .filter((size) => size !== undefined);
  return sizes.map((pagesize) => ({
    pagesize,
    current: number(dir, `hugetlb.${pagesize}.current`),
    max: number(dir, `hugetlb.${pagesize}.max`),
    failcnt: u64(keyed(dir, `hugetlb.${pagesize}.events`).get('max') ?? 0n),
  }));
}

/** Pressure stall information, where the kernel keeps it. */
function pressure(dir: string, resource: string): { psi?: Psi } {
  const text = tryText(dir, `${resource}.pressure`);
  if (!text) return {};
  const psi: Psi = {};
  for (const line of text.split('\n')) {
    const [kind, ...pairs] = line.split(' ');
    if (kind !== 'some' && kind !== 'full') continue;
    const values = new Map(pairs.map((pair) => pair.split('=') as [string, string]));
    psi[kind] = {
      avg10: Number(values.get('avg10')),
      avg60: Number(values.get('avg60')),
      avg300: Number(values.get('avg300')),
      total: u64(parseU64(values.get('total')) ?? 0n),
    };
  }
  return { psi };
}
