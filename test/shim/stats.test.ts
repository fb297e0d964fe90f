/** Stats: what the cgroup says, to the last bit, and what the Go shim says of it (contract §3.6). */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { google } from '../../src/api/index.js';
import { io } from '../../src/api/gen/metrics.js';
import { eventually, within } from '../support/eventually.js';
import { cgroupDir, hasCgroup2 } from '../support/machine.js';
import { hawserOnly, shimTest, type Lab, type Task } from '../support/shim.js';
import { asleep, running } from '../support/sleeping.js';
import { sh, type TestSpec } from '../support/spec.js';
import { stockStats } from '../support/stock-shim.js';

type Any = google.protobuf.Any.$Properties;
interface Tree {
  [field: string]: string | Tree | Tree[] | string[];
}

const v2 = hasCgroup2();
const { Metrics } = v2 ? io.containerd.cgroups.v2 : io.containerd.cgroups.v1;

/** Fields of cgroup v2 that only the shims of containerd 2.x know. */
const NEWER = [
  'cpu.psi',
  'cpu.nrBursts',
  'cpu.burstUsec',
  'memory.psi',
  'memory.maxUsage',
  'memory.swapMaxUsage',
  'io.psi',
  'hugetlb.failcnt',
  'memoryEvents.oomGroupKill',
];

/** A decoded message as plain data: numbers as their digits, zeros left out as on the wire. */
function plain(value: unknown): string | Tree | Tree[] | string[] {
  if (Array.isArray(value)) return value.map(plain) as Tree[] | string[];
  if (typeof value !== 'object' || value === null || 'unsigned' in value) return String(value);
  const kept = Object.entries(value)
    .map(([name, field]) => [name, plain(field)] as const)
    .filter(([, field]) => field !== '0' && field !== '');
  return Object.fromEntries(kept);
}

function decoded({ type_url: type, value }: Any): Tree {
  assert.equal(type, `io.containerd.cgroups.v${v2 ? 2 : 1}.Metrics`);
  const tree = plain(Metrics.decode(value!)) as Tree;
  // Sizes of pages come in whatever order the directory has.
  (tree.hugetlb as { pagesize: string }[] | undefined)?.sort((a, b) => a.pagesize.localeCompare(b.pagesize));
  return tree;
}

function without(tree: Tree, paths: readonly string[], prefix = ''): Tree {
  const kept = Object.entries(tree).filter(([name]) => !paths.includes(prefix + name));
  return Object.fromEntries(
    kept.map(([name, field]) => {
      const cut = (one: string | Tree): string | Tree =>
        typeof one === 'string' ? one : without(one, paths, `${prefix}${name}.`);
      return [name, Array.isArray(field) ? (field.map(cut) as Tree[]) : cut(field)];
    }),
  );
}

/** Every path to a number in it. */
function leaves(tree: Tree, prefix = ''): string[] {
  return Object.entries(tree).flatMap(([name, field]) => {
    const all = Array.isArray(field) ? field : [field];
    return all.flatMap((one) => (typeof one === 'string' ? [prefix + name] : leaves(one, `${prefix}${name}.`)));
  });
}

async function stats(task: Task): Promise<Tree> {
  return decoded((await task.shim.task.Stats({ id: task.id })).stats!);
}

/** Ours, and what the Go shim says at the same moment: it says the same before and after. */
async function both(task: Task, stock: () => Promise<Any>): Promise<{ ours: Tree; go: Tree }> {
  let before = decoded(await stock());
  return eventually('the counters stand still around a call', async () => {
    const ours = await stats(task);
    const after = decoded(await stock());
    const still = isDeepStrictEqual(before, after);
    before = after;
    return still ? { ours, go: after } : undefined;
  });
}

/** As {@link both}, of a shim that has gone to sleep, and sleeps on. */
async function bothAsleep(task: Task, stock: () => Promise<Any>): ReturnType<typeof both> {
  await asleep(task.shim);
  const found = await both(task, stock);
  assert.equal(task.shim.awake, undefined, 'nobody had to be woken for that');
  return found;
}

/** What containerd 1.6 and 1.7 know of ours, against theirs. */
function assertSame(ours: Tree, go: Tree): void {
  const newer = v2
    ? NEWER.filter((path) => !leaves(go).some((leaf) => leaf === path || leaf.startsWith(`${path}.`)))
    : [];
  assert.deepEqual(without(ours, newer), go);
}

const controllerDir = (lab: Lab, controller: string, id: string): string =>
  cgroupDir(controller, `${lab.cgroup}/${id}`);
const cgroupFile = (lab: Lab, controller: string, id: string, name: string): string =>
  readFileSync(join(controllerDir(lab, controller, id), name), 'utf8').trim();

