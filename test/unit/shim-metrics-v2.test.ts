/** Metrics of a cgroup v2, written into a directory and read back from the wire by the contract's field numbers (§3.6). */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { io } from '../../src/api/gen/metrics.js';
import { encodeMetrics } from '../../src/shim/cgroup/metrics.js';
import { tempDir } from './fixtures/support.js';
import { double, fields, integer, message, messages, text, type Fields } from './fixtures/wire.js';

const MAX = 2n ** 64n - 1n;
/** Beyond 2^53, and different for each field. */
const big = (index: number): bigint => 2n ** 62n + BigInt(index) * 1_000_003n + 1n;

function directory(t: TestContext, files: Record<string, string>): string {
  const dir = tempDir(t);
  for (const [name, content] of Object.entries(files)) writeFileSync(join(dir, name), content);
  return dir;
}

const encodeMetricsV2 = (dir: string): Uint8Array => encodeMetrics({ version: 2, dir }).value!;
const stat = (names: string[]): string => names.map((name, index) => `${name} ${big(index)}\n`).join('');

function numbers(of: Fields, ...wanted: number[]): bigint[] {
  return wanted.map((field) => integer(of, field));
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index);

test('pids', (t) => {
  const of = (files: Record<string, string>): bigint[] =>
    numbers(message(fields(encodeMetricsV2(directory(t, files))), 1), 1, 2);
  assert.deepEqual(of({ 'pids.current': '7\n', 'pids.max': '100\n' }), [7n, 100n]);
  assert.deepEqual(of({ 'pids.current': `${big(0)}\n`, 'pids.max': 'max\n' }), [big(0), MAX]);
  assert.deepEqual(of({}), [0n, 0n]);
});

test('cpu', (t) => {
  const names = [
    'usage_usec',
    'user_usec',
    'system_usec',
    'nr_periods',
    'nr_throttled',
    'throttled_usec',
    'nr_bursts',
    'burst_usec',
  ];
  const cpu = message(
    fields(encodeMetricsV2(directory(t, { 'cpu.stat': `${stat(names)}core_sched.force_idle_usec 5\n` }))),
    2,
  );
  assert.deepEqual(
    numbers(cpu, 1, 2, 3, 4, 5, 6, 8, 9),
    names.map((_, index) => big(index)),
  );
  assert.equal(cpu.has(7), false, 'no pressure file');
});

test('memory', (t) => {
  const names = [
    'anon',
    'file',
    'kernel_stack',
    'slab',
    'sock',
    'shmem',
    'file_mapped',
    'file_dirty',
    'file_writeback',
    'anon_thp',
    'inactive_anon',
    'active_anon',
    'inactive_file',
    'active_file',
    'unevictable',
    'slab_reclaimable',
    'slab_unreclaimable',
    'pgfault',
    'pgmajfault',
    'workingset_refault',
    'workingset_activate',
    'workingset_nodereclaim',
    'pgrefill',
    'pgscan',
    'pgsteal',
    'pgactivate',
    'pgdeactivate',
    'pglazyfree',
    'pglazyfreed',
    'thp_fault_alloc',
    'thp_collapse_alloc',
  ];
  const memory = message(
    fields(
      encodeMetricsV2(
        directory(t, {
          'memory.stat': stat(names),
          'memory.current': `${big(100)}\n`,
          'memory.max': 'max\n',
          'memory.swap.current': `${big(102)}\n`,
          'memory.swap.max': `${big(103)}\n`,
          'memory.peak': `${big(104)}\n`,
          'memory.swap.peak': `${big(105)}\n`,
        }),
      ),
    ),
    4,
  );
  assert.deepEqual(
    numbers(memory, ...range(1, 31)),
    names.map((_, index) => big(index)),
  );
  assert.deepEqual(numbers(memory, ...range(32, 37)), [big(100), MAX, big(102), big(103), big(104), big(105)]);
});

test('rdma', (t) => {
  const rdma = message(
    fields(
      encodeMetricsV2(
        directory(t, {
          'rdma.current': 'mlx4_0 hca_handle=2 hca_object=2000\nocrdma1 hca_handle=3 hca_object=4294967295\n',
          'rdma.max': 'mlx4_0 hca_handle=max hca_object=max\n',
        }),
      ),
    ),
    5,
  );
  const entries = (field: number): unknown[] =>
    messages(rdma, field).map((entry) => [text(entry, 1), ...numbers(entry, 2, 3)]);
  assert.deepEqual(entries(1), [
    ['mlx4_0', 2n, 2000n],
    ['ocrdma1', 3n, 4294967295n],
  ]);
  assert.deepEqual(entries(2), [['mlx4_0', 4294967295n, 4294967295n]]);
});

