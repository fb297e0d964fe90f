/** Metrics of cgroup v1 controllers, written into directories and read back from the wire by the contract's field numbers (§3.6). */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { encodeMetrics } from '../../src/shim/cgroup/metrics.js';
import { tempDir } from './fixtures/support.js';
import { fields, integer, message, messages, text, type Fields } from './fixtures/wire.js';

/** Beyond 2^53, and different for each field. */
const big = (index: number): bigint => 2n ** 62n + BigInt(index) * 1_000_003n + 1n;
const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index);
const numbers = (of: Fields, ...wanted: number[]): bigint[] => wanted.map((field) => integer(of, field));

type Files = Record<string, Record<string, string>>;

function controllersOf(t: TestContext, files: Files): Record<string, string> {
  const dir = tempDir(t);
  return Object.fromEntries(
    Object.entries(files).map(([controller, contents]) => {
      mkdirSync(join(dir, controller));
      for (const [name, content] of Object.entries(contents)) writeFileSync(join(dir, controller, name), content);
      return [controller, join(dir, controller)];
    }),
  );
}

const encodeMetricsV1 = (controllers: Record<string, string>): Uint8Array =>
  encodeMetrics({ version: 1, controllers }).value!;
const metrics = (t: TestContext, files: Files): Fields => fields(encodeMetricsV1(controllersOf(t, files)));

test('pids', (t) => {
  assert.deepEqual(
    numbers(message(metrics(t, { pids: { 'pids.current': '7\n', 'pids.max': `${big(1)}\n` } }), 2), 1, 2),
    [7n, big(1)],
  );
  assert.deepEqual(
    numbers(message(metrics(t, { pids: { 'pids.current': '7\n', 'pids.max': 'max\n' } }), 2), 1, 2),
    [7n, 0n],
    'no limit is 0 in v1',
  );
});

test('cpu: nanoseconds, ticks turned into them', (t) => {
  const cpu = message(
    metrics(t, {
      cpuacct: {
        'cpuacct.usage': `${big(0)}\n`,
        'cpuacct.stat': 'user 12345678901\nsystem 99\n',
        'cpuacct.usage_percpu': `${big(1)} 0 ${big(2)} \n`,
      },
      cpu: { 'cpu.stat': `nr_periods ${big(3)}\nnr_throttled ${big(4)}\nthrottled_time ${big(5)}\n` },
    }),
    3,
  );
  const usage = message(cpu, 1);
  assert.deepEqual(numbers(usage, 1, 2, 3), [big(0), 990_000_000n, 123_456_789_010_000_000n]);
  const packed = usage.get(4)!;
  assert.equal(packed.length, 1);
  // Packed: the numbers one after the other. Given a tag each, they read like fields.
  const perCpu: bigint[] = [];
  let value = 0n;
  let shift = 0n;
  for (const byte of packed[0] as Uint8Array) {
    value |= BigInt(byte & 0x7f) << shift;
    shift += 7n;
    if (byte < 0x80) {
      perCpu.push(value);
      value = shift = 0n;
    }
  }
  assert.deepEqual(perCpu, [big(1), 0n, big(2)]);
  assert.deepEqual(numbers(message(cpu, 2), 1, 2, 3), [big(3), big(4), big(5)]);
});

test('cpu: one controller without the other', (t) => {
  const onlyUsage = message(metrics(t, { cpuacct: { 'cpuacct.usage': '5\n' } }), 3);
  assert.deepEqual([onlyUsage.has(1), onlyUsage.has(2)], [true, false]);
  const onlyThrottling = message(metrics(t, { cpu: { 'cpu.stat': 'nr_periods 1\n' } }), 3);
  assert.deepEqual([onlyThrottling.has(1), onlyThrottling.has(2)], [false, true]);
});

test('memory', (t) => {
  const own = [
    'cache',
    'rss',
    'rss_huge',
    'mapped_file',
    'dirty',
    'writeback',
    'pgpgin',
    'pgpgout',
    'pgfault',
    'pgmajfault',
    'inactive_anon',
    'active_anon',
    'inactive_file',
    'active_file',
    'unevictable',
  ];
  const stat = [...own, 'hierarchical_memory_limit', 'hierarchical_memsw_limit', ...own.map((name) => `total_${name}`)];
  const entry = (prefix: string, index: number): Record<string, string> => ({
    [`${prefix}.limit_in_bytes`]: `${big(index)}\n`,
    [`${prefix}.usage_in_bytes`]: `${big(index + 1)}\n`,
    [`${prefix}.max_usage_in_bytes`]: `${big(index + 2)}\n`,
    [`${prefix}.failcnt`]: `${big(index + 3)}\n`,
  });
  const memory = message(
    metrics(t, {
      memory: {
        'memory.stat': stat.map((name, index) => `${name} ${big(index)}\n`).join(''),
        ...entry('memory', 100),
        ...entry('memory.memsw', 200),
        ...entry('memory.kmem', 300),
        ...entry('memory.kmem.tcp', 400),
      },
    }),
    4,
  );
  assert.deepEqual(
    numbers(memory, ...range(1, 32)),
    stat.map((_, index) => big(index)),
  );
  for (const [field, index] of [
    [33, 100],
    [34, 200],
    [35, 300],
    [36, 400],
  ] as const) {
    assert.deepEqual(numbers(message(memory, field), 1, 2, 3, 4), range(index, index + 3).map(big), `field ${field}`);
  }
});

