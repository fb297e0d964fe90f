/** Metrics of tasks, as Prometheus gets them. */
import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { pino } from 'pino';
import { containerd, errdefs, pack } from '../../src/api/full.js';
import { io } from '../../src/api/gen/metrics.js';
import { EventExchange } from '../../src/daemon/events/exchange.js';
import { Collector, type Measured } from '../../src/daemon/monitor/collector.js';
import { parseAddress, serveMetrics } from '../../src/daemon/monitor/endpoint.js';
import { OomCounter } from '../../src/daemon/monitor/oom.js';
import { eventually } from '../support/eventually.js';

const log = pino({ level: 'silent' });
const MAX = { low: -1, high: -1, unsigned: true };

function measured(id: string, stats: Measured['stats']): Measured {
  return { namespace: 'ns', id, stats };
}

async function lines(tasks: Measured[], ooms: (namespace: string, id: string) => number = () => 0): Promise<string[]> {
  return (await new Collector({ tasks: () => tasks, ooms, log }).text())
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
}

test('cgroup v2, under the names that containerd has', async () => {
  const { Metrics } = io.containerd.cgroups.v2;
  const found = await lines(
    [
      measured('a', () =>
        Promise.resolve(
          pack('io.containerd.cgroups.v2.Metrics', Metrics, {
            pids: { current: 3, limit: MAX },
            cpu: { usageUsec: 12 },
            memory: { usage: 4096, usageLimit: MAX, anonThp: 5, pgfault: 6 },
            memoryEvents: { oom: 2 },
            io: { usage: [{ major: 8, minor: 1, rbytes: 7, wios: 9 }] },
          }),
        ),
      ),
    ],
    () => 99,
  );
  for (const line of [
    'container_pids_current{container_id="a",namespace="ns"} 3',
    'container_pids_limit{container_id="a",namespace="ns"} 18446744073709552000',
    'container_cpu_usage_usec_microseconds{container_id="a",namespace="ns"} 12',
    'container_memory_usage_bytes{container_id="a",namespace="ns"} 4096',
    'container_memory_anon_thp_bytes{container_id="a",namespace="ns"} 5',
    'container_memory_pgfault_bytes{container_id="a",namespace="ns"} 6',
    'container_memory_oom_total{container_id="a",namespace="ns"} 2',
    'container_io_rbytes_bytes{container_id="a",namespace="ns",major="8",minor="1"} 7',
    'container_io_wios_total{container_id="a",namespace="ns",major="8",minor="1"} 9',
  ])
    assert.ok(found.includes(line), `${line} in\n${found.join('\n')}`);
  assert.ok(found.some((line) => /^process_resident_memory_bytes \d+$/.test(line)));
});

test('cgroup v1, with out-of-memory events counted here', async () => {
  const { Metrics } = io.containerd.cgroups.v1;
  const found = await lines(
    [
      measured('b', () =>
        Promise.resolve(
          pack('io.containerd.cgroups.v1.Metrics', Metrics, {
            cpu: { usage: { total: 5, kernel: 2, user: 3, perCpu: [1, 4] }, throttling: { throttledTime: 6 } },
            memory: {
              rss: 10,
              pgPgIn: 11,
              totalRss: 12,
              hierarchicalSwapLimit: 13,
              usage: { usage: 14, limit: 15, failcnt: 16 },
              kernelTcp: { max: 17 },
            },
            blkio: { ioServiceBytesRecursive: [{ op: 'Read', device: 'sda', major: 8, minor: 0, value: 18 }] },
            hugetlb: [{ usage: 19, pagesize: '2MB' }],
          }),
        ),
      ),
    ],
    () => 3,
  );
  const of = '{container_id="b",namespace="ns"}';
  for (const line of [
    `container_cpu_total_nanoseconds${of} 5`,
    `container_cpu_throttled_time_nanoseconds${of} 6`,
    'container_per_cpu_nanoseconds{container_id="b",namespace="ns",cpu="1"} 4',
    `container_memory_rss_bytes${of} 10`,
    `container_memory_pgpgin_bytes${of} 11`,
    `container_memory_total_rss_bytes${of} 12`,
    `container_memory_hierarchical_memsw_limit_bytes${of} 13`,
    `container_memory_usage_usage_bytes${of} 14`,
    `container_memory_usage_limit_bytes${of} 15`,
    `container_memory_usage_failcnt_total${of} 16`,
    `container_memory_kerneltcp_max_bytes${of} 17`,
    `container_memory_oom_total${of} 3`,
    'container_blkio_io_service_bytes_recursive_bytes{container_id="b",namespace="ns",op="Read",device="sda",major="8",minor="0"} 18',
    'container_hugetlb_usage_bytes{container_id="b",namespace="ns",page="2MB"} 19',
  ])
    assert.ok(found.includes(line), `${line} in\n${found.join('\n')}`);
});

