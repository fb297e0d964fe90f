/** Execs: what they run in, how they fail, and what a failure leaves (contract §3.4, §3.5). */
import assert from 'node:assert/strict';
import { readdirSync, watch } from 'node:fs';
import { Code } from '../../src/ttrpc/index.js';
import { within } from '../support/eventually.js';
import { fails, hawserOnly, processAny, shimTest, STATUS } from '../support/shim.js';
import { makeProcess, sh } from '../support/spec.js';

shimTest('an exec runs with the environment, directory and user of its description', async (lab) => {
  const task = await lab.task('c');
  await task.start();
  const { out } = await task.exec('e', sh('echo $MARK; pwd; id -u; id -g'), {
    edit: (process) => {
      process.env.push('MARK=ü "quoted"');
      process.cwd = '/tmp';
      process.user = { uid: 12, gid: 34 };
    },
  });
  await task.start('e');
  assert.equal((await task.wait('e')).exitStatus, 0);
  assert.equal((await out!.ended).toString(), 'ü "quoted"\n/tmp\n12\n34\n');
});

shimTest(
  'what an exec is to run lies in no file, and the process gets no descriptor more for it',
  async (lab) => {
    const task = await lab.task('c');
    await task.start();
    const seen = new Set<string>();
    const watcher = watch(lab.bundlePath('c'), (_event, name) => seen.add(name ?? ''));
    try {
      // The fourth is ls's own, for the directory.
      assert.equal((await task.run('e', ['/bin/ls', '/proc/self/fd'])).stdout, '0\n1\n2\n3\n');
    } finally {
      watcher.close();
    }
    assert.ok(seen.has('e.pid'), 'what is written there is seen');
    assert.deepEqual(
      [...seen].filter((name) => name.includes('process')),
      [],
    );
  },
  { skip: hawserOnly },
);

shimTest(
  "an exec of a missing command says so in runc's words, and stays created with no pid and no exit",
  async (lab) => {
    const task = await lab.task('c');
    await task.start();
    await task.exec('e', ['/no/such/command']);
    const waiting = task.wait('e');
    await fails(task.start('e'), Code.Unknown, /^OCI runtime exec failed: .*no such file or directory/is);
    const { status, pid } = await task.state('e');
    assert.deepEqual({ status, pid }, { status: STATUS.CREATED, pid: 0 });
    const waited = await waiting;
    assert.deepEqual(
      { exitStatus: waited.exitStatus, seconds: Number(waited.exitedAt?.seconds) },
      { exitStatus: 0, seconds: -62135596800 },
    );
    await task.delete('e');
    assert.deepEqual(lab.daemon.of('c', '/tasks/exit'), []);
    assert.equal((await task.run('next', sh('echo fine'))).stdout, 'fine\n');
  },
);

shimTest(
  'the clients of a failed exec get the end of its output at once',
  async (lab) => {
    const task = await lab.task('c');
    await task.start();
    const { out, err } = await task.exec('e', ['/no/such/command']);
    await fails(task.start('e'), Code.Unknown, /OCI runtime exec failed/);
    await within('the end of stdout', out!.ended);
    await within('the end of stderr', err!.ended);
  },
  { skip: hawserOnly },
);

shimTest(
  'a failed exec that is started again fails again, and harms nobody',
  async (lab) => {
    const task = await lab.task('c');
    await task.start();
    await task.exec('e', ['/no/such/command'], { stdout: '', stderr: '' });
    await fails(task.start('e'), Code.Unknown, /OCI runtime exec failed/);
    await fails(task.start('e'), Code.FailedPrecondition, /e could not be started before/);
    assert.equal((await task.state()).status, STATUS.RUNNING);
    await task.remove();
  },
  { skip: hawserOnly },
);

