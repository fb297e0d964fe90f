/** Metrics of a cgroup v2 container, as containerd's own collector reads them (contract §3.6), by the numbers of io.containerd.cgroups.v2.Metrics. */
import type { LineRecipe, Recipe } from '../../sys/index.js';
import { tryList } from './files.js';
import { putRdma } from './metrics-v1.js';

const CPU_STAT = {
  usage_usec: 1,
  user_usec: 2,
  system_usec: 3,
  nr_periods: 4,
  nr_throttled: 5,
  throttled_usec: 6,
  nr_bursts: 8,
  burst_usec: 9,
};

const MEMORY_STAT = {
  anon: 1,
  file: 2,
  kernel_stack: 3,
  slab: 4,
  sock: 5,
  shmem: 6,
  file_mapped: 7,
  file_dirty: 8,
  file_writeback: 9,
  anon_thp: 10,
  inactive_anon: 11,
  active_anon: 12,
  inactive_file: 13,
  active_file: 14,
  unevictable: 15,
  slab_reclaimable: 16,
  slab_unreclaimable: 17,
  pgfault: 18,
  pgmajfault: 19,
  workingset_refault: 20,
  workingset_activate: 21,
  workingset_nodereclaim: 22,
  pgrefill: 23,
  pgscan: 24,
  pgsteal: 25,
  pgactivate: 26,
  pgdeactivate: 27,
  pglazyfree: 28,
  pglazyfreed: 29,
  thp_fault_alloc: 30,
  thp_collapse_alloc: 31,
};

const MEMORY_EVENTS = { low: 1, high: 2, max: 3, oom: 4, oom_kill: 5, oom_group_kill: 6 };

/** Everything the cgroup says; what is missing counts as zero. */
export function putMetricsV2(metrics: Recipe, dir: string): void {
  metrics.in(dir);
  metrics.message(1, (pids) => pids.number(1, 'pids.current').number(2, 'pids.max'));
  metrics.message(2, (cpu) => putPressure(cpu.file('cpu.stat').values(CPU_STAT), 7, 'cpu'));
  metrics.message(4, (memory) => {
    memory
      .file('memory.stat')
      .values(MEMORY_STAT)
      .number(32, 'memory.current')
      .number(33, 'memory.max')
      .number(34, 'memory.swap.current')
      .number(35, 'memory.swap.max')
      .number(36, 'memory.peak')
      .number(37, 'memory.swap.peak');
    putPressure(memory, 38, 'memory');
  });
  putRdma(metrics, 5);
  metrics.message(6, (io) => putPressure(io.file('io.stat').each(1, 'ofDevices', putIo), 2, 'io'));
  putHugetlb(metrics, dir);
  metrics.file('memory.events').ifText((inner) => inner.message(8, (events) => events.values(MEMORY_EVENTS)));
}

/** Lines of `major:minor key=value …`. */
function putIo(line: LineRecipe): void {
  line.device(1, 2).pair(3, 'rbytes').pair(4, 'wbytes').pair(5, 'rios').pair(6, 'wios');
}

function putHugetlb(metrics: Recipe, dir: string): void {
  for (const file of tryList(dir)) {
    const [, size] = /^hugetlb\.([^.]+)\.current$/.exec(file) ?? [];
    if (size === undefined) continue;
    metrics.message(7, (entry) =>
      entry
        .number(1, `hugetlb.${size}.current`)
        .number(2, `hugetlb.${size}.max`)
        .text(3, size)
        .file(`hugetlb.${size}.events`)
        .value(4, 'max'),
    );
  }
}

/** Pressure stall information, where the kernel keeps it. */
function putPressure(of: Recipe, field: number, resource: string): void {
  const figures = (line: LineRecipe): LineRecipe =>
    line.decimal(1, 'avg10').decimal(2, 'avg60').decimal(3, 'avg300').pair(4, 'total');
  of.file(`${resource}.pressure`).ifText((inner) =>
    inner.message(field, (psi) => psi.each(1, { called: 'some' }, figures).each(2, { called: 'full' }, figures)),
  );
}