/** A block device with something to read, for the counters of block devices. */
function loopDevice(lab: Lab): { path: string; major: number; minor: number } {
  const image = join(lab.dir, 'disk');
  writeFileSync(image, '');
  truncateSync(image, 48 << 20);
  spawnSync('modprobe', ['loop']);
  const { status, stdout, stderr } = spawnSync('losetup', ['-f', '--show', image], { encoding: 'utf8' });
  assert.equal(status, 0, `losetup: ${stderr}`);
  const path = stdout.trim();
  lab.defer(() => void spawnSync('losetup', ['-d', path]));
  const [major = '', minor = ''] = readFileSync(`/sys/block/${path.replace('/dev/', '')}/dev`, 'utf8')
    .trim()
    .split(':');
  return { path, major: Number(major), minor: Number(minor) };
}

/** A container that has used some of everything, and uses a processor still. */
async function busyTask(lab: Lab, edit: (spec: TestSpec) => void = () => undefined): Promise<Task> {
  const { major, minor } = loopDevice(lab);
  const task = await running(
    lab,
    'c',
    sh(
      `dd if=/dev/zero of=/tmp/x bs=1M count=4 2>/dev/null; mknod /tmp/disk b ${major} ${minor}; cat /tmp/disk >/dev/null; sleep 1000 & echo up; while :; do :; done`,
    ),
    {
      edit: (spec) => {
        spec.linux.resources.pids = { limit: 123 };
        spec.linux.resources.memory = { limit: 32 << 20 };
        spec.linux.resources.cpu = { quota: 20_000, period: 100_000 };
        // Without a limit for the device some kernels don't count for it.
        spec.linux.resources.blockIO = { throttleReadBpsDevice: [{ major, minor, rate: 2 ** 40 }] };
        edit(spec);
      },
    },
  );
  await within('the container to be busy', task.out.saw('up'), 60_000);
  await eventually('it is throttled', () => /nr_throttled [1-9]/.test(cgroupFile(lab, 'cpu', 'c', 'cpu.stat')));
  return task;
}

shimTest(
  'Stats are those of the Go shim for the same container at the same moment, field by field',
  async (lab) => {
    const task = await busyTask(lab);
    const stock = await stockStats(lab, task.pid);
    await task.shim.task.Pause({ id: 'c' });
    const { ours, go } = await both(task, stock);
    assertSame(ours, go);
    // That they are the same says little if they are all zero. (Ticks of user and kernel time may be.)
    const some = v2
      ? [
          'pids.current',
          'pids.limit',
          'cpu.usageUsec',
          'cpu.nrPeriods',
          'cpu.nrThrottled',
          'cpu.throttledUsec',
          'memory.shmem',
          'memory.pgfault',
          'memory.usage',
          'memory.usageLimit',
          'memory.swapLimit',
          'memory.anon',
          'memory.file',
          'io.usage.rbytes',
          'io.usage.rios',
          'memoryEvents.max',
        ]
      : [
          'pids.current',
          'pids.limit',
          'cpu.usage.total',
          'cpu.usage.perCpu',
          'cpu.throttling.periods',
          'cpu.throttling.throttledPeriods',
          'cpu.throttling.throttledTime',
          'memory.cache',
          'memory.rss',
          'memory.pgFault',
          'memory.totalCache',
          'memory.hierarchicalMemoryLimit',
          'memory.usage.usage',
          'memory.usage.limit',
          'memory.usage.max',
          'memory.usage.failcnt',
          'blkio.ioServiceBytesRecursive.value',
          'blkio.ioServicedRecursive.device',
        ];
    const filled = new Set(leaves(go));
    assert.deepEqual(
      some.filter((path) => !filled.has(path)),
      [],
    );
    if (!hawserOnly) {
      const { ours, go } = await bothAsleep(task, stock);
      assertSame(ours, go);
    }
    await task.shim.task.Resume({ id: 'c' });
    await task.remove();
  },
  { timeout: 120_000 },
);

shimTest('limits beyond 2^53, and no limit, are those of the Go shim', async (lab) => {
  const limit = 2 ** 60;
  const task = await lab.task('c', undefined, {
    edit: (spec) => {
      spec.linux.resources.memory = { limit };
    },
  });
  await task.start();
  const stock = await stockStats(lab, task.pid);
  const { ours, go } = await both(task, stock);
  assertSame(ours, go);
  const memory = ours.memory as Tree;
  if (v2)
    assert.deepEqual(
      [memory.usageLimit, memory.swapLimit, (ours.pids as Tree).limit],
      [String(2n ** 60n), String(2n ** 64n - 1n), (go.pids as Tree).limit],
    );
  else
    assert.deepEqual(
      [(memory.usage as Tree).limit, memory.hierarchicalMemoryLimit, (ours.pids as Tree).limit],
      [String(2n ** 60n), String(2n ** 60n), undefined],
    );
  await task.remove();
});

/** Beyond 2^53, and different for each. */
const big = (index: number): string => String(2n ** 62n + BigInt(index) * 1_000_003n + 1n);

