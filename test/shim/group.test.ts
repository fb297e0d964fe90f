/** Several containers in one shim (contract §1.7, §1.14, §6.10). */
import assert from 'node:assert/strict';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Code } from '../../src/ttrpc/index.js';
import { eventually, isPending, patiently, within } from '../support/eventually.js';
import { isAlive } from '../support/machine.js';
import { bundleFile, fails, hawserOnly, shimTest, STATUS, type Lab, type Shim } from '../support/shim.js';
import { sh, type TestSpec } from '../support/spec.js';

const group =
  (name: string, annotation = 'io.containerd.runc.v2.group') =>
  (spec: TestSpec): void => {
    spec.annotations = { [annotation]: name };
  };

for (const annotation of ['io.containerd.runc.v2.group', 'io.kubernetes.cri.sandbox-id']) {
  shimTest(`containers with the same ${annotation} share one shim, others don't`, async (lab) => {
    lab.bundle('a', undefined, group('pod', annotation));
    lab.bundle('b', undefined, group('pod', annotation));
    lab.bundle('x');
    const a = await lab.shim('a');
    const b = await lab.shim('b');
    const x = await lab.shim('x');
    assert.equal(a.address, b.address);
    assert.equal(a.pid, b.pid);
    assert.notEqual(a.address, x.address);
    assert.notEqual(a.pid, x.pid);
    if (!hawserOnly) assert.equal(bundleFile(lab, 'b', 'address'), a.address);
  });
}

shimTest('starts of one group at the same time agree on one shim', async (lab) => {
  const ids = Array.from({ length: 6 }, (_, n) => `c${n}`);
  for (const id of ids) lab.bundle(id, undefined, group('pod'));
  const shims = await Promise.all(ids.map((id) => lab.shim(id)));
  assert.equal(new Set(shims.map(({ pid }) => pid)).size, 1);
});

shimTest(
  'starts of one group at the same time agree on one shim, where a dead one has left its socket too',
  async (lab) => {
    const ids = Array.from({ length: 6 }, (_, n) => `c${n}`);
    for (const id of ids) lab.bundle(id, undefined, group('pod'));
    for (let round = 0; round < 3; round++) {
      const shims = await Promise.all(ids.map((id) => lab.shim(id)));
      assert.equal(new Set(shims.map(({ pid }) => pid)).size, 1);
      const [shim] = shims as [Shim];
      // Another's has none.
      const pids = hawserOnly === false ? [shim.pid, shim.worker] : [shim.pid];
      process.kill(shim.pid, 'SIGKILL');
      await shim.gone();
      // A process that ends loses its name before it lets go of its files: until then somebody seems to listen.
      await eventually('the socket is dead', () => !pids.some(isAlive));
    }
  },
);

shimTest('bug 39: the containers of a shim live and die each for itself; the shim ends with the last', async (lab) => {
  lab.bundle('a', sh('exit 1'), group('pod'));
  lab.bundle('b', sh('trap "exit 2" TERM; echo up; while :; do sleep 0.05; done'), group('pod'));
  const shim = await lab.shim('a');
  const a = await shim.create('a');
  const b = await (await lab.shim('b')).create('b');
  await a.start();
  await b.start();
  await b.out.saw('up');
  assert.equal((await a.wait()).exitStatus, 1);
  await a.delete();
  await shim.task.Shutdown({ id: 'a', now: true });
  assert.equal((await b.state()).status, STATUS.RUNNING);
  assert.equal((await lab.deleteAction('a')).status, 0);
  assert.equal((await b.state()).status, STATUS.RUNNING);
  assert.ok(existsSync(shim.socket), 'deleting a member leaves the socket to the others');
  await b.kill(15);
  assert.equal((await b.wait()).exitStatus, 2);
  await b.delete();
  await b.shim.shutdown();
  assert.ok(!shim.isAlive);
  await lab.deleteAction('b');
  await lab.assertNothingLeft();
});

/** A runc whose command waits for as long as a file is there. */
function slowRunc(lab: Lab, command: string): { binaryName: string; begun: () => Promise<unknown>; go: () => void } {
  const gate = join(lab.dir, `gate-${command}`);
  const begun = join(lab.dir, `begun-${command}`);
  writeFileSync(gate, '');
  const binaryName = lab.fakeRunc(
    `runc-slow-${command}`,
    `if [ "$command" = ${command} ]; then touch ${begun}; while [ -e ${gate} ]; do sleep 0.02; done; fi`,
  );
  return {
    binaryName,
    begun: () => eventually(`runc ${command} runs`, () => existsSync(begun)),
    go: () => rmSync(gate, { force: true }),
  };
}

