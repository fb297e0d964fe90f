/** What the runtime says of a create or exec that fails is its caller's to know, and no output of the container (contract §6.4). */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Code } from '../../src/ttrpc/index.js';
import { within } from '../support/eventually.js';
import { fails, hawserOnly, shimTest } from '../support/shim.js';
import { sh } from '../support/spec.js';

const MISSING = /nosuch/;

shimTest(
  "a create that fails writes nothing to the client's streams, which end",
  async (lab) => {
    const stdio = lab.stdio('c');
    await fails(lab.task('c', ['/bin/nosuch'], { stdio }), Code.Unknown, MISSING);
    assert.deepEqual(
      [(await within('stdout', stdio.out!.ended)).toString(), (await within('stderr', stdio.err!.ended)).toString()],
      ['', ''],
    );
  },
  { skip: hawserOnly },
);

shimTest(
  "an exec that fails writes nothing to the client's streams, which end; one that runs has its errors",
  async (lab) => {
    const task = await lab.task('c');
    await task.start();
    const failed = await task.exec('e', ['/bin/nosuch']);
    await fails(task.start('e'), Code.Unknown, MISSING);
    assert.deepEqual(
      [(await within('stdout', failed.out!.ended)).toString(), (await within('stderr', failed.err!.ended)).toString()],
      ['', ''],
    );
    await task.delete('e');
    const size = 300_000;
    const good = await task.exec('g', sh(`head -c ${size} /dev/zero | tr '\\0' x >&2; echo out`));
    await task.start('g');
    await task.wait('g');
    assert.equal((await within('stderr', good.err!.ended)).length, size);
    assert.equal((await good.out!.ended).toString(), 'out\n');
    await task.delete('g');
    await task.remove();
  },
  { skip: hawserOnly },
);

shimTest(
  'logs and loggers get none of it',
  async (lab) => {
    const file = join(lab.dir, 'x.log');
    await fails(
      lab.task('c', ['/bin/nosuch'], { stdout: `file://${file}`, stderr: `file://${file}` }),
      Code.Unknown,
      MISSING,
    );
    assert.equal(readFileSync(file, 'utf8'), '');
    const logger = join(lab.dir, 'logger');
    writeFileSync(
      logger,
      `#!/bin/sh\ntrap "" TERM\nexec 5>&-\ncat <&3 >${lab.dir}/out & cat <&4 >${lab.dir}/err; wait\necho over >${lab.dir}/over\n`,
      { mode: 0o755 },
    );
    await fails(
      lab.task('d', ['/bin/nosuch'], { stdout: `binary://${logger}`, stderr: `binary://${logger}` }),
      Code.Unknown,
      MISSING,
    );
    assert.deepEqual(
      [
        readFileSync(join(lab.dir, 'over'), 'utf8'),
        readFileSync(join(lab.dir, 'out'), 'utf8'),
        readFileSync(join(lab.dir, 'err'), 'utf8'),
      ],
      ['over\n', '', ''],
    );
  },
  { skip: hawserOnly },
);

shimTest(
  'a runtime that keeps no log is quoted in the error',
  async (lab) => {
    const mute = lab.fakeRunc('runc-mute', 'if [ $command = create ]; then echo "it is too late" >&2; exit 1; fi');
    const stdio = lab.stdio('c');
    await fails(
      lab.task('c', undefined, { stdio, options: { binaryName: mute } }),
      Code.Unknown,
      /exit status 1: it is too late$/,
    );
    assert.equal((await within('stderr', stdio.err!.ended)).toString(), '');
  },
  { skip: hawserOnly },
);

shimTest(
  'a runtime that says a lot is not made to wait; what it says of a create that works is passed on',
  async (lab) => {
    const size = 500_000;
    const loud = lab.fakeRunc(
      'runc-loud',
      `if [ $command = create ]; then head -c ${size} /dev/zero | tr '\\0' x >&2; fi`,
    );
    const task = await lab.task('c', sh('echo over >&2'), { options: { binaryName: loud } });
    await task.start();
    await task.wait();
    const text = (await within('stderr', task.err.ended)).toString();
    assert.deepEqual([text.length, text.slice(-6)], [size + 5, 'xover\n']);
    await task.delete();
  },
  { skip: hawserOnly },
);

shimTest(
  'an exec that leaves somebody with its standard error is deleted at once, and its client finds the end',
  async (lab) => {
    const task = await lab.task('c');
    await task.start();
    const stdio = await task.exec('e', sh('sleep 1000 >/dev/null & echo said >&2'));
    await task.start('e');
    await task.wait('e');
    await within('the deletion', task.delete('e'));
    assert.equal((await within('the end of stderr', stdio.err!.ended)).toString(), 'said\n');
    await task.remove();
    // Its process has written all that it had to.
    assert.doesNotMatch(lab.log, /copying the output to its end/);
  },
  { skip: hawserOnly },
);