test('a task that gives none costs the others nothing, and few are asked at once', async () => {
  let active = 0;
  let most = 0;
  const tasks = Array.from({ length: 100 }, (_, n) =>
    measured(`t${n}`, async () => {
      most = Math.max(most, ++active);
      await new Promise((resolve) => setImmediate(resolve));
      active--;
      if (n === 0) throw new Error('it hangs');
      if (n === 1) throw errdefs.notFound('it is gone');
      if (n === 2) return { type_url: 'of.another.kind', value: new Uint8Array([1]) };
      return pack('io.containerd.cgroups.v2.Metrics', io.containerd.cgroups.v2.Metrics, { pids: { current: n } });
    }),
  );
  const found = await lines(tasks);
  assert.equal(found.filter((line) => line.startsWith('container_pids_current')).length, 97);
  assert.equal(found.filter((line) => line.startsWith('container_memory_oom_total')).length, 100);
  assert.ok(most <= 32, `${most} at once`);
});

test('out-of-memory events are counted until the task is deleted', async () => {
  const exchange = new EventExchange();
  const counter = new OomCounter();
  const abort = new AbortController();
  const following = counter.follow(exchange, abort.signal);
  const { TaskOOM, TaskDelete } = containerd.events;
  for (const containerId of ['a', 'a', 'b'])
    exchange.publish('ns', '/tasks/oom', pack('containerd.events.TaskOOM', TaskOOM, { containerId }));
  exchange.publish('other', '/tasks/oom', pack('containerd.events.TaskOOM', TaskOOM, { containerId: 'a' }));
  exchange.publish('ns', '/tasks/delete', pack('containerd.events.TaskDelete', TaskDelete, { containerId: 'b' }));
  await eventually(
    'the counts',
    () => counter.count('ns', 'a') === 2 && counter.count('other', 'a') === 1 && counter.count('ns', 'b') === 0,
  );
  abort.abort();
  await following;
});

test('the endpoint', async () => {
  const collector = new Collector({ tasks: () => [], ooms: () => 0, log });
  const server = await serveMetrics(collector, '127.0.0.1:0', log);
  try {
    const { port } = server.address() as AddressInfo;
    for (const path of ['/v1/metrics', '/metrics?x=1']) {
      const response = await fetch(`http://127.0.0.1:${port}${path}`);
      assert.equal(response.status, 200);
      assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
      assert.match(await response.text(), /^process_cpu_seconds_total /m);
    }
    assert.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 404);
    assert.equal((await fetch(`http://127.0.0.1:${port}/metrics`, { method: 'POST' })).status, 405);
    await assert.rejects(
      serveMetrics(collector, `127.0.0.1:${port}`, log),
      /cannot serve metrics at 127\.0\.0\.1:\d+: .*EADDRINUSE.*choose another address/,
    );
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test('addresses to serve at', () => {
  assert.deepEqual(parseAddress('127.0.0.1:1338'), { host: '127.0.0.1', port: 1338 });
  assert.deepEqual(parseAddress('[::1]:1'), { host: '::1', port: 1 });
  assert.deepEqual(parseAddress(':1338'), { host: undefined, port: 1338 });
  for (const bad of ['1338', 'host', 'host:x', 'host:99999'])
    assert.throws(() => parseAddress(bad), /is no address to serve metrics at/);
});
