/** Exits that come early, late, at once, or in the wrong order (contract §4.3 to §4.5). */
import assert from 'node:assert/strict';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Code } from '../../src/ttrpc/index.js';
import { eventually, within } from '../support/eventually.js';
import { isAlive, processInfo, zombiesOf } from '../support/machine.js';
import { fails, shimTest, STATUS, type Lab } from '../support/shim.js';
import { hostPid, sh } from '../support/spec.js';

/** Positions of a container's events must be: create, start, exec things, and its own exit last. */
function assertInitExitIsLast(lab: Lab, id: string): void {
  const story = lab.daemon.story(id).filter((one) => one !== 'delete');
  assert.match(story.at(-1) ?? 'nothing', new RegExp(`^exit ${id} `), story.join(', '));
  assert.equal(story.filter((one) => one.startsWith(`exit ${id} `)).length, 1);
}

shimTest('bug 1: 50 containers that end at once, in one shim: each start comes before its one exit', async (lab) => {
  lab.bundle('c0', ['/bin/true']);
  const shim = await lab.shim('c0');
  const ids = Array.from({ length: 50 }, (_, n) => `c${n}`);
  const tasks = [];
  for (const id of ids) tasks.push(await shim.add(id, ['/bin/true'], { stdout: '', stderr: '' }));
  const waits = tasks.map((task) => task.wait());
  const started = await Promise.all(tasks.map((task) => task.start()));
  assert.deepEqual(
    started.map(({ pid }) => pid),
    tasks.map(({ pid }) => pid),
  );
  for (const { exitStatus } of await within('all exits', Promise.all(waits))) assert.equal(exitStatus, 0);
  await eventually('all events', () => lab.daemon.events.length >= 150);
  for (const id of ids) assert.deepEqual(lab.daemon.story(id), ['create', 'start', `exit ${id} 0`]);
  await Promise.all(tasks.map((task) => task.delete()));
  assert.deepEqual(zombiesOf(shim.pid), []);
});

shimTest('bug 2: an init that dies between Create and Start is told, and Start fails', async (lab) => {
  const task = await lab.task('c');
  process.kill(task.pid, 'SIGKILL');
  assert.equal((await task.wait()).exitStatus, 137);
  assert.equal((await task.state()).status, STATUS.STOPPED);
  await fails(task.start(), Code.Unknown, 'cannot start a stopped process');
  await lab.daemon.saw('exit', 'c');
  assert.deepEqual(lab.daemon.story('c'), ['create', 'exit c 137']);
  assert.equal((await task.delete()).exitStatus, 137);
  assert.ok((await task.shim.task.Connect({ id: 'c' })).shimPid);
});

shimTest('bug 2: an init that dies before runc create returns is told after its creation', async (lab) => {
  const binaryName = lab.fakeRunc(
    'runc-kill',
    `if [ "$command" = create ]; then
    "$runc" "$@" || exit
    kill -9 "$(cat "$lab/bundles/c/init.pid")"
    exit 0
  fi`,
  );
  const task = await lab.task('c', undefined, { options: { binaryName } });
  assert.equal((await task.wait()).exitStatus, 137);
  await lab.daemon.saw('exit', 'c');
  assert.deepEqual(lab.daemon.story('c'), ['create', 'exit c 137']);
  await task.delete();
});

shimTest('bug 3, field 4: execs that the init takes with it end before it, as others see it', async (lab) => {
  const task = await lab.task('c');
  await task.start();
  const execs = Array.from({ length: 10 }, (_, n) => `e${n}`);
  await Promise.all(
    execs.map(async (id) => {
      await task.exec(id, ['/bin/sleep', '1000'], { stdout: '', stderr: '' });
      await task.start(id);
    }),
  );
  const waits = execs.map((id) => task.wait(id));
  await task.kill(9);
  for (const { exitStatus } of await Promise.all(waits)) assert.equal(exitStatus, 137);
  await task.wait();
  await lab.daemon.saw('exit', 'c', 'c');
  assertInitExitIsLast(lab, 'c');
  assert.equal(lab.daemon.of('c', '/tasks/exit').length, 11);
});

shimTest('bug 4: 100 execs that run at once each have one start, then one exit with their own status', async (lab) => {
  const task = await lab.task('c');
  await task.start();
  const execs = Array.from({ length: 100 }, (_, n) => ({ id: `e${n}`, status: n % 7 }));
  await within(
    'all execs',
    Promise.all(
      execs.map(async ({ id, status }) => {
        await task.exec(id, sh(`exit ${status}`), { stdout: '', stderr: '' });
        const { pid } = await task.start(id);
        assert.ok(pid > 0);
        assert.equal((await task.wait(id)).exitStatus, status);
        const deleted = await task.delete(id);
        assert.deepEqual({ pid: deleted.pid, exitStatus: deleted.exitStatus }, { pid, exitStatus: status });
      }),
    ),
    50_000,
  );
  await eventually('all events', () => lab.daemon.of('c').length >= 302);
  for (const { id, status } of execs) {
    assert.deepEqual(
      lab.daemon.story('c').filter((one) => one.split(' ')[1] === id),
      [`exec-added ${id}`, `exec-started ${id}`, `exit ${id} ${status}`],
    );
  }
  assert.deepEqual(zombiesOf(task.shim.pid), []);
});

