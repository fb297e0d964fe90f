/** Metrics of a cgroup v1 container, as containerd's own collector reads them (contract §3.6), by the numbers of io.containerd.cgroups.v1.Metrics. */
import type { Recipe } from '../../sys/index.js';
import { tryList } from './files.js';

const NS_PER_TICK = 10_000_000;

const MEMORY_STAT = {
  cache: 1,
  rss: 2,
  rss_huge: 3,
  mapped_file: 4,
  dirty: 5,
  writeback: 6,
  pgpgin: 7,
  pgpgout: 8,
  pgfault: 9,
  pgmajfault: 10,
  inactive_anon: 11,
  active_anon: 12,
  inactive_file: 13,
  active_file: 14,
  unevictable: 15,
  hierarchical_memory_limit: 16,
  hierarchical_memsw_limit: 17,
  total_cache: 18,
  total_rss: 19,
  total_rss_huge: 20,
  total_mapped_file: 21,
  total_dirty: 22,
  total_writeback: 23,
  total_pgpgin: 24,
  total_pgpgout: 25,
  total_pgfault: 26,
  total_pgmajfault: 27,
  total_inactive_anon: 28,
  total_active_anon: 29,
  total_inactive_file: 30,
  total_active_file: 31,
  total_unevictable: 32,
};

/** What only the CFQ scheduler kept is named after its field. */
const BLKIO = {
  io_service_bytes: 1,
  io_serviced: 2,
  io_queued: 3,
  io_service_time: 4,
  io_wait_time: 5,
  io_merged: 6,
  time: 7,
  sectors: 8,
};

/** Everything the mounted controllers say. A file that is missing counts as zero, a controller that is missing not at all. */
export function putMetricsV1(metrics: Recipe, controllers: Readonly<Record<string, string>>): void {
  const { hugetlb, pids, cpuacct, cpu, memory, blkio, rdma } = controllers;
  if (hugetlb !== undefined) putHugetlb(metrics.in(hugetlb), hugetlb);
  if (pids !== undefined) putPids(metrics.in(pids));
  if (cpuacct !== undefined || cpu !== undefined)
    metrics.message(3, (message) => {
      if (cpuacct !== undefined) putCpuUsage(message.in(cpuacct));
      if (cpu !== undefined) putThrottling(message.in(cpu));
    });
  if (memory !== undefined) putMemory(metrics.in(memory));
  if (blkio !== undefined) putBlkio(metrics.in(blkio));
  if (rdma !== undefined) putRdma(metrics.in(rdma), 6);
}

function putPids(metrics: Recipe): void {
  // "max" is zero here, as containerd's v1 collector has it.
  metrics.message(2, (pids) => pids.number(1, 'pids.current').digits(2, 'pids.max'));
}

function putCpuUsage(cpu: Recipe): void {
  cpu.message(1, (usage) =>
    usage
      .number(1, 'cpuacct.usage')
      .file('cpuacct.stat')
      .value(2, 'system', NS_PER_TICK)
      .value(3, 'user', NS_PER_TICK)
      .file('cpuacct.usage_percpu')
      .packed(4),
  );
}

function putThrottling(cpu: Recipe): void {
  cpu
    .file('cpu.stat')
    .message(2, (throttling) => throttling.values({ nr_periods: 1, nr_throttled: 2, throttled_time: 3 }));
}

function putMemory(metrics: Recipe): void {
  const entry = (memory: Recipe, field: number, name: string): Recipe =>
    memory.message(field, (message) =>
      message
        .number(1, `${name}.limit_in_bytes`)
        .number(2, `${name}.usage_in_bytes`)
        .number(3, `${name}.max_usage_in_bytes`)
        .number(4, `${name}.failcnt`),
    );
  metrics.message(4, (memory) => {
    memory.file('memory.stat').values(MEMORY_STAT);
    entry(memory, 33, 'memory');
    entry(memory, 34, 'memory.memsw');
    entry(memory, 35, 'memory.kmem');
    entry(memory, 36, 'memory.kmem.tcp');
  });
  metrics
    .file('memory.oom_control')
    .message(9, (control) => control.values({ oom_kill_disable: 1, under_oom: 2, oom_kill: 3 }));
}

/** Without what is reserved. */
function putHugetlb(metrics: Recipe, dir: string): void {
  for (const file of tryList(dir)) {
    const [, size] = /^hugetlb\.(.+)\.usage_in_bytes$/.exec(file) ?? [];
    if (size === undefined || size.endsWith('.rsvd')) continue;
    metrics.message(1, (entry) =>
      entry
        .number(1, `hugetlb.${size}.usage_in_bytes`)
        .number(2, `hugetlb.${size}.max_usage_in_bytes`)
        .number(3, `hugetlb.${size}.failcnt`)
        .text(4, size),
    );
  }
}

/** Lines of `major:minor Operation value` or `major:minor value`; the closing totals have no device. */
function putBlkio(metrics: Recipe): void {
  const entries = (blkio: Recipe, field: number, file: string): Recipe =>
    blkio.file(file).each(field, 'ofDevicesWithNumber', (line) => line.between(1).device(3, 4, 2).last(5));
  metrics.message(5, (blkio) =>
    blkio.file('blkio.io_serviced_recursive').ifDevices(
      (cfq) => {
        for (const [name, field] of Object.entries(BLKIO)) entries(cfq, field, `blkio.${name}_recursive`);
      },
      (throttle) => {
        entries(throttle, 1, 'blkio.throttle.io_service_bytes');
        entries(throttle, 2, 'blkio.throttle.io_serviced');
      },
    ),
  );
}

/** Lines of `device hca_handle=N hca_object=N`, the same in v1 and v2. */
export function putRdma(metrics: Recipe, field: number): void {
  const entries = (rdma: Recipe, within: number, file: string): Recipe =>
    rdma.file(file).each(within, 'named', (line) => line.name(1).pair(2, 'hca_handle', 32).pair(3, 'hca_object', 32));
  metrics.message(field, (rdma) => entries(entries(rdma, 1, 'rdma.current'), 2, 'rdma.max'));
}
