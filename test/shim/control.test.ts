/** What is done to a living container: signals, freezing, limits, and the questions about it (contract §3.5, §3.6). */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { containerd, type google } from '../../src/api/index.js';
import { io } from '../../src/api/gen/metrics.js';
import { Code } from '../../src/ttrpc/index.js';
import { eventually, isPending, within } from '../support/eventually.js';
import { cgroupDir, isAlive, processInfo } from '../support/machine.js';
import { fails, hawserOnly, shimTest, STATUS, type Lab } from '../support/shim.js';
import { hostPid, sh, type TestSpec } from '../support/spec.js';

const v1 = (() => {
  try {
    readFileSync('/sys/fs/cgroup/cgroup.controllers');
    return false;
  } catch (error) {
    if (error instanceof Error) return true;
    throw error;
  }
})();

/** A 64-bit number of a decoded message, all of it. */
const digits = (value: unknown): string => (value as { toString(): string }).toString();

const memoryLimit = (limit: number) => (spec: TestSpec): void => { spec.linux.resources.memory = { limit, swap: limit }; };

function cgroupFile(lab: Lab, controller: string, id: string, name: string): string {
  return readFileSync(join(cgroupDir(controller, `${lab.cgroup}/${id}`), name), 'utf8').trim();
}

shimTest('signals reach the init, and with `all` every process', async (lab) => {
  const task = await lab.task('c', sh('trap "echo usr1" USR1; sh -c "trap \'echo child; exit\' USR1; echo up; while :; do sleep 0.05; done" & while :; do sleep 0.05; done'));
  await task.start();
  await task.out.saw('up');
  await task.kill(10);
  await task.out.saw('usr1');
  assert.ok(!task.out.text.includes('child'));
  await task.kill(10, { all: true });
  await task.out.saw('child');
  await task.kill(0);
  await fails(task.kill(1000), Code.Unknown, /^unknown error after kill: /);
});

shimTest('a signal to an exec reaches it alone', async (lab) => {
  const task = await lab.task('c');
  await task.start();
  await task.exec('e', ['/bin/sleep', '1000'], { stdout: '', stderr: '' });
  await task.start('e');
  await task.kill(15, { execId: 'e' });
  assert.equal((await task.wait('e')).exitStatus, 143);
  assert.equal((await task.state()).status, STATUS.RUNNING);
});

shimTest('bug 36: Kill of what runc no longer knows is NotFound, and Wait returns', async (lab) => {
  const binaryName = lab.fakeRunc('runc-forgets', `if [ "$command" = kill ]; then echo 'container "c" does not exist' >&2; exit 1; fi`);
  const task = await lab.task('c', undefined, { options: { binaryName } });
  await task.start();
  await fails(task.kill(9), Code.NotFound, 'no such container: not found');
  process.kill(task.pid, 'SIGKILL');
  assert.equal((await within('Wait', task.wait())).exitStatus, 137);
});

shimTest('what runc says about a failed kill becomes the class that clients look for', async (lab) => {
  const binaryName = lab.fakeRunc('runc-kill-text', `if [ "$command" = kill ] && [ -s "$lab/say" ]; then cat "$lab/say" >&2; exit 1; fi`);
  const task = await lab.task('c', undefined, { options: { binaryName } });
  await task.start();
  const say = join(lab.dir, 'say');
  for (const text of ['os: process already finished', 'container not running', 'No such process']) {
    writeFileSync(say, text);
    await fails(task.kill(9), Code.NotFound, 'process already finished: not found');
  }
  writeFileSync(say, 'the moon is full');
  await fails(task.kill(9), Code.Unknown, /^unknown error after kill: .*exit status 1: the moon is full$/);
  writeFileSync(say, '');
  await task.remove();
});

shimTest('pause freezes and resume goes on; the state shows it, of execs too', async (lab) => {
  const task = await lab.task('c', sh('i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done'));
  await task.start();
  await task.exec('e', ['/bin/sleep', '1000'], { stdout: '', stderr: '' });
  await task.start('e');
  await task.out.saw('3\n');
  await task.shim.task.Pause({ id: 'c' });
  assert.equal((await task.state()).status, STATUS.PAUSED);
  assert.equal((await task.state('e')).status, STATUS.PAUSED);
  if (v1) assert.equal(cgroupFile(lab, 'freezer', 'c', 'freezer.state'), 'FROZEN');
  await task.shim.task.Resume({ id: 'c' });
  assert.equal((await task.state()).status, STATUS.RUNNING);
  assert.equal((await task.state('e')).status, STATUS.RUNNING);
  const before = task.out.bytes;
  await eventually('output goes on', () => task.out.bytes > before);
  await lab.daemon.saw('resumed', 'c');
  assert.deepEqual(lab.daemon.story('c').slice(-2), ['paused', 'resumed']);
});

