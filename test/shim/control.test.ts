/** What is done to a living container: signals, freezing, limits, and the questions about it (contract §3.5, §3.6). */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { containerd } from '../../src/api/index.js';
import { Code } from '../../src/ttrpc/index.js';
import { eventually, within } from '../support/eventually.js';
import { cgroupDir, hasCgroup2, isAlive } from '../support/machine.js';
import { isCrun, signalsAll } from '../support/runtime.js';
import { fails, hawserOnly, shimTest, STATUS, type Lab } from '../support/shim.js';
import { hostPid, sh, type TestSpec } from '../support/spec.js';

const v1 = !hasCgroup2();

const memoryLimit =
  (limit: number) =>
  (spec: TestSpec): void => {
    spec.linux.resources.memory = { limit, swap: limit };
  };

function cgroupFile(lab: Lab, controller: string, id: string, name: string): string {
  return readFileSync(join(cgroupDir(controller, `${lab.cgroup}/${id}`), name), 'utf8').trim();
}

shimTest('signals reach the init, and with `all` every process', async (lab) => {
  const task = await lab.task(
    'c',
    sh(
      'trap "echo usr1" USR1; sh -c "trap \'echo child; exit\' USR1; echo up; while :; do sleep 0.05; done" & while :; do sleep 0.05; done',
    ),
  );
  await task.start();
  await task.out.saw('up');
  await task.kill(10);
  await task.out.saw('usr1');
  assert.ok(!task.out.text.includes('child'));
  await task.kill(10, { all: true });
  if (signalsAll) await task.out.saw('child');
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
  const binaryName = lab.fakeRunc(
    'runc-forgets',
    `if [ "$command" = kill ]; then echo 'container "c" does not exist' >&2; exit 1; fi`,
  );
  const task = await lab.task('c', undefined, { options: { binaryName } });
  await task.start();
  await fails(task.kill(9), Code.NotFound, 'no such container: not found');
  process.kill(task.pid, 'SIGKILL');
  assert.equal((await within('Wait', task.wait())).exitStatus, 137);
});

shimTest('what runc says about a failed kill becomes the class that clients look for', async (lab) => {
  const binaryName = lab.fakeRunc(
    'runc-kill-text',
    `if [ "$command" = kill ] && [ -s "$lab/say" ]; then cat "$lab/say" >&2; exit 1; fi`,
  );
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
  else assert.match(cgroupFile(lab, '', 'c', 'cgroup.events'), /^frozen 1$/m);
  await task.shim.task.Resume({ id: 'c' });
  assert.equal((await task.state()).status, STATUS.RUNNING);
  assert.equal((await task.state('e')).status, STATUS.RUNNING);
  const before = task.out.bytes;
  await eventually('output goes on', () => task.out.bytes > before);
  await lab.daemon.saw('resumed', 'c');
  assert.deepEqual(lab.daemon.story('c').slice(-2), ['paused', 'resumed']);
});

shimTest(
  'the state is PAUSING while runc pause runs',
  async (lab) => {
    const binaryName = lab.fakeRunc(
      'runc-slow-pause',
      `if [ "$command" = pause ]; then touch "$lab/pausing"; while [ -e "$lab/pausing" ]; do sleep 0.02; done; fi`,
    );
    const task = await lab.task('c', undefined, { options: { binaryName } });
    await task.start();
    const pausing = task.shim.task.Pause({ id: 'c' });
    await eventually('PAUSING', async () => (await task.state()).status === STATUS.PAUSING);
    await eventually('runc pause runs', () => existsSync(join(lab.dir, 'pausing')));
    rmSync(join(lab.dir, 'pausing'));
    await pausing;
    assert.equal((await task.state()).status, STATUS.PAUSED);
  },
  { skip: hawserOnly },
);

