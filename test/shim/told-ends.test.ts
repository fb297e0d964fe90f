/** A worker is told of ends with how they were (src/monitor/watched.c): many at once, and when it ends before it has heard. */
import assert from 'node:assert/strict';
import { stateOf } from '../support/debug.js';
import { eventually } from '../support/eventually.js';
import { processInfo, zombiesOf } from '../support/machine.js';
import { shimTest, STATUS, type Lab, type Task } from '../support/shim.js';
import { only, running as runningIn } from '../support/sleeping.js';
import { sh } from '../support/spec.js';

const quiet = { stdout: '', stderr: '' };
const MANY = 120;
/** With a zygote for who comes. */
const env = { HAWSER_ZYGOTE: '600' };

const running = (lab: Lab): Promise<Task> => runningIn(lab, 'c', ['/bin/sleep', '1000'], quiet, { env });

async function endOf(lab: Lab, task: Task): Promise<void> {
  await task.remove();
  await task.shim.shutdown();
  await lab.assertNothingLeft();
}

shimTest(
  'more ends than a worker reads at once are each told, with their status',
  async (lab) => {
    const task = await running(lab);
    const pids: number[] = [];
    for (let n = 0; n < MANY; n++) {
      await task.exec(`e${n}`, sh(`trap 'exit ${n + 1}' TERM; while :; do sleep 100 & wait; done`), quiet);
      pids.push((await task.start(`e${n}`)).pid);
    }
    // It watches none of them by itself.
    assert.ok(!task.shim.descriptors().some((line) => line.includes('pidfd')));
    const waits = pids.map((_, n) => task.wait(`e${n}`));
    const worker = task.shim.awake!;
    process.kill(worker, 'SIGSTOP');
    try {
      for (const pid of pids) process.kill(pid, 'SIGTERM');
      await eventually('all have ended', () => pids.every((pid) => (processInfo(pid)?.state ?? 'Z') === 'Z'));
    } finally {
      process.kill(worker, 'SIGCONT');
    }
    for (const [n, wait] of waits.entries()) assert.equal((await wait).exitStatus, n + 1);
    await eventually('nobody is left', () => zombiesOf(task.shim.pid).length === 0);
    assert.equal(task.shim.awake, worker);
    for (const n of pids.keys()) await task.delete(`e${n}`);
    await endOf(lab, task);
  },
  only,
);

shimTest(
  'a worker that ends before it has heard of an end leaves it to the next one',
  async (lab) => {
    const task = await running(lab);
    await task.exec('e', sh('exit 0'), quiet);
    const worker = task.shim.awake!;
    const waiting = task.wait();
    // It has asked for all that it is told of.
    await stateOf(task.shim);
    process.kill(worker, 'SIGSTOP');
    process.kill(task.pid, 'SIGKILL');
    await eventually('it has ended', () => (processInfo(task.pid)?.state ?? 'Z') === 'Z');
    process.kill(worker, 'SIGKILL');
    assert.equal((await waiting).exitStatus, 137);
    assert.notEqual(task.shim.awake, worker);
    assert.equal((await task.state()).status, STATUS.STOPPED);
    await lab.daemon.saw('exit', 'c');
    assert.equal(lab.daemon.of('c', '/tasks/exit').length, 1);
    await eventually('nobody is left', () => zombiesOf(task.shim.pid).length === 0);
    await task.delete('e');
    await task.delete();
    await task.shim.shutdown();
    await lab.assertNothingLeft();
  },
  only,
);
