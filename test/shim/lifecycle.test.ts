/** A container's and an exec's life, state by state (contract §3.3 to §3.5). */
import assert from 'node:assert/strict';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ContainerdTaskV2Task, millis } from '../../src/api/index.js';
import { Code } from '../../src/ttrpc/index.js';
import { eventually, isPending } from '../support/eventually.js';
import { isAlive } from '../support/machine.js';
import { bundleFile, fails, hawserOnly, shimTest, STATUS } from '../support/shim.js';
import { sh } from '../support/spec.js';

shimTest('a container is created, started, ends with its exit code, is deleted, and leaves nothing', async (lab) => {
  const task = await lab.task('c', sh('echo out; echo err >&2; exit 7'));
  assert.ok(isAlive(task.pid));
  const created = await task.state();
  assert.deepEqual(
    {
      id: created.id,
      pid: created.pid,
      status: created.status,
      exitStatus: created.exitStatus,
      bundle: created.bundle,
      stdout: created.stdout,
    },
    {
      id: 'c',
      pid: task.pid,
      status: STATUS.CREATED,
      exitStatus: 0,
      bundle: lab.bundlePath('c'),
      stdout: task.stdio.paths.stdout,
    },
  );
  const waiting = task.wait();
  assert.equal((await task.start()).pid, task.pid);
  const waited = await waiting;
  assert.equal(waited.exitStatus, 7);
  assert.ok(Math.abs(Date.now() - millis(waited.exitedAt)!) < 60_000);
  const stopped = await task.state();
  assert.deepEqual(
    { status: stopped.status, exitStatus: stopped.exitStatus, exitedAt: millis(stopped.exitedAt) },
    { status: STATUS.STOPPED, exitStatus: 7, exitedAt: millis(waited.exitedAt) },
  );
  assert.equal((await task.out.ended).toString(), 'out\n');
  assert.equal((await task.err.ended).toString(), 'err\n');
  const deleted = await task.delete();
  assert.deepEqual(
    { pid: deleted.pid, exitStatus: deleted.exitStatus, exitedAt: millis(deleted.exitedAt) },
    { pid: task.pid, exitStatus: 7, exitedAt: millis(waited.exitedAt) },
  );
  await lab.daemon.saw('delete', 'c');
  assert.deepEqual(lab.daemon.story('c'), ['create', 'start', 'exit c 7', 'delete']);
  await task.shim.shutdown();
  const { status, stderr } = await lab.deleteAction('c');
  assert.equal(status, 0);
  if (!hawserOnly) assert.equal(stderr, '');
  await lab.assertNothingLeft();
});

shimTest('bug 53: what has not ended has the zero time of Go, sent and not left out', async (lab) => {
  const task = await lab.task('c');
  const { exitedAt } = await task.state();
  assert.equal(Number(exitedAt?.seconds), -62135596800);
  await task.start();
  await task.exec('e', ['/bin/true']);
  assert.equal(Number((await task.state('e')).exitedAt?.seconds), -62135596800);
  const { pid, exitStatus, exitedAt: never } = await task.delete('e');
  assert.deepEqual(
    { pid, exitStatus, seconds: Number(never?.seconds) },
    { pid: 0, exitStatus: 0, seconds: -62135596800 },
  );
});

shimTest('the exit status of a killed process is 128 and the signal', async (lab) => {
  const task = await lab.task('c');
  await task.start();
  await task.kill(9);
  assert.equal((await task.wait()).exitStatus, 137);
  const other = await task.shim.add('d', sh('trap "exit 3" TERM; echo ready; while :; do sleep 0.05; done'));
  await other.start();
  await other.out.saw('ready');
  await other.kill(15);
  assert.equal((await other.wait()).exitStatus, 3);
  const third = await task.shim.add('e');
  await third.start();
  await third.exec('x', ['/bin/sleep', '1000']);
  await third.start('x');
  await third.kill(11, { execId: 'x' });
  assert.equal((await third.wait('x')).exitStatus, 139);
});