shimTest('a paused container that is killed ends, and can be deleted', async (lab) => {
  const task = await lab.task('c');
  await task.start();
  await task.shim.task.Pause({ id: 'c' });
  await task.kill(9);
  // On cgroup v1 it dies when it is thawed, which runc does, and crun leaves to the client; on v2 it dies frozen.
  if (isCrun && !hasCgroup2()) await task.shim.task.Resume({ id: 'c' });
  assert.equal((await within('the end', task.wait())).exitStatus, 137);
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
  const pids = async (): Promise<(number | null | undefined)[]> =>
    (await task.shim.task.Pids({ id: 'c' })).processes.map(({ pid }) => pid);
  assert.deepEqual(await pids(), [task.pid]);
  await task.start();
  assert.deepEqual(await pids(), [task.pid]);
  await task.shim.task.Pause({ id: 'c' });
  assert.deepEqual(await pids(), [task.pid]);
  await task.shim.task.Resume({ id: 'c' });
  await task.kill(9);
  await task.wait();
  await lab.daemon.saw('exit', 'c');
  await eventually('a container that has ended has no process', async () => (await pids()).length === 0);
});

shimTest(
  'Pids names the init that has ended until the daemon has its exit: one that restarts would else remove the task',
  async (lab) => {
    const task = await lab.task('c', sh('exit 5'));
    lab.daemon.stop();
    await task.start();
    await task.wait();
    const pids = async (): Promise<unknown> => (await task.shim.task.Pids({ id: 'c' })).processes.map(({ pid }) => pid);
    assert.deepEqual(await pids(), [task.pid]);
    await lab.daemon.start();
    await lab.daemon.saw('exit', 'c');
    await eventually('it counts no more', async () => JSON.stringify(await pids()) === '[]');
  },
  { skip: hawserOnly },
);

shimTest(
  'Pids names an init that has ended while its exit is yet to be published',
  async (lab) => {
    const binaryName = lab.fakeRunc(
      'runc-slow-kill',
      'if [ "$command" = kill ]; then while [ ! -e "$lab/go" ]; do sleep 0.05; done; fi',
    );
    const task = await lab.task('c', ['/bin/sleep', '1000'], {
      options: { binaryName },
      edit: hostPid,
      stdout: '',
      stderr: '',
    });
    await task.start();
    // What it leaves in the host's pid namespace is killed before its exit is told.
    process.kill(task.pid, 'SIGKILL');
    await eventually('it is reaped', () => !existsSync(`/proc/${task.pid}`));
    assert.deepEqual(
      (await task.shim.task.Pids({ id: 'c' })).processes.map(({ pid }) => pid),
      [task.pid],
    );
    assert.equal(lab.daemon.of('c', '/tasks/exit').length, 0);
    writeFileSync(join(lab.dir, 'go'), '');
    await lab.daemon.saw('exit', 'c');
  },
  { skip: hawserOnly },
);

shimTest(
  "bug 25: Pids doesn't depend on runc",
  async (lab) => {
    const binaryName = lab.fakeRunc('runc-no-ps', `if [ "$command" = ps ]; then exit 1; fi`);
    const task = await lab.task('c', undefined, { options: { binaryName } });
    await task.start();
    assert.equal((await task.shim.task.Pids({ id: 'c' })).processes[0]?.pid, task.pid);
  },
  { skip: hawserOnly },
);

shimTest(
  'Update changes the limits in the cgroup, and says what runc says about nonsense',
  async (lab) => {
    const task = await lab.task('c', undefined, { edit: memoryLimit(64 << 20) });
    await task.start();
    const update = (resources: unknown): Promise<unknown> =>
      task.shim.task.Update({
        id: 'c',
        resources: {
          type_url: 'any',
          value: Buffer.from(typeof resources === 'string' ? resources : JSON.stringify(resources)),
        },
      });
    const file = (controller: string, name: string): string => cgroupFile(lab, controller, 'c', name);
    assert.equal(file('memory', v1 ? 'memory.limit_in_bytes' : 'memory.max'), String(64 << 20));
    await update({ memory: { limit: 96 << 20, swap: 96 << 20 }, pids: { limit: 77 } });
    assert.equal(file('memory', v1 ? 'memory.limit_in_bytes' : 'memory.max'), String(96 << 20));
    assert.equal(file('pids', 'pids.max'), '77');
    await fails(update('{"memory":'), Code.Unknown, /runc did not terminate successfully: exit status 1: ./);
    await fails(task.shim.task.Update({ id: 'c' }), Code.InvalidArgument, /invalid argument/);
    assert.equal(file('pids', 'pids.max'), '77');
  },
  { skip: hawserOnly },
);

shimTest("bug 28: `all` works in a pid namespace of its own and in the host's", async (lab) => {
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
