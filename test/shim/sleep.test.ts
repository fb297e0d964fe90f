/** A shim with nothing to do has no worker, and misses nothing (src/monitor/monitor.c, src/shim/worker/sleep.ts). */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Code } from '../../src/ttrpc/index.js';
import { containerIn, metricsOf, stateOf } from '../support/debug.js';
import { eventually } from '../support/eventually.js';
import { descriptorsOf, processInfo } from '../support/machine.js';
import { fails, shimTest, STATUS, type Lab, type Shim } from '../support/shim.js';
import { asleep, end, env, nothingLeft, only, running, runningInTerminal, wake } from '../support/sleeping.js';
import { sh } from '../support/spec.js';

async function start(lab: Lab, id: string): Promise<Shim> {
  lab.bundle(id);
  return lab.shim(id, { env });
}

shimTest(
  'a shim sleeps, is woken by a request on an old and on a new connection, and by the end of its container',
  async (lab) => {
    const task = await running(lab, 'c', ['/bin/sleep', '1000']);
    const { shim } = task;
    const waiting = task.wait();
    await asleep(shim);
    await wake(task);
    assert.equal((await task.state()).status, STATUS.RUNNING);
    assert.equal((await shim.task.Connect({ id: 'c' })).shimPid, shim.pid, 'it is the shim that it was');
    await asleep(shim);
    const other = await lab.connect(shim.address);
    assert.equal(other.pid, shim.pid);
    await asleep(shim);
    process.kill(task.pid, 'SIGKILL');
    assert.equal((await waiting).exitStatus, 137);
    await lab.daemon.saw('exit', 'c');
    await asleep(shim);
    assert.equal((await task.delete()).exitStatus, 137);
    await lab.daemon.saw('delete', 'c');
    assert.deepEqual(lab.daemon.story('c'), ['create', 'start', 'exit c 137', 'delete']);
    await shim.shutdown();
  },
  only,
);

shimTest(
  'asleep it has next to nothing of its own, and it is the parent of the init',
  async (lab) => {
    const task = await running(lab, 'c', ['/bin/sleep', '1000']);
    await asleep(task.shim);
    const [, dirty] = /^Private_Dirty:\s+(\d+) kB/m.exec(
      readFileSync(`/proc/${task.shim.pid}/smaps_rollup`, 'latin1'),
    )!;
    assert.ok(Number(dirty) <= 204, `${dirty} kB`);
    assert.equal(processInfo(task.pid)?.ppid, task.shim.pid);
    assert.equal(processInfo(task.shim.pid)?.name, 'containerd-shim');
    await end(lab, task);
  },
  only,
);

shimTest(
  'output goes on while it sleeps, also more than any pipe holds, and its end is told',
  async (lab) => {
    const script =
      'read line; head -c 3000000 /dev/zero | tr "\\\\0" x; echo; echo "$line" >&2; read line; echo "$line"';
    const task = await running(lab, 'c', sh(script), { stdin: true });
    const input = await task.stdio.input();
    await asleep(task.shim);
    await input.write('one\n');
    await task.err.saw('one\n');
    await eventually('all of it', () => task.out.text.length === 3_000_001);
    assert.equal(task.shim.awake, undefined, 'nobody had to be woken for that');
    await input.write('two\n');
    assert.match(await task.out.ended.then(String), /^x{3000000}\ntwo\n$/);
    assert.equal((await task.wait()).exitStatus, 0);
    await end(lab, task);
  },
  only,
);

shimTest(
  'a terminal goes on while it sleeps, and afterwards',
  async (lab) => {
    const { task, input } = await runningInTerminal(lab);
    await asleep(task.shim);
    await input.write('one\n');
    await task.out.saw('got one');
    assert.equal(task.shim.awake, undefined);
    await task.out.saw('33 90');
    await task.shim.task.ResizePty({ id: 'c', width: 91, height: 34 });
    await input.write('two\n');
    await task.out.saw('34 91');
    // It may be asleep again by then.
    await eventually('its worker has the terminal, once', async () => {
      await wake(task);
      const { awake } = task.shim;
      return awake !== undefined && descriptorsOf(awake).filter((line) => line.includes('ptmx')).length === 1;
    });
    await end(lab, task);
  },
  only,
);

shimTest(
  'execs outlive a sleep: one that runs, one that has ended, one that was never started',
  async (lab) => {
    const task = await running(lab, 'c', ['/bin/sleep', '1000']);
    const runs = await task.exec('runs', sh('read line; echo "got $line"; exit 3'), { stdin: true });
    await task.start('runs');
    const waiting = task.wait('runs');
    await task.exec('ended', sh('exit 4'));
    await task.start('ended');
    await task.wait('ended');
    await task.exec('added', sh('exit 5'));
    const input = await runs.input();
    await asleep(task.shim);
    await input.write('it\n');
    assert.equal((await waiting).exitStatus, 3);
    assert.equal(String(await runs.out!.ended), 'got it\n');
    await lab.daemon.saw('exit', 'c', 'runs');
    await asleep(task.shim);
    assert.equal((await task.delete('ended')).exitStatus, 4);
    await task.start('added');
    assert.equal((await task.wait('added')).exitStatus, 5);
    for (const id of ['runs', 'added']) await task.delete(id);
    await end(lab, task);
  },
  only,
);

