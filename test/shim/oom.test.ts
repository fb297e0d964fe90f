/** What is told when the kernel kills for want of memory (contract §4.6): of whom, when, and that it is told before the exit. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, rounds } from '../support/eventually.js';
import { allProcesses, cgroupDir, hasCgroup2, quietly } from '../support/machine.js';
import { fails, hawserOnly, shimTest, STATUS, type Lab, type Shim, type Task } from '../support/shim.js';
import { sh, type TestSpec } from '../support/spec.js';
import { Code } from '../../src/ttrpc/index.js';

const v2 = hasCgroup2();
const onlyV2 = v2 ? false : 'cgroup v1 has nothing like it; `make test-cgroup2` runs it';
const quiet = { stdout: '', stderr: '' };
const LIMIT = 16 << 20;
/** Takes more than the limit at once. */
const GREEDY = 'dd if=/dev/zero of=/dev/null bs=200M count=1 2>/dev/null';

function limited(spec: TestSpec): void {
  spec.linux.resources.memory = { limit: LIMIT, swap: LIMIT };
}

function memoryFile(lab: Lab, name: string, id = 'c'): string {
  return readFileSync(join(cgroupDir('memory', `${lab.cgroup}/${id}`), name), 'utf8');
}

const counter = (text: string, name: string): number => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1]);

/** Descriptors and inotify watches by which a shim watches anything. */
function watches(shim: Shim): number {
  const infos = readdirSync(`/proc/${shim.worker}/fdinfo`).map(
    (fd) => quietly(() => readFileSync(`/proc/${shim.worker}/fdinfo/${fd}`, 'latin1')) ?? '',
  );
  return infos
    .join('')
    .split('\n')
    .filter((line) => line.startsWith('inotify wd:') || line.startsWith('eventfd-count:')).length;
}

/** The story of one life of a container that was killed for want of memory; it may have been told more than once. */
const ONE_LIFE = /^create, start, (oom, )+exit (\S+) 137, delete$/;

/** The events of a container in a line. One that came twice, as the daemon answered too late on a slow machine, is there once. */
function story(lab: Lab, id: string): string {
  return lab.daemon
    .story(id)
    .filter((event, index, all) => event === 'oom' || event !== all[index - 1])
    .join(', ');
}

shimTest('bug 11: an OOM is told before the exit, of a container that dies at once', async (lab) => {
  lab.bundle('keeper');
  const shim = await lab.shim('keeper');
  for (let round = 0; round < 5; round++) {
    const id = `oom${round}`;
    const task = await shim.add(id, ['/bin/dd', 'if=/dev/zero', 'of=/dev/null', 'bs=200M', 'count=1'], {
      edit: limited,
      ...quiet,
    });
    await task.start();
    assert.equal((await task.wait()).exitStatus, 137);
    await task.delete();
    await lab.daemon.saw('delete', id);
    assert.match(story(lab, id), ONE_LIFE);
  }
});

shimTest(
  "bug 11: an OOM between create and start's reply is told, as the watch begins at Create",
  async (lab) => {
    // What is killed is killed while runc start has not returned.
    const binaryName = lab.fakeRunc(
      'runc-late-start',
      `if [ "$command" = start ]; then
  "$runc" "$@"
  while [ -d "/proc/$(cat "$lab/bundles/c/init.pid")/fd" ] && ! grep -q 'State:.Z' "/proc/$(cat "$lab/bundles/c/init.pid")/status"; do sleep 0.02; done
  exit 0
fi`,
    );
    const task = await lab.task('c', ['/bin/dd', 'if=/dev/zero', 'of=/dev/null', 'bs=200M', 'count=1'], {
      edit: limited,
      options: { binaryName },
      ...quiet,
    });
    await task.start();
    assert.equal((await task.wait()).exitStatus, 137);
    await task.delete();
    await lab.daemon.saw('delete', 'c');
    assert.match(story(lab, 'c'), ONE_LIFE);
  },
  { skip: hawserOnly },
);

shimTest('an OOM of a child is told while the container lives on', async (lab) => {
  const task = await lab.task('c', sh(`${GREEDY}; echo "ended with $?"; exec sleep 1000`), { edit: limited });
  await task.start();
  await task.out.saw('ended with 137');
  await lab.daemon.saw('oom', 'c');
  assert.equal((await task.state()).status, STATUS.RUNNING);
  await task.remove();
});