shimTest(
  'the bundle has what containerd and the delete action read: address, options.json, runtime, init.pid',
  async (lab) => {
    const task = await lab.task('c', undefined, { options: { binaryName: '/usr/sbin/runc', ioUid: 5 } });
    assert.equal(bundleFile(lab, 'c', 'address'), task.shim.address);
    assert.deepEqual(JSON.parse(bundleFile(lab, 'c', 'options.json')), {
      root: lab.runcRoot,
      binary_name: '/usr/sbin/runc',
      io_uid: 5,
    });
    assert.equal(bundleFile(lab, 'c', 'runtime'), '/usr/sbin/runc');
    assert.equal(bundleFile(lab, 'c', 'init.pid'), String(task.pid));
    assert.equal(statSync(task.shim.socket).mode & 0o777, 0o600);
    assert.equal(statSync(join(lab.bundlePath('c'), 'options.json')).mode & 0o777, 0o600);
  },
);

shimTest(
  'bugs 32 and 37: unknown containers and execs are NotFound; Connect and Shutdown know no unknown',
  async (lab) => {
    lab.bundle('c');
    const shim = await lab.shim('c');
    const id = 'nobody';
    const nothing = 'container not created: not found';
    const { task } = shim;
    await fails(task.State({ id }), Code.NotFound, nothing);
    await fails(task.Start({ id }), Code.NotFound, nothing);
    await fails(task.Delete({ id }), Code.NotFound, nothing);
    await fails(task.Pids({ id }), Code.NotFound, nothing);
    await fails(task.Pause({ id }), Code.NotFound, nothing);
    await fails(task.Resume({ id }), Code.NotFound, nothing);
    await fails(task.Kill({ id, signal: 9 }), Code.NotFound, nothing);
    await fails(task.Exec({ id, execId: 'e' }), Code.NotFound, nothing);
    await fails(task.ResizePty({ id }), Code.NotFound, nothing);
    await fails(task.CloseIO({ id }), Code.NotFound, nothing);
    await fails(task.Update({ id }), Code.NotFound, nothing);
    await fails(task.Wait({ id }), Code.NotFound, nothing);
    await fails(task.Stats({ id }), Code.NotFound, nothing);
    await fails(task.Checkpoint({ id }), Code.NotFound, nothing);
    const { shimPid, taskPid, version } = await task.Connect({ id });
    assert.deepEqual({ shimPid, taskPid, version }, { shimPid: shim.pid, taskPid: 0, version: '' });
    const known = await shim.create('c');
    const missing = 'process does not exist e: not found';
    for (const call of [
      () => known.state('e'),
      () => known.start('e'),
      () => known.delete('e'),
      () => known.wait('e'),
      () => known.kill(9, { execId: 'e' }),
      () => task.ResizePty({ id: 'c', execId: 'e' }),
    ])
      await fails(call(), Code.NotFound, missing);
    await fails(
      task.CloseIO({ id: 'c', execId: 'e' }),
      process.env.HAWSER_TEST_SHIM ? Code.Unknown : Code.NotFound,
      missing,
    );
    assert.equal((await task.Connect({ id: 'c' })).taskPid, known.pid);
  },
);

shimTest('each state of an init refuses what it must, in the words of the Go shim', async (lab) => {
  const task = await lab.task('c');
  const { task: call } = task.shim;
  const id = 'c';
  const pause = (): Promise<unknown> => call.Pause({ id });
  const resume = (): Promise<unknown> => call.Resume({ id });
  const checkpoint = (): Promise<unknown> => call.Checkpoint({ id, path: join(lab.dir, 'checkpoint') });
  const update = (): Promise<unknown> => call.Update({ id, resources: { type_url: 'x', value: Buffer.from('{}') } });
  const refused = async (...calls: [() => Promise<unknown>, string][]): Promise<void> => {
    for (const [one, text] of calls) await fails(one(), Code.Unknown, text);
  };
  await refused(
    [pause, 'cannot pause task in created state'],
    [resume, 'cannot resume task in created state'],
    [checkpoint, 'cannot checkpoint a task in created state'],
  );
  await task.start();
  await refused(
    [() => task.start(), 'cannot start a running process'],
    [() => task.delete(), 'cannot delete a running process'],
    [resume, 'cannot resume a running process'],
  );
  await pause();
  await refused(
    [() => task.start(), 'cannot start a paused process'],
    [() => task.delete(), 'cannot delete a paused process'],
    [pause, 'cannot pause a paused container'],
    [() => task.exec('e', ['/bin/true']), 'cannot exec in a paused state'],
  );
  await resume();
  await task.kill(9);
  await task.wait();
  await refused(
    [() => task.start(), 'cannot start a stopped process'],
    [pause, 'cannot pause a stopped container'],
    [resume, 'cannot resume a stopped container'],
    [update, 'cannot update a stopped container'],
    [checkpoint, 'cannot checkpoint a stopped container'],
    [() => task.exec('f', ['/bin/true']), 'cannot exec in a stopped state'],
  );
  await fails(task.kill(9), Code.NotFound, 'process already finished: not found');
});