shimTest(
  'a Wait that its client has limited ends in time, and one whose client has gone is forgotten',
  async (lab) => {
    const task = await running(lab, 'c', ['/bin/sleep', '1000']);
    const other = await lab.connect(task.shim.address);
    const lost = other.task.Wait({ id: 'c' }).catch((error: unknown) => error);
    await asleep(task.shim);
    other.client.close();
    await lost;
    await eventually('it has heard of that', async () => (await stateOf(task.shim)).requests.length === 0);
    await asleep(task.shim);
    await fails(task.shim.task.Wait({ id: 'c' }, { timeoutMs: 2_000 }), Code.DeadlineExceeded, /deadline/);
    await end(lab, task);
  },
  only,
);

shimTest(
  'the state dump says how often it has slept, and why it woke; what it counts goes on',
  async (lab) => {
    const task = await running(lab, 'c', ['/bin/sleep', '1000']);
    let before = 0;
    for (let round = 0; round < 2; round++) {
      await asleep(task.shim);
      const state = await stateOf(task.shim);
      // On a slow machine it sleeps once more before it is asked.
      assert.ok(state.sleep.times > before, `${state.sleep.times} times, and ${before} before`);
      before = state.sleep.times;
      assert.equal(state.sleep.wokenBy, 'a new client');
      assert.equal((await metricsOf(task.shim)).get('requests_total{method="Create"}'), 1);
      assert.equal(containerIn(state, 'c').pid, task.pid);
      assert.ok(state.timeline.some(({ what }) => what === 'Create: asked'));
      assert.equal(state.metrics.runtimeCommands.create?.count, 1);
      assert.equal(state.metrics.events.sent, 2);
    }
    await end(lab, task);
  },
  only,
);

shimTest(
  'without a zygote it wakes too, and is asked to end by a signal while it sleeps',
  async (lab) => {
    lab.bundle('c', ['/bin/sleep', '1000']);
    const shim = await lab.shim('c', { env: { ...env, HAWSER_ZYGOTE: 'off' } });
    const task = await shim.create('c');
    await task.start();
    await asleep(shim);
    await wake(task);
    assert.equal((await task.state()).status, STATUS.RUNNING);
    await asleep(shim);
    process.kill(shim.pid, 'SIGTERM');
    await shim.gone();
    process.kill(task.pid, 'SIGKILL');
  },
  only,
);

shimTest(
  'a shim without a container does not sleep, and goes when it is asked to',
  async (lab) => {
    const shim = await start(lab, 'c');
    await eventually('it says why', async () => (await stateOf(shim)).sleep.cannot === 'there is no container');
    await shim.shutdown();
    await nothingLeft(lab);
  },
  only,
);

shimTest(
  'a daemon that went and came back while the shim slept is told of an exit when its clients may be back',
  async (lab) => {
    const task = await running(lab, 'c', ['/bin/sleep', '1000'], { stdout: '', stderr: '' });
    await asleep(task.shim);
    lab.daemon.stop();
    const bound = performance.now();
    await lab.daemon.start();
    process.kill(task.pid, 'SIGKILL');
    // Only who asks for nothing leaves it waiting: a command shows that a client is back.
    await lab.daemon.saw('exit', 'c');
    const heldMs = performance.now() - bound;
    assert.ok(heldMs >= 2_900, `it was told ${heldMs} ms after the daemon's return: its clients take up to 3 s`);
    assert.equal((await task.delete()).exitStatus, 137);
    await task.shim.shutdown();
    await nothingLeft(lab);
  },
  only,
);

shimTest(
  'a kill for want of memory is told of a container whose shim sleeps, and again after the next sleep',
  async (lab) => {
    const greedy = 'while read line; do dd if=/dev/zero of=/dev/null bs=200M count=1; echo over; done 2>/dev/null';
    const task = await running(lab, 'c', sh(greedy), {
      stdin: true,
      edit: (spec) => {
        spec.linux.resources.memory = { limit: 16 << 20, swap: 16 << 20 };
      },
    });
    const input = await task.stdio.input();
    for (const times of [1, 2]) {
      await asleep(task.shim);
      await input.write('go\n');
      await eventually(`OOM ${times}`, () => lab.daemon.of('c', '/tasks/oom').length >= times);
      await eventually('it goes on', () => task.out.text === 'over\n'.repeat(times));
    }
    await end(lab, task);
  },
  only,
);
