/** Shims that are killed, and what the delete action makes of it (contract §1.8, §1.10). */
import assert from 'node:assert/strict';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { millis } from '../../src/api/index.js';
import { eventually, within } from '../support/eventually.js';
import { isAlive, mountsBelow } from '../support/machine.js';
import { hawserOnly, shimTest } from '../support/shim.js';
import { hostPid, makeRootfs, sh } from '../support/spec.js';

shimTest(
  'bug 17, field 11: a shim that is killed: delete ends the container and reports its pid and 137',
  async (lab) => {
    const task = await lab.task('c');
    await task.start();
    process.kill(task.shim.pid, 'SIGKILL');
    await task.shim.gone();
    const { status, response } = await lab.deleteAction('c');
    assert.equal(status, 0);
    assert.deepEqual({ pid: response.pid, exitStatus: response.exitStatus }, { pid: task.pid, exitStatus: 137 });
    assert.ok(Math.abs(millis(response.exitedAt)! - Date.now()) < 60_000);
    await eventually('the container is gone', () => !isAlive(task.pid));
    if (!hawserOnly) await lab.assertNothingLeft();
  },
);

shimTest(
  'field 10: a shim that is killed after the exit: delete reports the true code and time',
  async (lab) => {
    const task = await lab.task('c', sh('exit 42'));
    await task.start();
    const { exitedAt } = await task.wait();
    process.kill(task.shim.pid, 'SIGKILL');
    await task.shim.gone();
    const { status, response, stderr } = await lab.deleteAction('c');
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
    assert.deepEqual(
      { pid: response.pid, exitStatus: response.exitStatus, exitedAt: millis(response.exitedAt) },
      { pid: task.pid, exitStatus: 42, exitedAt: millis(exitedAt) },
    );
    await lab.assertNothingLeft();
  },
  { skip: hawserOnly },
);

shimTest('bug 18: delete honours the root that the container was made with', async (lab) => {
  const root = join(lab.dir, 'elsewhere');
  const task = await lab.task('c', undefined, { options: { root } });
  await task.start();
  assert.ok(existsSync(join(root, lab.namespace, 'c')));
  process.kill(task.shim.pid, 'SIGKILL');
  await task.shim.gone();
  assert.equal((await lab.deleteAction('c')).status, 0);
  await eventually('the container is gone', () => !isAlive(task.pid));
  assert.ok(!existsSync(join(root, lab.namespace, 'c')));
});

shimTest(
  'bug 19: delete works in a bundle without the runtime file, the options, the pid, or anything',
  async (lab) => {
    lab.bundle('c');
    const { status, response } = await lab.deleteAction('c');
    assert.equal(status, 0);
    assert.deepEqual({ pid: response.pid, exitStatus: response.exitStatus }, { pid: 0, exitStatus: 137 });
    rmSync(join(lab.bundlePath('c'), 'config.json'));
    assert.equal((await lab.deleteAction('c')).status, 0);
  },
  { skip: hawserOnly },
);

shimTest('delete is the same the second time, and after an orderly end', async (lab) => {
  const task = await lab.task('c', sh('exit 1'));
  await task.start();
  await task.wait();
  await task.delete();
  await task.shim.shutdown();
  for (let i = 0; i < 3; i++) {
    const { status, stderr } = await lab.deleteAction('c');
    assert.equal(status, 0);
    if (!hawserOnly) assert.equal(stderr, '');
  }
});

shimTest(
  'delete of a bundle with broken files warns and still does the rest',
  async (lab) => {
    lab.bundle('c');
    const bundle = lab.bundlePath('c');
    for (const name of ['options.json', 'exit.json', 'init.pid', 'address'])
      writeFileSync(join(bundle, name), '{broken');
    const { status, response, stderr } = await lab.deleteAction('c');
    assert.equal(status, 0);
    assert.equal(response.exitStatus, 137);
    assert.match(stderr, /JSON/);
  },
  { skip: hawserOnly },
);

shimTest('delete while the shim of the group lives leaves it and its socket alone', async (lab) => {
  const task = await lab.task('c');
  await task.start();
  lab.bundle('member', undefined, (spec) => {
    spec.annotations = { 'io.containerd.runc.v2.group': 'c' };
  });
  const other = await lab.shim('member');
  assert.equal(other.pid, task.shim.pid);
  assert.equal((await lab.deleteAction('member')).status, 0);
  assert.ok(existsSync(task.shim.socket));
  assert.equal((await other.task.State({ id: 'c' })).pid, task.pid);
});

shimTest("delete after a crash ends a container in the host's pid namespace with its children", async (lab) => {
  const task = await lab.task('c', sh('sleep 1000 & echo $!; wait'), { edit: hostPid });
  await task.start();
  const child = Number(await task.out.saw(/^\d+\n/));
  process.kill(task.shim.pid, 'SIGKILL');
  await task.shim.gone();
  assert.equal((await lab.deleteAction('c')).status, 0);
  await eventually('both are gone', () => !isAlive(task.pid) && !isAlive(child));
});

