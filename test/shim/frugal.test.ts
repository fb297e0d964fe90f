/** What a shim costs while nothing happens, and what an exec costs. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '../support/eventually.js';
import { cpuTicks } from '../support/machine.js';
import { hawserOnly, shimTest } from '../support/shim.js';
import { sh } from '../support/spec.js';

/** Private memory of an idle shim: what it is (see the README), and what Nodes differ by. */
const BUDGET_KB = 16 * 1024;

function privateKilobytes(pid: number): number {
  return Number(/^Private_Dirty:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1]);
}

shimTest(
  'field 25: an idle shim with a container keeps within its budget of private memory',
  async (lab) => {
    const task = await lab.task('c');
    await task.start();
    const kilobytes = privateKilobytes(task.shim.worker);
    assert.ok(kilobytes > 0 && kilobytes < BUDGET_KB, `${kilobytes} kB`);
  },
  { skip: hawserOnly },
);

shimTest(
  'what a burst of requests has taken of memory is given back',
  async (lab) => {
    const task = await lab.task('c', undefined, { stdout: '', stderr: '' });
    await task.start();
    const ask = async (): Promise<void> => {
      await Promise.all(
        Array.from({ length: 64 }, async (_, n) => {
          for (let i = 0; i < 250; i++)
            await task.shim.task.State({ id: n % 8 === 0 ? `no-${i}` : 'c' }).catch(() => undefined);
        }),
      );
    };
    // What these requests leave for good, compiled code above all, is there after the first time.
    await ask();
    const busy = privateKilobytes(task.shim.worker);
    const rested = await eventually('memory is given back', () => {
      const now = privateKilobytes(task.shim.worker);
      return now < busy - 1024 ? now : undefined;
    });
    await ask();
    await eventually('memory is given back again', () => privateKilobytes(task.shim.worker) < rested + 2048);
  },
  { skip: hawserOnly },
);

shimTest('field 27: an idle shim takes no processor time', async (lab) => {
  const task = await lab.task('c');
  await task.start();
  assert.equal((await task.run('e', sh('exit 0'))).status, 0);
  // Once it has put the work behind it there must be a time in which it does nothing; what it does at rest would go on in all of them.
  const used: number[] = [];
  while (used.length < 8 && used.at(-1) !== 0) {
    const before = cpuTicks(task.shim.worker);
    await delay(2_000);
    used.push(cpuTicks(task.shim.worker) - before);
  }
  assert.equal(used.at(-1), 0, `hundredths of a second, in 2 s each: ${used.join(', ')}`);
});

shimTest(
  'field 33: an exec costs one command of the runtime, whatever is asked about it',
  async (lab) => {
    const binaryName = lab.fakeRunc('runc-count', 'echo "$command" >> "$lab/commands"');
    const task = await lab.task('c', undefined, { options: { binaryName } });
    await task.start();
    const commands = (): string[] => readFileSync(join(lab.dir, 'commands'), 'utf8').trim().split('\n').slice(2);
    for (let n = 0; n < 5; n++) {
      await task.exec(`e${n}`, ['/bin/sleep', '1000'], { stdout: '', stderr: '' });
      await task.state(`e${n}`);
      await task.start(`e${n}`);
      await task.state(`e${n}`);
      await task.shim.task.Pids({ id: 'c' });
      await task.shim.task.Stats({ id: 'c' });
      await task.kill(9, { execId: `e${n}` });
      await task.wait(`e${n}`);
      await task.delete(`e${n}`);
    }
    assert.deepEqual(
      commands(),
      Array.from({ length: 5 }, () => 'exec'),
    );
  },
  { skip: hawserOnly },
);