test('io', (t) => {
  const usage = messages(
    message(
      fields(
        encodeMetricsV2(
          directory(t, {
            'io.stat': `8:0 rbytes=${big(1)} wbytes=${big(2)} rios=${big(3)} wios=${big(4)} dbytes=5 dios=6\n253:17 wbytes=2 rbytes=1\n(unknown) rbytes=1\n8:16 \n`,
          }),
        ),
      ),
      6,
    ),
    1,
  );
  assert.deepEqual(
    usage.map((entry) => numbers(entry, ...range(1, 6))),
    [
      [8n, 0n, big(1), big(2), big(3), big(4)],
      [253n, 17n, 1n, 2n, 0n, 0n],
      [8n, 16n, 0n, 0n, 0n, 0n],
    ],
  );
});

test('hugetlb', (t) => {
  const found = messages(
    fields(
      encodeMetricsV2(
        directory(t, {
          'hugetlb.2MB.current': '2097152\n',
          'hugetlb.2MB.max': 'max\n',
          'hugetlb.2MB.events': 'max 5\n',
          'hugetlb.2MB.events.local': 'max 5\n',
          'hugetlb.2MB.rsvd.current': '1\n',
          'hugetlb.2MB.rsvd.max': '2\n',
          'hugetlb.2MB.numa_stat': 'total=0 N0=0\n',
          'hugetlb.1GB.current': '0\n',
          'hugetlb.1GB.max': `${big(0)}\n`,
        }),
      ),
    ),
    7,
  );
  assert.deepEqual(found.map((entry) => [text(entry, 3), ...numbers(entry, 1, 2, 4)]).sort(), [
    ['1GB', 0n, big(0), 0n],
    ['2MB', 2097152n, MAX, 5n],
  ]);
});

test('memory events', (t) => {
  const names = ['low', 'high', 'max', 'oom', 'oom_kill', 'oom_group_kill'];
  const of = (files: Record<string, string>): Fields => fields(encodeMetricsV2(directory(t, files)));
  assert.deepEqual(
    numbers(message(of({ 'memory.events': stat(names) }), 8), ...range(1, 6)),
    names.map((_, index) => big(index)),
  );
  assert.equal(of({}).has(8), false, 'without the file there are none');
  assert.equal(of({ 'memory.events': '' }).has(8), false, 'nor with an empty one');
  assert.equal(of({ 'memory.events': 'low 0\n' }).has(8), true);
});

test('pressure', (t) => {
  const file = (index: number): string =>
    `some avg10=1.25 avg60=0.50 avg300=${index}.75 total=${big(index)}\nfull avg10=0.00 avg60=100.00 avg300=0.01 total=3\n`;
  const metrics = fields(
    encodeMetricsV2(
      directory(t, { 'cpu.pressure': file(1), 'memory.pressure': file(2), 'io.pressure': file(3).split('\n')[0]! }),
    ),
  );
  const psi = (resource: number, field: number): Fields => message(message(metrics, resource), field);
  const data = (of: Fields): unknown[] => [double(of, 1), double(of, 2), double(of, 3), integer(of, 4)];
  assert.deepEqual(data(message(psi(2, 7), 1)), [1.25, 0.5, 1.75, big(1)]);
  assert.deepEqual(data(message(psi(2, 7), 2)), [0, 100, 0.01, 3n]);
  assert.deepEqual(data(message(psi(4, 38), 1)), [1.25, 0.5, 2.75, big(2)]);
  assert.deepEqual(data(message(psi(6, 2), 1)), [1.25, 0.5, 3.75, big(3)]);
  assert.equal(psi(6, 2).has(2), false);
});

test('of an empty or missing cgroup there are still the parts that clients take for granted', (t) => {
  for (const dir of [directory(t, {}), '/no/such/cgroup']) {
    const metrics = fields(encodeMetricsV2(dir));
    assert.deepEqual(
      [1, 2, 4, 6].map((field) => metrics.has(field)),
      [true, true, true, true],
    );
    assert.equal(integer(message(metrics, 4), 32), 0n);
  }
});

test('the Any around it', (t) => {
  const dir = directory(t, { 'pids.current': '7\n' });
  const any = encodeMetrics({ version: 2, dir });
  assert.equal(any.type_url, 'io.containerd.cgroups.v2.Metrics');
  assert.deepEqual(Buffer.from(any.value!), Buffer.from(encodeMetricsV2(dir)));
});

test('our own decoder reads the same numbers', (t) => {
  const dir = directory(t, { 'memory.current': `${big(5)}\n`, 'memory.max': 'max\n' });
  const { usage, usageLimit } = io.containerd.cgroups.v2.Metrics.decode(encodeMetricsV2(dir)).memory!;
  // Objects of the package "long", which generated code uses where it is installed.
  assert.equal((usage as { toString(): string }).toString(), String(big(5)));
  assert.equal((usageLimit as { toString(): string }).toString(), String(MAX));
});