/** Files of the cgroup with counters that no container reaches, by controller; what a kernel lacks stays away. */
function fixture(dir: (controller: string) => string): Map<string, string> {
  let index = 0;
  const counted = (controller: string, name: string): [string, string][] => {
    const path = join(dir(controller), name);
    if (!existsSync(path)) return [];
    return [[path, readFileSync(path, 'utf8').replace(/(?<=^|[ =])(\d+|max)(?= |\n|$)/gm, () => big(index++))]];
  };
  const plainFiles = v2
    ? ([
        [
          '',
          [
            'cpu.stat',
            'memory.stat',
            'memory.current',
            'memory.max',
            'memory.swap.current',
            'memory.swap.max',
            'memory.events',
            'pids.current',
            'pids.max',
          ],
        ],
      ] as const)
    : ([
        ['cpu', ['cpu.stat']],
        ['cpuacct', ['cpuacct.usage', 'cpuacct.usage_percpu']],
        ['pids', ['pids.current', 'pids.max']],
        [
          'memory',
          [
            'memory.stat',
            'memory.usage_in_bytes',
            'memory.max_usage_in_bytes',
            'memory.failcnt',
            'memory.limit_in_bytes',
            'memory.memsw.usage_in_bytes',
            'memory.memsw.limit_in_bytes',
            'memory.kmem.tcp.limit_in_bytes',
          ],
        ],
      ] as const);
  return new Map([
    ...plainFiles.flatMap(([controller, names]) => names.flatMap((name) => counted(controller, name))),
    ...(v2
      ? ([
          [
            join(dir(''), 'io.stat'),
            `8:0 rbytes=${big(900)} wbytes=${big(901)} rios=${big(902)} wios=${big(903)} dbytes=1 dios=2\n`,
          ],
        ] as const)
      : ([
          [
            join(dir('blkio'), 'blkio.throttle.io_service_bytes'),
            `9999:3 Read ${big(900)}\n9999:3 Write ${big(901)}\n9999:3 Total 5\nTotal 5\n`,
          ],
        ] as const)),
  ]);
}

shimTest(
  'counters beyond 2^53 are those of the Go shim, to the last bit',
  async (lab) => {
    const task = await running(lab, 'c', ['/bin/sleep', '1000']);
    const stock = await stockStats(lab, task.pid);
    const files = fixture((controller) => controllerDir(lab, controller, 'c'));
    for (const [index, [path, text]] of [...files].entries()) {
      const file = join(lab.dir, `file${index}`);
      writeFileSync(file, text);
      const { status, stderr } = spawnSync('mount', ['--bind', file, path], { encoding: 'utf8' });
      assert.equal(status, 0, `mount ${path}: ${stderr}`);
      lab.defer(() => void spawnSync('umount', ['-l', path]));
    }
    const { ours, go } = await both(task, stock);
    assertSame(ours, go);
    const wanted = new Set([...files.values()].flatMap((text) => text.match(/\b\d{18,}\b/g) ?? []));
    const told = new Set(JSON.stringify(ours).match(/\b\d{18,}\b/g) ?? []);
    assert.ok(told.size > 30, `${told.size} of ${wanted.size} numbers`);
    const noLimit = [2n ** 63n - 4096n, 2n ** 64n - 1n].map(String);
    assert.deepEqual(
      [...told].filter((number) => !wanted.has(number) && !noLimit.includes(number)),
      [],
    );
    if (hawserOnly) return;
    const sleeping = await bothAsleep(task, stock);
    assertSame(sleeping.ours, sleeping.go);
    assert.deepEqual(sleeping.ours, ours);
  },
  { timeout: 120_000 },
);

if (v2) {
  shimTest(
    'what only containerd 2.x knows of a cgroup v2 is what the files say',
    async (lab) => {
      const task = await busyTask(lab);
      await task.shim.task.Pause({ id: 'c' });
      const file = (name: string): string => cgroupFile(lab, '', 'c', name);
      const ours = await eventually('the counters stand still around a call', async () => {
        const before = [file('memory.peak'), file('memory.events'), file('cpu.stat')];
        const tree = await stats(task);
        return isDeepStrictEqual(before, [file('memory.peak'), file('memory.events'), file('cpu.stat')])
          ? tree
          : undefined;
      });
      const memory = ours.memory as Tree;
      assert.equal(memory.maxUsage, file('memory.peak'));
      assert.ok(BigInt(memory.maxUsage) > 8n << 20n);
      // Averages move by themselves; a container that was throttled has waited.
      for (const resource of ['cpu', 'memory', 'io'])
        assert.deepEqual(Object.keys((ours[resource] as Tree).psi!), ['some', 'full'], resource);
      assert.ok(BigInt((((ours.cpu as Tree).psi as Tree).some as Tree).total as string) > 0n);
      await task.shim.task.Resume({ id: 'c' });
      await task.remove();
    },
    { timeout: 120_000 },
  );
}

shimTest("Stats of a container that has ended don't fail", async (lab) => {
  const task = await lab.task('c', ['/bin/true']);
  await task.start();
  await task.wait();
  assert.ok('pids' in (await stats(task)));
});
