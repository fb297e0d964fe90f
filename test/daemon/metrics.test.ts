/** What Prometheus is told by a hawserd that runs real containers. */
import assert from 'node:assert/strict';
import { appendFileSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Containerd, shimDir, top, until } from '../support/daemons.js';
import { cgroupDir, hasCgroup2 } from '../support/machine.js';

const LIMIT = 16 << 20;
let hawserd: Containerd;
let port: string;

before(async () => {
  hawserd = new Containerd(shimDir, join(top, 'bin/hawserd'));
  appendFileSync(join(hawserd.dir, 'config.toml'), '[metrics]\n  address = "127.0.0.1:0"\n');
  await hawserd.start();
  port = /"port":(\d+),"msg":"serving metrics"/.exec(hawserd.logText())![1]!;
});
after(() => hawserd.cleanUp());

/** Values by name and labels, as `name{label="value"}`. */
async function scrape(path: string): Promise<Map<string, number>> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers: { connection: 'close' } });
  assert.equal(response.status, 200);
  assert.match(response.headers.get('content-type')!, /^text\/plain; version=0\.0\.4/);
  const lines = (await response.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(lines.map((line) => [line.replace(/ [^ ]+$/, ''), Number(line.split(' ').at(-1))]));
}

const of = (name: string, id: string): string => `${name}{container_id="${id}",namespace="${hawserd.namespace}"}`;
const [CPU, MEMORY] = hasCgroup2()
  ? ['container_cpu_usage_usec_microseconds', 'container_memory_usage_bytes']
  : ['container_cpu_total_nanoseconds', 'container_memory_usage_usage_bytes'];
const [PIDS, OOM] = ['container_pids_current', 'container_memory_oom_total'];

async function remove(id: string): Promise<void> {
  await hawserd.ctr(['tasks', 'kill', '-s', 'SIGKILL', '-a', id], { reject: false });
  await until(
    `task ${id} to be removed`,
    async () => (await hawserd.ctr(['tasks', 'rm', id], { reject: false })).exitCode === 0,
  );
  await hawserd.ctr(['containers', 'rm', id]);
}

test('what containers use, by container and namespace, at both paths; gone when they are', async () => {
  for (const id of ['busy', 'idle']) {
    await hawserd.ctr([
      'run',
      '-d',
      '--rootfs',
      hawserd.rootfs,
      id,
      '/bin/sh',
      '-c',
      id === 'busy' ? 'while :; do :; done' : 'exec sleep 1000',
    ]);
  }
  let before = 0;
  for (const path of ['/v1/metrics', '/metrics']) {
    const found = await until('the busy one to be busy', async () => {
      const samples = await scrape(path);
      return samples.get(of(CPU, 'busy'))! > before && samples;
    });
    before = found.get(of(CPU, 'busy'))!;
    for (const id of ['busy', 'idle']) {
      assert.ok(found.get(of(MEMORY, id))! > 0, `${of(MEMORY, id)} in ${[...found.keys()].join('\n')}`);
      assert.equal(found.get(of(PIDS, id)), 1);
      assert.equal(found.get(of(OOM, id)), 0);
    }
    assert.ok(found.get('process_resident_memory_bytes')! > 0);
  }
  assert.equal((await fetch(`http://127.0.0.1:${port}/other`, { headers: { connection: 'close' } })).status, 404);
  for (const id of ['busy', 'idle']) await remove(id);
  assert.deepEqual(
    [...(await scrape('/metrics')).keys()].filter((name) => name.startsWith('container_')),
    [],
  );
});

test('each time a container runs out of memory is counted, of it alone, and no longer when it is gone', async () => {
  const greedy =
    'while [ ! -e /tmp/go ]; do sleep 0.05; done; dd if=/dev/zero of=/dev/null bs=200M count=1; while [ ! -e /tmp/more ]; do sleep 0.05; done; exec dd if=/dev/zero of=/dev/null bs=200M count=1';
  await hawserd.ctr([
    'run',
    '-d',
    '--memory-limit',
    String(LIMIT),
    '--rootfs',
    hawserd.rootfs,
    'starved',
    '/bin/sh',
    '-c',
    greedy,
  ]);
  await hawserd.ctr(['run', '-d', '--rootfs', hawserd.rootfs, 'sated', '/bin/sleep', '1000']);
  forbidSwap('starved');
  assert.deepEqual(
    [(await scrape('/metrics')).get(of(OOM, 'starved')), (await scrape('/metrics')).get(of(OOM, 'sated'))],
    [0, 0],
  );

  writeFileSync(join(hawserd.rootfs, 'tmp/go'), '');
  const first = await until(
    'the death of a child to be counted',
    async () => (await scrape('/v1/metrics')).get(of(OOM, 'starved')) || undefined,
  );
  assert.equal((await scrape('/metrics')).get(of(PIDS, 'sated')), 1);
  writeFileSync(join(hawserd.rootfs, 'tmp/more'), '');
  await until('it to be killed', async () =>
    /^starved +\d+ +STOPPED/m.test((await hawserd.ctr(['tasks', 'ls'])).stdout),
  );
  // On cgroup v2 the counter is a file of the cgroup, and goes with it.
  if (!hasCgroup2())
    await until('its own death to be counted', async () => (await scrape('/metrics')).get(of(OOM, 'starved'))! > first);
  assert.equal((await scrape('/metrics')).get(of(OOM, 'sated')), 0);

  await remove('starved');
  assert.equal((await scrape('/metrics')).get(of(OOM, 'starved')), undefined);
  await hawserd.ctr(['run', '-d', '--rootfs', hawserd.rootfs, 'starved', '/bin/sleep', '1000']);
  assert.equal((await scrape('/metrics')).get(of(OOM, 'starved')), 0, 'another one of the same name starts anew');
  for (const id of ['starved', 'sated']) await remove(id);
});

/** ctr has no flag for it. */
function forbidSwap(id: string): void {
  const dir = cgroupDir('memory', `/${hawserd.namespace}/${id}`);
  for (const [name, value] of [
    ['memory.memsw.limit_in_bytes', LIMIT],
    ['memory.swap.max', 0],
  ] as const) {
    if (existsSync(join(dir, name))) writeFileSync(join(dir, name), String(value));
  }
}