shimTest('the state is PAUSING while runc pause runs', async (lab) => {
  const binaryName = lab.fakeRunc('runc-slow-pause', `if [ "$command" = pause ]; then touch "$lab/pausing"; while [ -e "$lab/pausing" ]; do sleep 0.02; done; fi`);
  const task = await lab.task('c', undefined, { options: { binaryName } });
  await task.start();
  const pausing = task.shim.task.Pause({ id: 'c' });
  await eventually('PAUSING', async () => (await task.state()).status === STATUS.PAUSING);
  await eventually('runc pause runs', () => existsSync(join(lab.dir, 'pausing')));
  rmSync(join(lab.dir, 'pausing'));
  await pausing;
  assert.equal((await task.state()).status, STATUS.PAUSED);
}, { skip: hawserOnly });

shimTest('a paused container that is killed ends, and can be deleted', async (lab) => {
  const task = await lab.task('c');
  await task.start();
  await task.shim.task.Pause({ id: 'c' });
  await task.kill(9);
  // A frozen process takes its signal when it is thawed; on cgroup v2 it dies frozen.
  const waiting = task.wait();
  if (v1 && await isPending(waiting) && (await task.state()).status === STATUS.PAUSED) await task.shim.task.Resume({ id: 'c' });
  assert.equal((await within('the end', waiting)).exitStatus, 137);
  await task.delete();
});

shimTest('Pids has every process, and the exec each one is', async (lab) => {
  const task = await lab.task('c', sh('sleep 1000 & sleep 1000 & echo up; wait'));
  await task.start();
  await task.out.saw('up');
  await task.exec('e', ['/bin/sleep', '1000'], { stdout: '', stderr: '' });
  const { pid } = await task.start('e');
  const { processes } = await task.shim.task.Pids({ id: 'c' });
  assert.equal(processes.length, 4);
  assert.ok(processes.some((one) => one.pid === task.pid && !one.info));
  const exec = processes.find((one) => one.pid === pid);
  assert.equal(exec?.info?.type_url, 'containerd.runc.v1.ProcessDetails');
  assert.equal(containerd.runc.v1.ProcessDetails.decode(exec.info.value!).execId, 'e');
  for (const one of processes) assert.ok(isAlive(one.pid!));
});

shimTest('bug 25: Pids of a container that lives is never empty, created, running or paused', async (lab) => {
  const task = await lab.task('c');
  const pids = async (): Promise<(number | null | undefined)[]> => (await task.shim.task.Pids({ id: 'c' })).processes.map(({ pid }) => pid);
  assert.deepEqual(await pids(), [task.pid]);
  await task.start();
  assert.deepEqual(await pids(), [task.pid]);
  await task.shim.task.Pause({ id: 'c' });
  assert.deepEqual(await pids(), [task.pid]);
  await task.shim.task.Resume({ id: 'c' });
  await task.kill(9);
  await task.wait();
  assert.deepEqual(await pids(), []);
});

shimTest('bug 25: Pids doesn\'t depend on runc', async (lab) => {
  const binaryName = lab.fakeRunc('runc-no-ps', `if [ "$command" = ps ]; then exit 1; fi`);
  const task = await lab.task('c', undefined, { options: { binaryName } });
  await task.start();
  assert.equal((await task.shim.task.Pids({ id: 'c' })).processes[0]?.pid, task.pid);
}, { skip: hawserOnly });

shimTest('Update changes the limits in the cgroup, and says what runc says about nonsense', async (lab) => {
  const task = await lab.task('c', undefined, { edit: memoryLimit(64 << 20) });
  await task.start();
  const update = (resources: unknown): Promise<unknown> =>
    task.shim.task.Update({ id: 'c', resources: { type_url: 'any', value: Buffer.from(typeof resources === 'string' ? resources : JSON.stringify(resources)) } });
  const file = (controller: string, name: string): string => cgroupFile(lab, controller, 'c', name);
  assert.equal(file('memory', v1 ? 'memory.limit_in_bytes' : 'memory.max'), String(64 << 20));
  await update({ memory: { limit: 96 << 20, swap: 96 << 20 }, pids: { limit: 77 } });
  assert.equal(file('memory', v1 ? 'memory.limit_in_bytes' : 'memory.max'), String(96 << 20));
  assert.equal(file('pids', 'pids.max'), '77');
  await fails(update('{"memory":'), Code.Unknown, /runc did not terminate successfully: exit status 1: ./);
  await fails(task.shim.task.Update({ id: 'c' }), Code.InvalidArgument, /invalid argument/);
  assert.equal(file('pids', 'pids.max'), '77');
}, { skip: hawserOnly });

