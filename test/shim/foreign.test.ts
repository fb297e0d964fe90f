/** Two daemons may have a container of one name with one runtime root: a create that fails for that takes nothing away (contract §1.10). */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Code } from '../../src/ttrpc/index.js';
import { cgroupDirs, isAlive, quietly } from '../support/machine.js';
import { fails, hawserOnly, Lab, shimTest, STATUS, type Task } from '../support/shim.js';
import { sh } from '../support/spec.js';

/** Another daemon, whose containers are with the runtime where those of this one are. */
async function neighbour(lab: Lab): Promise<Lab> {
  const other = await Lab.open();
  lab.defer(() => other.close());
  return other;
}

let looks = 0;

async function lives(task: Task): Promise<void> {
  assert.ok(isAlive(task.pid));
  assert.equal((await task.state()).status, STATUS.RUNNING);
  const { status, stdout } = await task.run(`e${++looks}`, ['/bin/echo', 'here']);
  assert.deepEqual([status, stdout], [0, 'here\n']);
}

shimTest(
  'a create of a name that is taken, and the delete action after it, leave the other container alone',
  async (lab) => {
    const task = await lab.task('c');
    await task.start();
    const other = await neighbour(lab);
    await fails(other.task('c', undefined, { options: { root: lab.runcRoot } }), Code.Unknown, /already exists|exists/);
    await lives(task);
    const { status, stderr } = await other.deleteAction('c');
    assert.equal(status, 0);
    assert.match(stderr, /is left alone/);
    await lives(task);
    assert.equal((await task.remove()).exitStatus, 137);
  },
  { skip: hawserOnly },
);

shimTest(
  'the delete action after a shim that was killed in such a create leaves it alone too, also while the other is being made',
  async (lab) => {
    const task = await lab.task('c');
    await task.start();
    const other = await neighbour(lab);
    // What a shim has written by the time that the runtime is called.
    const hanging = other.fakeRunc('runc-hangs', 'if [ $command = create ]; then sleep 1000; fi');
    other.bundle('c');
    const shim = await other.shim('c');
    const creating = shim
      .create('c', { options: { root: lab.runcRoot, binaryName: hanging } })
      .catch((error: unknown) => error);
    while (!existsSync(join(other.bundlePath('c'), 'foreign'))) await new Promise((resolve) => setTimeout(resolve, 5));
    process.kill(shim.pid, 'SIGKILL');
    assert.ok((await creating) instanceof Error);
    await other.deleteAction('c');
    await lives(task);
    await task.remove();

    // The runtime has made a directory, and has not written anything into it.
    const directory = join(lab.runcRoot, lab.namespace, 'd');
    mkdirSync(directory);
    await fails(other.task('d', undefined, { options: { root: lab.runcRoot } }), Code.Unknown, /exists/);
    await other.deleteAction('d');
    assert.ok(existsSync(directory));
    rmdirSync(directory);
  },
  { skip: hawserOnly },
);

shimTest(
  'a container of the same bundle that an earlier shim has left is taken away',
  async (lab) => {
    const task = await lab.task('c');
    await task.start();
    process.kill(task.shim.pid, 'SIGKILL');
    // The last of its threads is gone, and its socket with it.
    await task.shim.client.closed;
    await fails(lab.task('c', undefined, { stdio: lab.stdio('second') }), Code.Unknown, /exists/);
    await lab.deleteAction('c');
    assert.ok(!existsSync(join(lab.runcRoot, lab.namespace, 'c')));
    const again = await lab.task('c', sh('exit 3'), { stdio: lab.stdio('third') });
    await again.start();
    assert.equal((await again.wait()).exitStatus, 3);
    await again.delete();
  },
  { skip: hawserOnly },
);

shimTest(
  'cgroups that were there before a create that fails are there after it',
  async (lab) => {
    const dirs = cgroupDirs('/').map((root) => join(root, lab.cgroup, 'c'));
    for (const dir of dirs) mkdirSync(dir, { recursive: true });
    lab.defer(() => {
      for (const dir of dirs) quietly(() => rmdirSync(dir));
    });
    const killed = lab.fakeRunc('runc-killed', 'if [ $command = create ]; then kill -9 $$; fi');
    await fails(lab.task('c', undefined, { options: { binaryName: killed } }), Code.Unknown, /create failed/);
    for (const dir of dirs) assert.ok(existsSync(dir), dir);
    // Nor does one that the runtime is never asked for.
    await fails(
      (await lab.shim('c')).create('c', { stdout: 'binary:///missing', stderr: 'binary:///missing' }),
      Code.Unknown,
      /failed to start binary process/,
    );
    for (const dir of dirs) assert.ok(existsSync(dir), dir);
    for (const dir of dirs) rmdirSync(dir);
    rmSync(lab.bundlePath('c'), { recursive: true });
  },
  { skip: hawserOnly },
);