shimTest(
  "bug 7, field 35: while runc create of one hangs, the others of its shim are served, and the shim doesn't end",
  async (lab) => {
    const slow = slowRunc(lab, 'create');
    const a = await lab.task('a');
    await a.start();
    lab.bundle('b');
    const creating = a.shim.create('b', { options: { binaryName: slow.binaryName } });
    await slow.begun();
    const bounded = { timeoutMs: patiently(2000) };
    assert.equal((await a.shim.task.State({ id: 'a' }, bounded)).status, STATUS.RUNNING);
    assert.equal((await a.shim.task.Pids({ id: 'a' }, bounded)).processes.length, 1);
    await fails(a.shim.task.State({ id: 'b' }, bounded), Code.NotFound, 'container not created: not found');
    await fails(a.shim.create('b', { stdio: lab.stdio('second') }), Code.AlreadyExists, /container b: already exists/);
    assert.equal((await a.run('e', sh('exit 4'))).status, 4);
    await a.remove();
    await a.shim.task.Shutdown({ id: 'a' });
    assert.ok(await isPending(creating), 'it still hangs');
    slow.go();
    const b = await creating;
    await b.start();
    assert.equal((await b.state()).status, STATUS.RUNNING);
    await b.remove();
  },
  { skip: hawserOnly },
);

shimTest(
  'field 34: while runc exec hangs, State, Pids and Kill of the same container are answered',
  async (lab) => {
    const slow = slowRunc(lab, 'exec');
    const task = await lab.task('c', undefined, { options: { binaryName: slow.binaryName } });
    await task.start();
    await task.exec('e', ['/bin/true'], { stdout: '', stderr: '' });
    const starting = task.start('e');
    await slow.begun();
    const bounded = { timeoutMs: patiently(2000) };
    const state = await task.shim.task.State({ id: 'c', execId: 'e' }, bounded);
    assert.deepEqual({ pid: state.pid, status: state.status }, { pid: 0, status: STATUS.CREATED });
    assert.equal((await task.shim.task.Pids({ id: 'c' }, bounded)).processes[0]!.pid, task.pid);
    await task.shim.task.Kill({ id: 'c', signal: 0 }, bounded);
    slow.go();
    await starting;
    await task.wait('e');
  },
  { skip: hawserOnly },
);

shimTest(
  'field 34: a container whose start hangs can be killed',
  async (lab) => {
    const slow = slowRunc(lab, 'start');
    const task = await lab.task('c', undefined, { options: { binaryName: slow.binaryName } });
    const starting = task.start();
    await slow.begun();
    assert.equal((await task.shim.task.State({ id: 'c' }, { timeoutMs: patiently(2000) })).status, STATUS.CREATED);
    await task.shim.task.Kill({ id: 'c', signal: 9 }, { timeoutMs: patiently(5000) });
    // The runtime hangs on; it is ended some seconds after the container.
    await within('the failure of the start', assert.rejects(starting));
    assert.equal((await within('the exit', task.wait())).exitStatus, 137);
    await task.delete();
    slow.go();
  },
  { skip: hawserOnly },
);

shimTest(
  'field 34: an exec whose start hangs does not hold up the exit of an init that is killed',
  async (lab) => {
    const slow = slowRunc(lab, 'exec');
    const task = await lab.task('c', undefined, { options: { binaryName: slow.binaryName } });
    await task.start();
    await task.exec('e', ['/bin/true'], { stdout: '', stderr: '' });
    const starting = task.start('e');
    await slow.begun();
    await task.shim.task.Kill({ id: 'c', signal: 9 });
    await within('the failure of the exec', assert.rejects(starting));
    assert.equal((await within('the exit', task.wait())).exitStatus, 137);
    slow.go();
  },
  { skip: hawserOnly },
);

shimTest(
  'a Shutdown for a create that hangs undoes it and ends the shim: its client will not ask again',
  async (lab) => {
    const slow = slowRunc(lab, 'create');
    lab.bundle('c');
    const shim = await lab.shim('c');
    const creating = shim.create('c', { options: { binaryName: slow.binaryName } });
    await slow.begun();
    await shim.task.Shutdown({ id: 'another' });
    assert.ok(shim.isAlive, 'a Shutdown on account of another container is none of its business');
    const ended = assert.rejects(creating);
    await shim.task.Shutdown({ id: 'c' });
    await within('the failure of the create', ended);
    await eventually('the shim ends', () => !shim.isAlive || undefined);
    assert.deepEqual(lab.daemon.story('c'), []);
    slow.go();
  },
  { skip: hawserOnly },
);

shimTest('a shim that was never given a container answers, and Shutdown ends it', async (lab) => {
  lab.bundle('c');
  const shim = await lab.shim('c');
  await shim.shutdown();
  assert.ok(!existsSync(shim.socket));
  await lab.assertNothingLeft();
});
