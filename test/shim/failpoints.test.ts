/** Calls that fail on purpose: only under the name for that, by containerd's own annotations. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { Code } from '../../src/ttrpc/index.js';
import { eventually, isPending, within } from '../support/eventually.js';
import { isAlive } from '../support/machine.js';
import { fails, hawserOnly, SHIM, shimTest, STATUS, type Lab } from '../support/shim.js';
import type { TestSpec } from '../support/spec.js';

const quiet = { stdout: '', stderr: '' };

const points =
  (terms: Record<string, string>) =>
  (spec: TestSpec): void => {
    spec.annotations = Object.fromEntries(
      Object.entries(terms).map(([method, text]) => [`io.containerd.runtime.v2.shim.failpoint.${method}`, text]),
    );
  };

function failingShim(lab: Lab): string {
  const program = join(lab.dir, 'containerd-shim-runc-fp-v1');
  if (!existsSync(program)) symlinkSync(SHIM, program);
  return program;
}

shimTest(
  'failpoints: an error comes as often as it was asked for, after what comes before it',
  async (lab) => {
    lab.bundle('c', undefined, points({ Create: '2*error(please retry)', Start: '1*off->1*error(not twice)' }));
    const shim = await lab.shim('c', { binary: failingShim(lab) });
    for (let n = 0; n < 2; n++)
      await fails(shim.create('c', { stdio: lab.stdio(`c${n}`) }), Code.Unknown, 'please retry');
    assert.deepEqual(lab.snapshot().runtime, []);
    const task = await shim.create('c', quiet);
    await task.start();
    await fails(task.start(), Code.Unknown, 'not twice');
    await fails(task.start(), Code.Unknown, 'cannot start a running process');
    await task.remove();
    await shim.shutdown();
    await lab.assertNothingLeft();
  },
  { skip: hawserOnly },
);

shimTest(
  'failpoints: a delay holds up its own call, not those of others',
  async (lab) => {
    lab.bundle('c', undefined, points({ Start: '1*delay(1500)' }));
    const task = await (await lab.shim('c', { binary: failingShim(lab) })).create('c', quiet);
    const starting = task.start();
    assert.equal((await task.state()).status, STATUS.CREATED);
    assert.ok(await isPending(starting));
    assert.equal((await within('Start', starting)).pid, task.pid);
    assert.equal((await task.state()).status, STATUS.RUNNING);
    await task.remove();
  },
  { skip: hawserOnly },
);

shimTest(
  'failpoints: a panic ends the shim as a crash would; the delete action cleans up after it',
  async (lab) => {
    lab.bundle('c', undefined, points({ Pids: '1*panic(oops)' }));
    const task = await (await lab.shim('c', { binary: failingShim(lab) })).create('c', quiet);
    await task.start();
    await assert.rejects(task.shim.task.Pids({ id: 'c' }), /ttrpc: closed/);
    await task.shim.gone();
    await eventually('its last words', () => lab.log.includes('panic: failpoint Pids: oops'));
    const { status, response } = await lab.deleteAction('c', { binary: failingShim(lab) });
    assert.deepEqual([status, response.pid, response.exitStatus], [0, task.pid, 137]);
    await eventually('the end of the container', () => !isAlive(task.pid));
    await lab.assertNothingLeft();
  },
  { skip: hawserOnly },
);

shimTest(
  'failpoints: annotations that cannot be understood fail start, by name, and leave no shim',
  async (lab) => {
    lab.bundle('c', undefined, points({ Create: '1*off->error(no count)' }));
    const { status, stderr } = await lab.startAction('c', { binary: failingShim(lab) });
    assert.equal(status, 1);
    assert.match(
      stderr,
      /^io\.containerd\.runc\.v2: annotation io\.containerd\.runtime\.v2\.shim\.failpoint\.Create: failpoint "1\*off->error\(no count\)" cannot be understood: a term must begin with a count/,
    );
    assert.ok(!existsSync(join(lab.bundlePath('c'), 'address')));
    await lab.assertNothingLeft();
  },
  { skip: hawserOnly },
);

shimTest('failpoints: the shim that containers run with knows nothing of them', async (lab) => {
  lab.bundle('c', undefined, points({ Create: '1*error(never)', Start: '1*panic(never)', Delete: 'nonsense' }));
  const task = await (await lab.shim('c')).create('c', quiet);
  await task.start();
  assert.doesNotMatch(
    readFileSync(`/proc/${task.shim.worker}/maps`, 'utf8') + task.shim.descriptors().join('\n'),
    /failpoint/,
  );
  await task.remove();
  await task.shim.shutdown();
  await lab.assertNothingLeft();
});