shimTest("bug 5: with the host's pid namespace, what the init leaves is killed and told first", async (lab) => {
  const task = await lab.task('c', sh('sleep 1000 & echo $!; wait'), { edit: hostPid });
  await task.start();
  const child = Number(await task.out.saw(/^\d+\n/));
  assert.ok(isAlive(child));
  await task.exec('e', ['/bin/sleep', '1000'], { stdout: '', stderr: '' });
  await task.start('e');
  await task.kill(9);
  assert.equal((await task.wait()).exitStatus, 137);
  assert.equal((await task.wait('e')).exitStatus, 137);
  await lab.daemon.saw('exit', 'c', 'c');
  assertInitExitIsLast(lab, 'c');
  await eventually('the child of the init is gone, and collected', () => processInfo(child) === undefined);
  await task.delete();
});

shimTest('bug 5: an init that ends while execs are being started is told after every exec that was', async (lab) => {
  const task = await lab.task('c', undefined, { edit: hostPid });
  await task.start();
  const ids = Array.from({ length: 12 }, (_, n) => `e${n}`);
  for (const id of ids) await task.exec(id, ['/bin/sleep', '1000'], { stdout: '', stderr: '' });
  const starts = ids.map((id) =>
    task.start(id).then(
      () => true,
      () => false,
    ),
  );
  await task.start(ids[0]).catch(() => undefined);
  await task.kill(9);
  const started = await Promise.all(starts);
  await within('the exit of the init', task.wait());
  await lab.daemon.saw('exit', 'c', 'c');
  assertInitExitIsLast(lab, 'c');
  const exits = lab.daemon.of('c', '/tasks/exit').length - 1;
  assert.equal(exits, started.filter(Boolean).length, 'one exit for each exec that was started');
  await task.delete();
});

shimTest('bug 6: an exec started after the init has ended is refused at once and stays as it was', async (lab) => {
  const gate = join(lab.dir, 'gate');
  writeFileSync(gate, '');
  // Killing the rest takes long, so the init has ended but is not told.
  const binaryName = lab.fakeRunc(
    'runc-slow-kill',
    `if [ "$command" = kill ] && [ "$(cat "$lab/gate")" = closed ]; then while [ -e "$lab/gate" ]; do sleep 0.02; done; fi`,
  );
  const task = await lab.task('c', undefined, { edit: hostPid, options: { binaryName } });
  await task.start();
  await task.exec('e', ['/bin/true'], { stdout: '', stderr: '' });
  writeFileSync(gate, 'closed');
  process.kill(task.pid, 'SIGKILL');
  const refusal = await eventually('the end of the init is noticed', async () => {
    // Gone altogether: a zombie is one whose end the shim has yet to see.
    if (existsSync(`/proc/${task.pid}`)) return undefined;
    await fails(
      task.start('e'),
      Code.FailedPrecondition,
      'container c init process is not running: failed precondition',
    );
    return true;
  });
  assert.ok(refusal);
  assert.equal((await task.state('e')).status, STATUS.CREATED);
  rmSync(gate);
  assert.equal((await within('the exit of the init', task.wait())).exitStatus, 137);
  await task.delete('e');
  await task.delete();
});

shimTest('bug 1: an exec that ends before runc exec returns has its start told before its exit', async (lab) => {
  const binaryName = lab.fakeRunc(
    'runc-slow-return',
    `if [ "$command" = exec ]; then
    "$runc" "$@" || exit
    while [ -d "/proc/$(cat "$lab/bundles/c/e.pid")/fd/0" ]; do sleep 0.01; done
    while grep -q '^State:.[^Z]' "/proc/$(cat "$lab/bundles/c/e.pid")/status" 2>/dev/null; do sleep 0.01; done
    exit 0
  fi`,
  );
  const task = await lab.task('c', undefined, { options: { binaryName } });
  await task.start();
  await task.exec('e', sh('exit 9'), { stdout: '', stderr: '' });
  const waiting = task.wait('e');
  const { pid } = await task.start('e');
  assert.ok(pid > 0);
  assert.equal((await waiting).exitStatus, 9);
  await lab.daemon.saw('exit', 'c', 'e');
  assert.deepEqual(lab.daemon.story('c').slice(2), ['exec-added e', 'exec-started e', 'exit e 9']);
});

shimTest("orphans of a container in the host's pid namespace are collected: no zombie stays", async (lab) => {
  const task = await lab.task(
    'c',
    sh('for i in 1 2 3 4 5; do (sh -c "exit 3" & ) ; done; echo made; exec sleep 1000'),
    { edit: hostPid },
  );
  await task.start();
  await task.out.saw('made');
  // A daemon of its own: it forks twice, and its parent is gone.
  await task.exec('e', sh('(sh -c "sleep 0.2; exit 3" &); exit 0'), { stdout: '', stderr: '' });
  await task.start('e');
  assert.equal((await task.wait('e')).exitStatus, 0);
  await eventually('no zombie of the shim', () => zombiesOf(task.shim.pid).length === 0);
  await task.remove();
  await eventually('no zombie of the shim', () => zombiesOf(task.shim.pid).length === 0);
});

shimTest(
  'the exit is on disk before it is told, and gone when the next container takes the bundle',
  async (lab) => {
    const task = await lab.task('c', sh('exit 4'));
    await task.start();
    await task.wait();
    assert.ok(existsSync(join(lab.bundlePath('c'), 'exit.json')));
    await task.delete();
    lab.bundle('c');
    await task.shim.create('c', { stdio: lab.stdio('again') });
    assert.ok(!existsSync(join(lab.bundlePath('c'), 'exit.json')));
  },
  { skip: process.env.HAWSER_TEST_SHIM ? 'only Hawser keeps it' : false },
);
