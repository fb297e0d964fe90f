/** Events on their way to the daemon (contract §4). */
import assert from 'node:assert/strict';
import { rmSync, statSync, utimesSync } from 'node:fs';
import { millis } from '../../src/api/index.js';
import { stateOf } from '../support/debug.js';
import { eventually, within } from '../support/eventually.js';
import { hawserOnly, shimTest } from '../support/shim.js';
import { sh } from '../support/spec.js';

shimTest('events carry what their readers need, under the names that containerd registers', async (lab) => {
  const task = await lab.task('c', sh('exit 3'), { stdin: true });
  await task.start();
  await task.wait();
  await task.delete();
  const [create, start, exit, removed] = await eventually('four events', () =>
    lab.daemon.events.length === 4 ? lab.daemon.events : undefined,
  );
  assert.deepEqual(
    lab.daemon.events.map(({ topic, type }) => [topic, type]),
    [
      ['/tasks/create', 'containerd.events.TaskCreate'],
      ['/tasks/start', 'containerd.events.TaskStart'],
      ['/tasks/exit', 'containerd.events.TaskExit'],
      ['/tasks/delete', 'containerd.events.TaskDelete'],
    ],
  );
  for (const event of lab.daemon.events) {
    assert.deepEqual(
      { namespace: event.namespace, metadata: event.metadata, id: event.body.containerId },
      { namespace: lab.namespace, metadata: lab.namespace, id: 'c' },
    );
    assert.ok(Math.abs(millis(event.time)! - Date.now()) < 60_000);
  }
  const { paths } = task.stdio;
  assert.deepEqual(
    {
      bundle: create!.body.bundle,
      pid: create!.body.pid,
      stdin: create!.body.io?.stdin,
      stdout: create!.body.io?.stdout,
    },
    { bundle: lab.bundlePath('c'), pid: task.pid, stdin: paths.stdin, stdout: paths.stdout },
  );
  assert.equal(start!.body.pid, task.pid);
  assert.deepEqual(
    { id: exit!.body.id, pid: exit!.body.pid, status: exit!.body.exitStatus },
    { id: 'c', pid: task.pid, status: 3 },
  );
  assert.equal(millis(exit!.body.exitedAt), millis(removed!.body.exitedAt));
  assert.deepEqual({ pid: removed!.body.pid, status: removed!.body.exitStatus }, { pid: task.pid, status: 3 });
});

shimTest('whoever acts on an exit event finds the process stopped', async (lab) => {
  const task = await lab.task('c', sh('exit 1'));
  await task.start();
  await lab.daemon.saw('exit', 'c');
  assert.equal((await task.state()).exitStatus, 1);
  await task.delete();
});

shimTest(
  'while the daemon is away events wait; it gets them all, in order, once',
  async (lab) => {
    const first = await lab.task('c0', ['/bin/true'], { stdout: '', stderr: '' });
    await first.start();
    await lab.daemon.saw('exit', 'c0');
    lab.daemon.stop();
    const ids = ['c1', 'c2', 'c3', 'c4', 'c5'];
    for (const id of ids) {
      const task = await first.shim.add(id, sh('exit 2'), { stdout: '', stderr: '' });
      await task.start();
      await task.exec('e', ['/bin/true']).catch(() => undefined);
      assert.equal((await within('Wait while the daemon is away', task.wait())).exitStatus, 2);
      await task.delete();
    }
    await lab.daemon.start();
    await lab.daemon.saw('delete', 'c5');
    const order = lab.daemon.events.map(({ body }) => body.containerId);
    assert.deepEqual([...order].sort(), order, 'containers were made one after the other');
    for (const id of ids) {
      assert.deepEqual(
        lab.daemon.story(id).filter((one) => !one.includes(' e')),
        ['create', 'start', `exit ${id} 2`, 'delete'],
      );
    }
  },
  { skip: hawserOnly },
);