shimTest(
  'an OOM of an exec is told before its exit, and the container lives on',
  async (lab) => {
    const task = await lab.task('c', undefined, { edit: limited });
    await task.start();
    await task.exec('e', ['/bin/dd', 'if=/dev/zero', 'of=/dev/null', 'bs=200M', 'count=1'], quiet);
    await task.start('e');
    assert.equal((await task.wait('e')).exitStatus, 137);
    await lab.daemon.saw('exit', 'c', 'e');
    assert.match(
      story(lab, 'c'),
      /^create, start, exec-added e, (?=.*oom, )(oom, )*exec-started e, (oom, )*exit e 137$/,
    );
    assert.equal((await task.state()).status, STATUS.RUNNING);
    await task.remove();
  },
  { skip: hawserOnly },
);

shimTest(
  'bug 12: memory that is refused without a kill is no OOM',
  async (lab) => {
    const task = await lab.task('c', sh('fallocate -l 64M /tmp/x 2>/dev/null; echo "ended with $?"; exec sleep 1000'), {
      edit: (spec) => {
        limited(spec);
        // Nothing in it may be killed; a file in memory is refused, and given back, where a page fault would wait for ever.
        (spec.process as { oomScoreAdj?: number }).oomScoreAdj = -1000;
      },
    });
    await task.start();
    await task.out.saw('ended with 1');
    const events = memoryFile(lab, 'memory.events');
    assert.ok(counter(events, 'oom') > 0, events);
    assert.equal(counter(events, 'oom_kill'), 0, events);
    await task.remove();
    await task.shim.shutdown();
    assert.deepEqual(lab.daemon.of('c', '/tasks/oom'), []);
  },
  { skip: onlyV2 },
);

shimTest(
  'bug 12: a cgroup whose processes are killed together tells of it before the exit',
  async (lab) => {
    const task = await lab.task('c', sh(`sleep 1000 & ${GREEDY}; exec sleep 1000`), {
      edit: (spec) => {
        limited(spec);
        spec.linux.resources.unified = { 'memory.oom.group': '1' };
      },
      ...quiet,
    });
    await task.start();
    assert.equal((await task.wait()).exitStatus, 137);
    await task.delete();
    await lab.daemon.saw('delete', 'c');
    assert.match(story(lab, 'c'), ONE_LIFE);
  },
  { skip: onlyV2 },
);

/** Splits the container's cgroup: the processes go below, the last child into a cgroup with a limit of its own. */
async function nest(lab: Lab, task: Task): Promise<void> {
  const dir = cgroupDir('memory', `${lab.cgroup}/c`);
  const child = await eventually('the child', () => allProcesses().find(({ ppid }) => ppid === task.pid));
  for (const name of ['init', 'job']) mkdirSync(join(dir, name));
  writeFileSync(join(dir, 'init/cgroup.procs'), String(task.pid));
  writeFileSync(join(dir, 'job/cgroup.procs'), String(child.pid));
  writeFileSync(join(dir, 'cgroup.subtree_control'), '+memory');
  writeFileSync(join(dir, 'job/memory.max'), String(LIMIT));
  writeFileSync(join(dir, 'job/memory.swap.max'), '0');
}

shimTest(
  "an OOM in a cgroup below the container's is the container's",
  async (lab) => {
    const task = await lab.task(
      'c',
      sh(`exec 3<&0; (read go <&3; exec ${GREEDY}) & wait $!; echo "ended with $?"; exec sleep 1000`),
      { stdin: true },
    );
    await task.start();
    await nest(lab, task);
    assert.equal(
      (await task.shim.task.Pids({ id: 'c' })).processes.length,
      2,
      "the processes below are the container's, too",
    );
    await (await task.stdio.input()).write('go\n');
    await task.out.saw('ended with 137');
    await lab.daemon.saw('oom', 'c');
    await task.remove();
    assert.equal(existsSync(cgroupDir('memory', `${lab.cgroup}/c`)), false, 'the cgroups below went with it');
  },
  { skip: onlyV2 },
);