shimTest('each state of an exec refuses what it must, in the words of the Go shim', async (lab) => {
  const task = await lab.task('c');
  await task.start();
  await task.exec('e', ['/bin/sleep', '1000']);
  const created = await task.state('e');
  assert.deepEqual(
    { id: created.id, pid: created.pid, status: created.status },
    { id: 'e', pid: 0, status: STATUS.CREATED },
  );
  await fails(task.kill(9, { execId: 'e' }), Code.FailedPrecondition, 'process not created: failed precondition');
  await fails(task.exec('e', ['/bin/true'], { stdout: '', stderr: '' }), Code.AlreadyExists, 'id e: already exists');
  const { pid } = await task.start('e');
  const running = await task.state('e');
  assert.deepEqual({ pid: running.pid, status: running.status }, { pid, status: STATUS.RUNNING });
  await fails(task.start('e'), Code.Unknown, 'cannot start a running process');
  await fails(task.delete('e'), Code.Unknown, 'cannot delete a running process');
  await task.kill(9, { execId: 'e' });
  assert.equal((await task.wait('e')).exitStatus, 137);
  assert.equal((await task.state('e')).status, STATUS.STOPPED);
  await fails(task.start('e'), Code.Unknown, 'cannot start a stopped process');
  await fails(task.kill(9, { execId: 'e' }), Code.NotFound, 'process already finished: not found');
  await fails(
    task.shim.task.ResizePty({ id: 'c', execId: 'e', width: 1, height: 1 }),
    Code.Unknown,
    'cannot resize a stopped container',
  );
  const deleted = await task.delete('e');
  assert.deepEqual({ pid: deleted.pid, exitStatus: deleted.exitStatus }, { pid, exitStatus: 137 });
  assert.ok(!existsSync(join(lab.bundlePath('c'), 'e.pid')));
  await fails(task.delete('e'), Code.NotFound, 'process does not exist e: not found');
  await task.exec('again', ['/bin/true']);
  await task.delete('again');
  await task.exec('again', ['/bin/true'], { stdout: '', stderr: '' });
  await task.start('again');
  assert.equal((await task.wait('again')).exitStatus, 0);
});

shimTest(
  'a second Create of a living container is AlreadyExists and does not harm it',
  async (lab) => {
    const task = await lab.task('c');
    await task.start();
    await fails(task.shim.create('c', { stdio: task.stdio }), Code.AlreadyExists, /already exists$/);
    assert.equal((await task.state()).status, STATUS.RUNNING);
    assert.ok(isAlive(task.pid));
  },
  { skip: hawserOnly },
);

shimTest('an id is free again after Delete, in the same shim', async (lab) => {
  const first = await lab.task('c', ['/bin/true']);
  for (let round = 0; round < 3; round++) {
    const task = round === 0 ? first : await first.shim.create('c', { stdio: lab.stdio(`c${round}`) });
    await task.start();
    assert.equal((await task.wait()).exitStatus, 0);
    await task.delete();
    await fails(task.delete(), Code.NotFound, 'container not created: not found');
    await fails(task.start(), Code.NotFound, 'container not created: not found');
  }
  await lab.daemon.saw('delete', 'c');
  await eventually('all events', () => lab.daemon.of('c').length === 12);
  assert.deepEqual(
    lab.daemon.story('c'),
    Array.from({ length: 3 }, () => ['create', 'start', 'exit c 0', 'delete']).flat(),
  );
});