shimTest(
  'a daemon that hangs up on every call, and comes back, loses nothing',
  async (lab) => {
    const task = await lab.task('c0', ['/bin/true'], { stdout: '', stderr: '' });
    for (let round = 1; round <= 5; round++) {
      lab.daemon.stop();
      const one = await task.shim.add(`c${round}`, ['/bin/true'], { stdout: '', stderr: '' });
      await one.start();
      await one.wait();
      await lab.daemon.start();
      await one.delete();
    }
    await lab.daemon.saw('delete', 'c5');
    for (let round = 1; round <= 5; round++)
      assert.deepEqual(lab.daemon.story(`c${round}`), ['create', 'start', `exit c${round} 0`, 'delete']);
  },
  { skip: hawserOnly },
);

shimTest(
  'a daemon that has come back is told of an exit when its clients may be back: they hear nothing of what came before they subscribed',
  async (lab) => {
    const task = await lab.task('c', sh('exit 3'), { stdout: '', stderr: '' });
    const other = await task.shim.add('d', ['/bin/sleep', '1000'], { stdout: '', stderr: '' });
    await other.start();
    await lab.daemon.saw('start', 'd');
    lab.daemon.stop();
    await task.start();
    await task.wait();
    await lab.daemon.start();
    const { mtimeMs } = statSync(lab.daemon.path);
    const held = await eventually('the shim waits for subscribers', async () => {
      const { events } = await stateOf(task.shim);
      return events.sender.doing === 'waiting for subscribers' ? events : undefined;
    });
    assert.deepEqual([held.connected, held.queued, held.head?.topic], [true, 2, '/tasks/start']);
    assert.deepEqual(lab.daemon.story('c'), ['create']);
    await lab.daemon.saw('exit', 'c');
    assert.ok(Date.now() - mtimeMs > 2_000, `${Date.now() - mtimeMs} ms after the daemon came back`);
    assert.deepEqual(lab.daemon.story('c'), ['create', 'start', 'exit c 3']);
  },
  { skip: hawserOnly },
);

shimTest(
  'a command shows that a client is back: nothing is held back for long after it',
  async (lab) => {
    const task = await lab.task('c', ['/bin/sleep', '1000'], { stdout: '', stderr: '' });
    const other = await task.shim.add('d', ['/bin/sleep', '1000'], { stdout: '', stderr: '' });
    await task.start();
    await other.start();
    await lab.daemon.saw('start', 'd');
    lab.daemon.stop();
    await eventually('the shim knows it', async () => !(await stateOf(task.shim)).events.connected);
    await lab.daemon.start();
    // Its clients then have more than a minute yet.
    const later = new Date(Date.now() + 60_000);
    utimesSync(lab.daemon.path, later, later);
    await task.kill(9);
    await eventually(
      'the shim waits for subscribers',
      async () => (await stateOf(task.shim)).events.sender.doing === 'waiting for subscribers',
    );
    assert.equal(lab.daemon.of('c', '/tasks/exit').length, 0);
    await task.shim.task.CloseIO({ id: 'd', stdin: true });
    await lab.daemon.saw('exit', 'c');
  },
  { skip: hawserOnly },
);

shimTest(
  'bug 14: the last events are delivered before the shim ends',
  async (lab) => {
    const task = await lab.task('c', ['/bin/true']);
    await task.start();
    await task.wait();
    await task.delete();
    await task.shim.shutdown();
    assert.deepEqual(lab.daemon.story('c'), ['create', 'start', 'exit c 0', 'delete']);
  },
  { skip: hawserOnly },
);

shimTest("a daemon that is gone for good doesn't keep the shim from ending", async (lab) => {
  const task = await lab.task('c', ['/bin/true']);
  lab.daemon.stop();
  await task.start();
  await task.wait();
  await task.delete();
  await task.shim.shutdown();
  rmSync(lab.daemon.path, { force: true });
});