shimTest(
  'bug 13: an id that is used again is watched again, and nothing is left of the watches before',
  async (lab) => {
    lab.bundle('c');
    const shim = await lab.shim('c');
    let before: number | undefined;
    for (let round = 1; round <= 4; round++) {
      const task = await shim.add('c', sh(GREEDY), { edit: limited, stdio: lab.stdio(`round${round}`, quiet) });
      await task.start();
      await task.wait();
      await task.delete();
      await eventually(`the story of round ${round}`, () => lab.daemon.of('c', '/tasks/delete').length === round);
      // What is there once and stays, such as libuv's own, is there after the first.
      before ??= watches(shim);
      assert.equal(watches(shim), before, `round ${round}`);
    }
    const lives = story(lab, 'c').split(/(?<=delete), /);
    assert.equal(lives.length, 4);
    for (const life of lives) assert.match(life, ONE_LIFE);
  },
);

shimTest('bug 13: a cgroup that is removed is no OOM, whether it was watched still or not', async (lab) => {
  const task = await lab.task('c', ['/bin/true'], { edit: limited });
  await task.start();
  await task.wait();
  await task.delete();
  // Of one that is deleted before it was started the cgroup goes while it is watched.
  const created = await task.shim.add('d', undefined, { edit: limited });
  await created.delete();
  const killed = await task.shim.add('e', undefined, { edit: limited });
  await killed.start();
  await killed.remove();
  await task.shim.shutdown();
  assert.deepEqual(
    lab.daemon.events.filter(({ topic }) => topic === '/tasks/oom'),
    [],
  );
});

shimTest('bug 32: a container whose create failed is not found, and harms nobody who asks for it', async (lab) => {
  lab.bundle('c', ['/bin/nothing-here'], limited);
  const shim = await lab.shim('c');
  await fails(shim.create('c', quiet), Code.Unknown, /nothing-here/);
  const { task } = shim;
  for (const call of [task.Stats, task.Pids, task.State, task.Pause, task.Start, task.Delete])
    await fails(call({ id: 'c' }), Code.NotFound, 'container not created: not found');
});

shimTest(
  'bug 33: a cgroup that cannot be loaded costs Stats, not the container',
  async (lab) => {
    // Its init is dead before the cgroup can be loaded: on v1 it is in none by then.
    const binaryName = lab.fakeRunc(
      'runc-dead-init',
      `if [ "$command" = create ]; then
  "$runc" "$@" || exit
  kill -9 "$(cat "$lab/bundles/c/init.pid")"
  while ! grep -q 'State:.Z' "/proc/$(cat "$lab/bundles/c/init.pid")/status" 2>/dev/null; do sleep 0.02; done
  exit 0
fi`,
    );
    const task = await lab.task('c', undefined, { edit: limited, options: { binaryName }, ...quiet });
    await lab.daemon.saw('exit', 'c');
    await task.shim.task.Stats({ id: 'c' }).then(
      ({ stats }) => assert.match(stats?.type_url ?? '', /^io\.containerd\.cgroups\.v2\./),
      (error: unknown) => fails(Promise.reject(error as Error), Code.NotFound, 'cgroup does not exist: not found'),
    );
    await fails(task.start(), Code.Unknown, 'cannot start a stopped process');
    await task.delete();
    await fails(task.shim.task.Stats({ id: 'c' }), Code.NotFound, 'container not created: not found');
  },
  { skip: hawserOnly },
);

shimTest(
  'field 31: 8 pods, round after round: every OOM is told, of the right container, before its exit',
  async (lab) => {
    const lifetimes = rounds(10);
    await Promise.all(
      Array.from({ length: 8 }, async (_, pod) => {
        const id = `pod${pod}`;
        lab.bundle(id);
        const shim = await lab.shim(id);
        for (let round = 0; round < lifetimes; round++) {
          const task = await shim.add(id, sh(GREEDY), { edit: limited, stdio: lab.stdio(`${id}-${round}`, quiet) });
          await task.start();
          assert.equal((await task.wait()).exitStatus, 137);
          await task.delete();
        }
        await shim.shutdown();
        const lives = story(lab, id).split(/(?<=delete), /);
        assert.equal(lives.length, lifetimes, lives.join('; '));
        for (const life of lives) assert.match(life, ONE_LIFE);
      }),
    );
  },
  { timeout: 180_000 },
);
