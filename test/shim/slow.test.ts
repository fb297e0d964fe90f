/** A host that is slow: disks that take their time to unmount, and more work than it has processors for. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Code } from '../../src/ttrpc/index.js';
import { eventually, within } from '../support/eventually.js';
import { fails, hawserOnly, shimTest, STATUS, type Lab, type Shim, type Task } from '../support/shim.js';
import { makeRootfs, sh } from '../support/spec.js';

const SLOW_MS = 12_000;
const quiet = { stdout: '', stderr: '' };

/** Every umount2(2) of the shim takes so long from now on. strace does that, to the threads that are there. */
async function slowUmount(lab: Lab, shim: Shim): Promise<void> {
  const threads = readdirSync(`/proc/${shim.worker}/task`);
  const strace = spawn(
    'strace',
    [
      '-e',
      'trace=umount2',
      '-e',
      `inject=umount2:delay_enter=${SLOW_MS * 1000}`,
      '-o',
      join(lab.dir, 'strace'),
      ...threads.flatMap((tid) => ['-p', tid]),
    ],
    { stdio: 'ignore' },
  );
  const ended = new Promise<void>((resolve, reject) => {
    strace.once('error', (error) =>
      reject(new Error(`strace is missing; run 'make setup' or 'apt-get install strace' (${error.message})`)),
    );
    strace.once('exit', () => resolve());
  });
  lab.defer(async () => {
    strace.kill('SIGTERM');
    await ended;
  });
  const traced = (tid: string): boolean =>
    !/^TracerPid:\s*0$/m.test(readFileSync(`/proc/${shim.worker}/task/${tid}/status`, 'utf8'));
  await Promise.race([ended, eventually('strace to attach', () => threads.every(traced))]);
}

shimTest(
  'bug 45, field 8: an umount of 12 s outlasts the Delete of a client, which asks again and is told how the container ended',
  async (lab) => {
    const source = join(lab.dir, 'source');
    makeRootfs(source);
    const mounted = async (id: string, shim?: Shim): Promise<Task> => {
      lab.bundle(id, sh('exit 5'), (spec) => {
        spec.root.path = 'rootfs';
      });
      const task = await (shim ?? (await lab.shim(id))).create(id, {
        ...quiet,
        request: { rootfs: [{ type: 'bind', source, options: ['rbind', 'ro'] }] },
      });
      await task.start();
      await task.wait();
      return task;
    };
    const soon = await mounted('soon');
    const later = await mounted('later', soon.shim);
    await slowUmount(lab, soon.shim);
    const impatient = (task: Task): Promise<void> =>
      fails(task.shim.task.Delete({ id: task.id }, { timeoutMs: 2_000 }), Code.DeadlineExceeded, /deadline/);
    await Promise.all([impatient(soon), impatient(later)]);
    // While it goes on, the container is there, and everything else is served.
    assert.equal((await soon.shim.task.State({ id: 'soon' }, { timeoutMs: 10_000 })).status, STATUS.STOPPED);
    // One asks again at once and waits for the first to get done; the other when that has long been.
    assert.deepEqual(
      await within('the second Delete', soon.delete(), 60_000).then(({ pid, exitStatus }) => [pid, exitStatus]),
      [soon.pid, 5],
    );
    await eventually(
      'the other is deleted',
      () =>
        later.state().then(
          () => false,
          () => true,
        ),
      60_000,
    );
    assert.deepEqual(await later.delete().then(({ pid, exitStatus }) => [pid, exitStatus]), [later.pid, 5]);
    for (const task of [soon, later]) {
      await fails(task.delete(), Code.NotFound, 'container not created: not found');
      await lab.daemon.saw('delete', task.id);
      assert.equal(lab.daemon.of(task.id, '/tasks/delete').length, 1);
    }
    await soon.shim.shutdown();
    await lab.assertNothingLeft();
  },
  { skip: hawserOnly, timeout: 180_000 },
);

shimTest(
  'bug 47: Connect and Pids are answered in the midst of 60 execs that write all they can',
  async (lab) => {
    const task = await lab.task('c', undefined, quiet);
    await task.start();
    const work = Promise.all(
      Array.from({ length: 60 }, async (_, n) => {
        const stdio = await task.exec(`e${n}`, sh('head -c 1000000 /dev/zero'), n % 4 === 0 ? { terminal: true } : {});
        await task.start(`e${n}`);
        await task.wait(`e${n}`);
        await task.delete(`e${n}`);
        return (await stdio.out!.ended).length;
      }),
    );
    let over = false;
    void work.then(
      () => (over = true),
      () => (over = true),
    );
    let asked = 0;
    // A daemon gives a shim five seconds when it starts; a test machine may be slower than hosts are.
    const bounded = { timeoutMs: 15_000 };
    while (!over) {
      assert.equal((await task.shim.task.Connect({ id: 'c' }, bounded)).taskPid, task.pid);
      assert.ok((await task.shim.task.Pids({ id: 'c' }, bounded)).processes.some(({ pid }) => pid === task.pid));
      asked++;
    }
    assert.deepEqual([...new Set(await work)], [1_000_000]);
    assert.ok(asked > 3);
  },
  { timeout: 180_000 },
);
