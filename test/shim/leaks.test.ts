/** What a shim has when its containers are gone: what it had before them. */
import assert from 'node:assert/strict';
import { containerIn, stateOf } from '../support/debug.js';
import { eventually } from '../support/eventually.js';
import { zombiesOf } from '../support/machine.js';
import { hawserOnly, shimTest, type Shim } from '../support/shim.js';
import { sh } from '../support/spec.js';

async function round(shim: Shim, name: string, execs: number): Promise<void> {
  const { lab } = shim;
  const terminal = name.endsWith('t');
  const id = name;
  lab.bundle(id, ['/bin/sleep', '1000'], (spec) => {
    spec.process.terminal = terminal;
  });
  const task = await shim.create(id, { terminal, stdin: true });
  await task.start();
  await Promise.all(
    Array.from({ length: execs }, async (_, n) => {
      const execId = `e${n}`;
      const stdio = await task.exec(execId, n % 5 === 4 ? ['/no/such'] : sh('echo x; cat >/dev/null'), {
        terminal: n % 3 === 0,
        stdin: true,
      });
      try {
        await task.start(execId);
        await task.kill(9, { execId });
        await task.wait(execId);
      } catch (error) {
        assert.equal(n % 5, 4, String(error));
      }
      await task.delete(execId);
      await stdio.out!.ended;
    }),
  );
  await task.remove();
}

shimTest(
  'field 29: 30 containers and 100 execs through one shim leave descriptors, processes, mounts and cgroups as they were',
  async (lab) => {
    lab.bundle('leader');
    const shim = await lab.shim('leader');
    await round(shim, 'warm-up', 2);
    await round(shim, 'warm-t', 2);
    const before = shim.descriptors();
    for (let batch = 0; batch < 10; batch++) {
      await Promise.all([round(shim, `a${batch}`, 4), round(shim, `b${batch}`, 3), round(shim, `c${batch}t`, 3)]);
    }
    await eventually('the descriptors are as before', () => shim.descriptors().length === before.length).catch(
      () => undefined,
    );
    assert.deepEqual(shim.descriptors(), before);
    assert.deepEqual(zombiesOf(shim.pid), []);
    const { processes, ...rest } = lab.snapshot();
    assert.equal(processes.length, 1, processes.join('\n'));
    assert.deepEqual(rest, {
      zombies: [],
      mounts: [],
      cgroups: [],
      sockets: [shim.socket],
      temporary: [],
      runtime: [],
    });
    await shim.shutdown();
    await lab.assertNothingLeft();
  },
  { skip: hawserOnly, timeout: 110_000 },
);

shimTest(
  'bug 26: a Wait that its client has given up leaves no waiter behind',
  async (lab) => {
    const task = await lab.task('c');
    await task.start();
    for (let n = 0; n < 50; n++) await task.shim.task.Wait({ id: 'c' }, { timeoutMs: 5 }).catch(() => undefined);
    // The client gives up a little before the shim does.
    await eventually('a state dump without a waiter', async () => {
      const state = await stateOf(task.shim);
      return containerIn(state, 'c').waiters === 0 && state.requests.length === 0;
    });
  },
  { skip: hawserOnly },
);