shimTest(
  'field 12: of two Deletes at once one succeeds and the other is NotFound',
  async (lab) => {
    const task = await lab.task('c', ['/bin/true']);
    await task.start();
    await task.wait();
    const results = await Promise.allSettled([task.delete(), task.delete()]);
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
    const [rejected] = results.filter((one) => one.status === 'rejected');
    assert.equal((rejected!.reason as { code: Code }).code, Code.NotFound);
    await task.shim.shutdown();
    assert.deepEqual(lab.daemon.story('c'), ['create', 'start', 'exit c 0', 'delete']);
  },
  { skip: hawserOnly },
);

shimTest(
  'a container that was only created can be deleted: its init dies, its waiters are let go',
  async (lab) => {
    const task = await lab.task('c');
    const waiting = task.wait();
    assert.ok(await isPending(waiting));
    const { pid, exitStatus, exitedAt } = await task.delete();
    assert.equal(pid, task.pid);
    // Deleting kills it; whether that is seen before the reply is chance, but what is said must fit together.
    assert.equal(exitStatus, millis(exitedAt) === undefined ? 0 : 137);
    await waiting;
    await eventually('the init is gone', () => !isAlive(task.pid));
    for (const event of ['exit', 'delete']) await lab.daemon.saw(event, 'c');
    assert.deepEqual(lab.daemon.story('c').sort(), ['create', 'delete', 'exit c 137']);
    await task.shim.shutdown();
    await lab.assertNothingLeft();
  },
  { skip: hawserOnly },
);

shimTest('bug 57: Wait ends at its deadline, and the process is still waited for by others', async (lab) => {
  const task = await lab.task('c');
  await task.start();
  const patient = task.wait();
  await fails(task.shim.task.Wait({ id: 'c' }, { timeoutMs: 100 }), Code.DeadlineExceeded, /./);
  assert.ok(await isPending(patient));
  await task.kill(9);
  assert.equal((await patient).exitStatus, 137);
  const late = await task.wait();
  assert.equal(late.exitStatus, 137);
});

shimTest('Wait may begin before Start, and any number may wait', async (lab) => {
  const task = await lab.task('c', sh('exit 5'));
  const waiters = Array.from({ length: 50 }, () => task.wait());
  assert.ok(await isPending(waiters[0]!));
  await task.start();
  assert.deepEqual(
    (await Promise.all(waiters)).map(({ exitStatus }) => exitStatus),
    Array<number>(50).fill(5),
  );
});

shimTest(
  'both service names answer, and an unknown service or method is Unimplemented',
  async (lab) => {
    const task = await lab.task('c');
    assert.equal((await task.shim.v3.State({ id: 'c' })).pid, task.pid);
    await task.shim.v3.Start({ id: 'c' });
    await task.shim.v3.Kill({ id: 'c', signal: 9 });
    assert.equal((await task.shim.v3.Wait({ id: 'c' })).exitStatus, 137);
    const connect = ContainerdTaskV2Task.methods.Connect;
    await fails(
      task.shim.client.call('containerd.runtime.none.v1.None', 'Connect', connect, { id: 'c' }),
      Code.Unimplemented,
      'service containerd.runtime.none.v1.None',
    );
    await fails(
      task.shim.client.call('containerd.task.v2.Task', 'Nonsense', connect, { id: 'c' }),
      Code.Unimplemented,
      'method Nonsense',
    );
  },
  { skip: hawserOnly },
);

shimTest('CloseIO and ResizePty without a stdin or a terminal do nothing and succeed, twice too', async (lab) => {
  const task = await lab.task('c');
  await task.start();
  for (let i = 0; i < 2; i++) {
    await task.shim.task.CloseIO({ id: 'c', stdin: true });
    await task.shim.task.ResizePty({ id: 'c', width: 80, height: 24 });
  }
  assert.equal((await task.state()).status, STATUS.RUNNING);
});