shimTest(
  'delete after a crash takes the rootfs down, stacked mounts too',
  async (lab) => {
    const source = join(lab.dir, 'source');
    makeRootfs(source);
    lab.bundle('c', undefined, (spec) => {
      spec.root.path = 'rootfs';
    });
    const mount = { type: 'bind', source, options: ['rbind', 'ro'] };
    const shim = await lab.shim('c');
    const task = await shim.create('c', { request: { rootfs: [mount, mount] } });
    await task.start();
    assert.equal(mountsBelow(lab.bundlePath('c')).length, 2);
    process.kill(shim.pid, 'SIGKILL');
    await shim.gone();
    assert.equal((await lab.deleteAction('c')).status, 0);
    assert.deepEqual(mountsBelow(lab.dir), []);
  },
  { skip: hawserOnly },
);

shimTest(
  'bug 21, bug 38: after a crash, delete takes what the runtime has, tells nobody, and leaves the bundle to the daemon',
  async (lab) => {
    const task = await lab.task('c');
    await task.start();
    await task.run('e', ['/bin/true']);
    const other = await lab.task('ended', sh('exit 3'));
    await other.start();
    await other.wait();
    await lab.daemon.saw('exit', 'ended');
    const before = lab.daemon.events.length;
    for (const { shim, id } of [task, other]) {
      process.kill(shim.pid, 'SIGKILL');
      await shim.gone();
      assert.deepEqual((await lab.deleteAction(id)).status, 0);
      assert.ok(existsSync(join(lab.bundlePath(id), 'config.json')));
    }
    const { runtime, cgroups } = lab.snapshot();
    assert.deepEqual({ runtime, cgroups }, { runtime: [], cgroups: [] });
    await eventually('the processes are gone', () => lab.snapshot().processes.length === 0);
    // An exit that was told is not told again, and one that was not is the daemon's to tell, from what delete printed.
    assert.equal(lab.daemon.events.length, before);
    assert.equal(lab.daemon.of('ended', '/tasks/exit').length, 1);
  },
  { skip: hawserOnly },
);

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  shimTest(`bug 16: ${signal} ends the shim in order, with a container running; its socket is gone`, async (lab) => {
    const task = await lab.task('c');
    await task.start();
    const closed = task.shim.client.closed;
    process.kill(task.shim.pid, signal);
    await within('the end', task.shim.gone());
    await within('the end of the connection', closed);
    assert.ok(!existsSync(task.shim.socket));
    const { status, response } = await lab.deleteAction('c');
    assert.equal(status, 0);
    assert.deepEqual({ pid: response.pid, exitStatus: response.exitStatus }, { pid: task.pid, exitStatus: 137 });
    await eventually('the container is gone', () => !isAlive(task.pid));
  });
}

shimTest('bug 14: SIGTERM in the midst of exits and deletes neither hangs nor crashes', async (lab) => {
  lab.bundle('c0');
  const shim = await lab.shim('c0');
  const tasks = [];
  for (let n = 0; n < 8; n++) tasks.push(await shim.add(`c${n}`, ['/bin/true'], { stdout: '', stderr: '' }));
  const running = tasks.map(async (task) => {
    await task.start();
    await task.wait();
    await task.delete();
  });
  const settled = Promise.allSettled(running);
  await eventually('some exit', () => lab.daemon.of(undefined, '/tasks/exit').length > 0);
  process.kill(shim.pid, 'SIGTERM');
  await shim.gone();
  await within('all calls end', settled);
  assert.ok(!existsSync(shim.socket));
  assert.doesNotMatch(lab.log, /a defect/);
});

function isRefused(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(false);
    });
    socket.once('error', () => resolve(true));
  });
}

shimTest('bug 15: the socket of a killed shim is replaced by the next start', async (lab) => {
  lab.bundle('c');
  const first = await lab.shim('c');
  process.kill(first.pid, 'SIGKILL');
  await first.gone();
  // A process may be a zombie while another of its threads still has all files open.
  await eventually('nobody listens there', () => isRefused(first.socket));
  assert.ok(existsSync(first.socket));
  const second = await lab.shim('c');
  assert.equal(second.address, first.address);
  assert.notEqual(second.pid, first.pid);
  await second.shutdown();
  assert.ok(!existsSync(second.socket));
});

shimTest(
  "a shim that ends doesn't remove the socket that a newer one has put in its place",
  async (lab) => {
    lab.bundle('c');
    const first = await lab.shim('c');
    rmSync(first.socket);
    const second = await lab.shim('c');
    assert.notEqual(second.pid, first.pid);
    await first.shutdown();
    assert.ok(existsSync(second.socket));
    assert.equal((await second.task.Connect({ id: 'c' })).shimPid, second.pid);
  },
  { skip: hawserOnly },
);