shimTest('Stats are the numbers in the cgroup, all their 64 bits', async (lab) => {
  const task = await lab.task('c', sh('dd if=/dev/zero of=/tmp/x bs=1M count=8 2>/dev/null; i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo up; exec sleep 1000'), {
    edit: (spec) => {
      spec.linux.resources.pids = { limit: 123 };
    },
  });
  await task.start();
  await task.out.saw('up');
  await eventually('it sleeps', () => processInfo(task.pid)?.name === 'sleep');
  if (!v1) {
    const { stats } = await task.shim.task.Stats({ id: 'c' });
    assert.equal(stats?.type_url, 'io.containerd.cgroups.v2.Metrics');
    const metrics = io.containerd.cgroups.v2.Metrics.decode(stats.value!);
    assert.equal(digits(metrics.memory?.usageLimit), '18446744073709551615');
    assert.equal(digits(metrics.pids?.limit), '123');
    return;
  }
  // The kernel settles a sleeping cgroup's counters when it likes: compare a moment in which they stood still.
  const live = [
    ['memory', 'memory.usage_in_bytes'], ['memory', 'memory.max_usage_in_bytes'], ['memory', 'memory.stat'], ['cpuacct', 'cpuacct.usage'],
  ] as const;
  const readAll = (): Map<string, string> => new Map(live.map(([controller, name]) => [name, cgroupFile(lab, controller, 'c', name)]));
  let before = readAll();
  let stats: google.protobuf.Any.$Properties | null | undefined;
  await eventually('the counters stand still around a call', async () => {
    before = readAll();
    ({ stats } = await task.shim.task.Stats({ id: 'c' }));
    return isDeepStrictEqual(before, readAll());
  });
  assert.equal(stats?.type_url, 'io.containerd.cgroups.v1.Metrics');
  const metrics = io.containerd.cgroups.v1.Metrics.decode(stats.value!);
  const file = (controller: string, name: string): string => before.get(name) ?? cgroupFile(lab, controller, 'c', name);
  assert.equal(digits(metrics.pids?.current), file('pids', 'pids.current'));
  assert.equal(digits(metrics.pids?.limit), '123');
  assert.equal(digits(metrics.memory?.usage?.limit), file('memory', 'memory.limit_in_bytes'));
  assert.ok(BigInt(digits(metrics.memory?.usage?.limit)) > 2n ** 53n, 'no limit is a number that a double cannot hold');
  assert.equal(digits(metrics.memory?.usage?.usage), file('memory', 'memory.usage_in_bytes'));
  assert.ok(Number(metrics.memory?.usage?.usage) > 8 << 20);
  assert.equal(digits(metrics.memory?.usage?.max), file('memory', 'memory.max_usage_in_bytes'));
  const raw = new Map(file('memory', 'memory.stat').split('\n').map((line) => line.split(' ') as [string, string]));
  assert.equal(digits(metrics.memory?.cache), raw.get('cache'));
  assert.equal(digits(metrics.memory?.hierarchicalMemoryLimit), raw.get('hierarchical_memory_limit'));
  assert.equal(digits(metrics.cpu?.usage?.total), file('cpuacct', 'cpuacct.usage'));
  assert.equal(metrics.cpu?.usage?.perCpu?.length, file('cpuacct', 'cpuacct.usage_percpu').split(' ').length);
  assert.ok(Number(metrics.cpu?.usage?.total) > 1e6);
});

shimTest('Stats of a container that has ended don\'t fail', async (lab) => {
  const task = await lab.task('c', ['/bin/true']);
  await task.start();
  await task.wait();
  const { stats } = await task.shim.task.Stats({ id: 'c' });
  assert.match(stats?.type_url ?? '', /^io\.containerd\.cgroups\.v[12]\.Metrics$/);
});

shimTest('bug 11: a container that the kernel kills for want of memory at once is told of, before its exit', async (lab) => {
  lab.bundle('c0');
  const shim = await lab.shim('c0');
  for (let round = 0; round < 5; round++) {
    const id = `oom${round}`;
    const task = await shim.add(id, sh('dd if=/dev/zero of=/dev/null bs=200M count=1'), { edit: memoryLimit(16 << 20), stdout: '', stderr: '' });
    await task.start();
    await task.wait();
    await lab.daemon.saw('exit', id);
    const story = lab.daemon.story(id);
    assert.deepEqual([story[0], story[1], story.at(-2)], ['create', 'start', 'oom'], story.join(', '));
    assert.match(story.at(-1)!, new RegExp(`^exit ${id} `));
    await task.delete();
  }
});

shimTest('bug 13: an OOM is told again when the id is used again, and a removed cgroup is no OOM', async (lab) => {
  const task = await lab.task('c', ['/bin/true'], { edit: memoryLimit(16 << 20) });
  await task.start();
  await task.wait();
  await task.delete();
  assert.deepEqual(lab.daemon.of('c', '/tasks/oom'), []);
  lab.bundle('c', sh('dd if=/dev/zero of=/dev/null bs=200M count=1'), memoryLimit(16 << 20));
  const again = await task.shim.create('c', { stdio: lab.stdio('again') });
  await again.start();
  await again.wait();
  await lab.daemon.saw('oom', 'c');
});

shimTest('bug 28: `all` works in a pid namespace of its own and in the host\'s', async (lab) => {
  const task = await lab.task('c', sh('sleep 1000 & echo up; wait'));
  const other = await task.shim.add('d', sh('sleep 1000 & echo up; wait'), { edit: hostPid });
  for (const one of [task, other]) {
    await one.start();
    await one.out.saw('up');
    await one.kill(9, { all: true });
    assert.equal((await one.wait()).exitStatus, 137);
    await one.delete();
  }
});