shimTest('bug 27: of two Execs with one id at the same time exactly one is taken', async (lab) => {
  const task = await lab.task('c');
  await task.start();
  const add = (): Promise<unknown> => task.exec('e', ['/bin/true'], { stdout: '', stderr: '' });
  const results = await Promise.allSettled([add(), add(), add(), add()]);
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
  for (const result of results)
    if (result.status === 'rejected') assert.equal((result.reason as { code: Code }).code, Code.AlreadyExists);
  await task.remove();
  await lab.daemon.saw('delete', 'c');
  assert.equal(lab.daemon.of('c', '/tasks/exec-added').length, 1);
});

shimTest('an exec in a container that is not started yet works, as runc allows it', async (lab) => {
  const task = await lab.task('c');
  await task.exec('e', sh('exit 6'), { stdout: '', stderr: '' });
  await task.start('e');
  assert.equal((await task.wait('e')).exitStatus, 6);
});

shimTest(
  'a description that is no JSON object is refused, and the exec id stays free',
  async (lab) => {
    const task = await lab.task('c');
    await task.start();
    for (const value of ['', '{', '3', 'null', '"text"']) {
      await fails(
        task.shim.task.Exec({ id: 'c', execId: 'e', spec: { type_url: 'x', value: Buffer.from(value) } }),
        Code.InvalidArgument,
        /invalid argument$/,
      );
    }
    await fails(task.shim.task.Exec({ id: 'c', execId: 'e' }), Code.InvalidArgument, /invalid argument$/);
    assert.equal((await task.run('e', sh('exit 2'))).status, 2);
  },
  { skip: hawserOnly },
);

shimTest('limits of 64 bits reach the runtime as they are', async (lab) => {
  const task = await lab.task('c');
  await task.start();
  const text = JSON.stringify({
    ...makeProcess(sh('exit $(( $(ulimit -Hc | wc -c) ))')),
    rlimits: [{ type: 'RLIMIT_CORE', soft: 0, hard: 0 }],
  }).replace('"hard":0', '"hard":18446744073709551615');
  await task.shim.task.Exec({ id: 'c', execId: 'e', spec: { type_url: 'x', value: Buffer.from(text) } });
  await task.start('e');
  assert.equal((await task.wait('e')).exitStatus, 'unlimited\n'.length);
});

shimTest(
  'exec ids that could be paths or flags are refused before they become any',
  async (lab) => {
    const task = await lab.task('c');
    await task.start();
    const before = readdirSync(lab.bundlePath('c'));
    for (const execId of ['', '../e', 'a/b', '-e', '.e', 'e\0', 'x'.repeat(77), 'ü']) {
      await fails(
        task.shim.task.Exec({ id: 'c', execId, spec: processAny(makeProcess(['/bin/true'])) }),
        Code.InvalidArgument,
        /exec id .*: invalid argument$/s,
      );
    }
    assert.deepEqual(readdirSync(lab.bundlePath('c')), before);
    const longest = 'x'.repeat(76);
    assert.equal((await task.run(longest, sh('exit 1'))).status, 1);
  },
  { skip: hawserOnly },
);

shimTest('nothing of an exec stays in the bundle after its deletion, whether it worked or failed', async (lab) => {
  const task = await lab.task('c');
  await task.start();
  const before = readdirSync(lab.bundlePath('c')).sort();
  await task.run('good', ['/bin/true']);
  await task.exec('bad', ['/no/such/command'], { stdout: '', stderr: '' });
  await task.start('bad').catch(() => undefined);
  await task.delete('bad');
  assert.deepEqual(
    readdirSync(lab.bundlePath('c'))
      .filter((name) => name !== 'log.json')
      .sort(),
    before.filter((name) => name !== 'log.json'),
  );
});

shimTest('the request decides about a terminal, not the description', async (lab) => {
  const task = await lab.task('c');
  await task.start();
  const { out } = await task.exec('e', sh('test -t 1; echo $?'), {
    edit: (process) => {
      process.terminal = true;
    },
  });
  await task.start('e');
  await task.wait('e');
  assert.equal((await out!.ended).toString(), '1\n');
});