test('memory.oom_control', (t) => {
  const control = message(
    metrics(t, { memory: { 'memory.oom_control': `oom_kill_disable 1\nunder_oom 0\noom_kill ${big(0)}\n` } }),
    9,
  );
  assert.deepEqual(numbers(control, 1, 2, 3), [1n, 0n, big(0)]);
});

test('hugetlb, without reservations', (t) => {
  const found = messages(
    metrics(t, {
      hugetlb: {
        'hugetlb.2MB.usage_in_bytes': `${big(0)}\n`,
        'hugetlb.2MB.max_usage_in_bytes': `${big(1)}\n`,
        'hugetlb.2MB.failcnt': `${big(2)}\n`,
        'hugetlb.2MB.limit_in_bytes': '9\n',
        'hugetlb.2MB.rsvd.usage_in_bytes': '7\n',
        'hugetlb.1GB.usage_in_bytes': '1\n',
      },
    }),
    1,
  );
  assert.deepEqual(found.map((entry) => [text(entry, 4), ...numbers(entry, 1, 2, 3)]).sort(), [
    ['1GB', 1n, 0n, 0n],
    ['2MB', big(0), big(1), big(2)],
  ]);
});

/** A device of this machine, or none. */
function device(): { numbers: string; name: string } | undefined {
  const [major, minor, , name] = (readFileSync('/proc/partitions', 'utf8').split('\n')[2] ?? '').trim().split(/\s+/);
  return name === undefined ? undefined : { numbers: `${major}:${minor}`, name: `/dev/${name}` };
}

test('blkio of the CFQ scheduler', (t) => {
  const known = device();
  const names = [
    'io_service_bytes',
    'io_serviced',
    'io_queued',
    'io_service_time',
    'io_wait_time',
    'io_merged',
    'time',
    'sectors',
  ];
  const files = Object.fromEntries(
    names.map((name, index) => [`blkio.${name}_recursive`, `9999:3 Read ${big(index)}\n9999:3 Total 5\nTotal 5\n`]),
  );
  files['blkio.time_recursive'] = `9999:3 ${big(6)}\n${known?.numbers ?? '1:1'} 12\n`;
  files['blkio.throttle.io_serviced'] = '9999:3 Read 1\n';
  const blkio = message(metrics(t, { blkio: files }), 5);
  const entries = (field: number): unknown[] =>
    messages(blkio, field).map((entry) => [text(entry, 1), text(entry, 2), ...numbers(entry, 3, 4, 5)]);
  for (const [index] of names.entries()) {
    if (index === 6) continue;
    assert.deepEqual(
      entries(index + 1),
      [
        ['Read', '', 9999n, 3n, big(index)],
        ['Total', '', 9999n, 3n, 5n],
      ],
      names[index],
    );
  }
  const [major, minor] = (known?.numbers ?? '1:1').split(':').map(BigInt);
  assert.deepEqual(entries(7), [
    ['', '', 9999n, 3n, big(6)],
    ['', known?.name ?? '', major, minor, 12n],
  ]);
});

test('blkio without CFQ is that of throttling', (t) => {
  const blkio = message(
    metrics(t, {
      blkio: {
        'blkio.io_serviced_recursive': 'Total 0\n',
        'blkio.throttle.io_serviced': `9999:0 Write ${big(1)}\nTotal 1\n`,
        'blkio.throttle.io_service_bytes': `9999:0 Write ${big(2)}\nTotal 1\n`,
      },
    }),
    5,
  );
  assert.deepEqual(
    messages(blkio, 1).map((entry) => [text(entry, 1), ...numbers(entry, 3, 4, 5)]),
    [['Write', 9999n, 0n, big(2)]],
  );
  assert.deepEqual(
    messages(blkio, 2).map((entry) => [text(entry, 1), ...numbers(entry, 3, 4, 5)]),
    [['Write', 9999n, 0n, big(1)]],
  );
});

test('rdma', (t) => {
  const rdma = message(
    metrics(t, {
      rdma: {
        'rdma.current': 'mlx4_0 hca_handle=2 hca_object=3\n',
        'rdma.max': 'mlx4_0 hca_handle=max hca_object=7\n',
      },
    }),
    6,
  );
  const entries = (field: number): unknown[] =>
    messages(rdma, field).map((entry) => [text(entry, 1), ...numbers(entry, 2, 3)]);
  assert.deepEqual([entries(1), entries(2)], [[['mlx4_0', 2n, 3n]], [['mlx4_0', 4294967295n, 7n]]]);
});

test('controllers that are not mounted are not there; those whose files are gone are zero', (t) => {
  assert.deepEqual([...metrics(t, {}).keys()], []);
  assert.deepEqual(
    [...metrics(t, { memory: {}, pids: {}, cpu: {}, cpuacct: {}, blkio: {}, hugetlb: {} }).keys()].sort(),
    [2, 3, 4, 5, 9],
  );
  assert.deepEqual(
    [...fields(encodeMetricsV1({ memory: '/no/such/dir', hugetlb: '/no/such/dir' })).keys()].sort(),
    [4, 9],
  );
});

test('the Any around it', (t) => {
  const controllers = controllersOf(t, { pids: { 'pids.current': '7\n' } });
  const any = encodeMetrics({ version: 1, controllers });
  assert.equal(any.type_url, 'io.containerd.cgroups.v1.Metrics');
  assert.deepEqual(Buffer.from(any.value!), Buffer.from(encodeMetricsV1(controllers)));
});
