/** Whose words a failure is reported with, when several fail (contract §6.4). */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { metricsOf } from '../support/debug.js';
import { Code } from '../../src/ttrpc/index.js';
import { fails, hawserOnly, shimTest } from '../support/shim.js';

const logs = (dir: string): string[] =>
  readdirSync(dir)
    .filter((name) => name.startsWith('log.'))
    .sort();

shimTest(
  'execs that fail at the same instant are each told their own words',
  async (lab) => {
    const task = await lab.task('c');
    await task.start();
    const names = Array.from({ length: 6 }, (_, n) => `no-such-command-${n}`);
    for (const name of names) await task.exec(name, [`/${name}`], { stdout: '', stderr: '' });
    await Promise.all(
      names.map((name) =>
        fails(task.start(name), Code.Unknown, new RegExp(`${name}\\b(?!.*no-such-command-(?!${name.at(-1)}))`, 's')),
      ),
    );
    assert.deepEqual(logs(lab.bundlePath('c')), ['log.json'], 'one log, where it always was');
    // All that was said is there for people to read.
    const said = readFileSync(join(lab.bundlePath('c'), 'log.json'), 'utf8');
    for (const name of names) assert.ok(said.includes(name), said);
    const metrics = await metricsOf(task.shim);
    assert.equal(metrics.get('runtime_commands_failed_total{command="exec"}'), 6);
    assert.equal(metrics.get('requests_failed_total{method="Start"}'), 6);
    assert.equal(metrics.get('execs_started_total'), 0);
    await task.remove();
  },
  { skip: hawserOnly },
);

shimTest(
  'a log that grew is cut when a command begins',
  async (lab) => {
    const task = await lab.task('c');
    const file = join(lab.bundlePath('c'), 'log.json');
    writeFileSync(file, `${JSON.stringify({ level: 'error', msg: 'old words', time: 'x' })}\n`.repeat(5000));
    await task.start();
    await task.exec('e', ['/no-such-command'], { stdout: '', stderr: '' });
    await fails(task.start('e'), Code.Unknown, /no-such-command/);
    assert.ok(readFileSync(file).length <= 17 * 1024);
    assert.match(readFileSync(file, 'utf8').trimEnd().split('\n').at(-1)!, /no-such-command/);
    await task.remove();
  },
  { skip: hawserOnly },
);
