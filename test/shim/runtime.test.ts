/** runc that fails, hangs, is killed or isn't there (contract §6.1 to §6.4). */
import assert from 'node:assert/strict';
import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Code } from '../../src/ttrpc/index.js';
import { eventually, within } from '../support/eventually.js';
import { stateOf } from '../support/debug.js';
import { isAlive, zombiesOf } from '../support/machine.js';
import { fails, hawserOnly, shimTest, STATUS } from '../support/shim.js';
import { sh } from '../support/spec.js';

shimTest(
  'bugs 9 and 20: 100 failed creates leave no descriptor, no event, no container',
  async (lab) => {
    lab.bundle('good');
    const shim = await lab.shim('good');
    lab.bundle('bad', ['/no/such/command']);
    const attempt = async (n: number): Promise<void> => {
      const stdio = lab.stdio(`bad${n}`, { stdin: true });
      await fails(
        shim.create('bad', { stdio }),
        Code.Unknown,
        /^OCI runtime create failed: .*["`]\/no\/such\/command["`].*no such file or directory/is,
      );
      await within('the end of output', stdio.out!.ended);
    };
    await attempt(0);
    const before = shim.descriptors();
    for (let n = 1; n <= 100; n++) await attempt(n);
    assert.deepEqual(shim.descriptors(), before);
    assert.deepEqual(lab.daemon.events, []);
    await fails(shim.task.Delete({ id: 'bad' }), Code.NotFound, 'container not created: not found');
    assert.deepEqual(zombiesOf(shim.pid), []);
    await shim.shutdown();
    await lab.deleteAction('bad');
    await lab.assertNothingLeft();
  },
  { skip: hawserOnly },
);

shimTest(
  'a failed create with a terminal leaves neither',
  async (lab) => {
    lab.bundle('c', ['/no/such/command'], (spec) => {
      spec.process.terminal = true;
    });
    const shim = await lab.shim('c');
    let before: string[] | undefined;
    for (let n = 0; n < 5; n++) {
      const stdio = lab.stdio(`c${n}`, { terminal: true, stdin: true });
      await fails(
        shim.create('c', { stdio }),
        Code.Unknown,
        /^OCI runtime create failed: .*no such file or directory/is,
      );
      await within('the end of output', stdio.out!.ended);
      // The first one also connects to the daemon, for events.
      before ??= shim.descriptors();
    }
    assert.deepEqual(shim.descriptors(), before);
    assert.deepEqual(lab.snapshot().temporary, []);
  },
  { skip: hawserOnly },
);

shimTest(
  'a create that fails after runc has made the container undoes that too, and nobody is told an exit',
  async (lab) => {
    const binaryName = lab.fakeRunc(
      'runc-bad-pid',
      `if [ "$command" = create ]; then
    "$runc" "$@" || exit
    cp "$lab/bundles/c/init.pid" "$lab/pid"
    echo nonsense > "$lab/bundles/c/init.pid"
    exit 0
  fi`,
    );
    lab.bundle('c');
    const shim = await lab.shim('c');
    await fails(shim.create('c', { options: { binaryName } }), Code.Unknown, /init\.pid holds no pid but "nonsense/);
    const pid = Number(readFileSync(join(lab.dir, 'pid'), 'utf8'));
    await shim.shutdown();
    assert.equal((await lab.deleteAction('c')).status, 0);
    await eventually('the init is gone', () => !isAlive(pid));
    assert.deepEqual(lab.daemon.events, []);
    await lab.assertNothingLeft();
  },
  { skip: hawserOnly },
);

shimTest(
  'a runc that was killed leaves no message of an earlier command as the reason',
  async (lab) => {
    const binaryName = lab.fakeRunc('runc-dies', `if [ "$command" = exec ] && [ -e "$lab/die" ]; then kill -9 $$; fi`);
    const task = await lab.task('c', undefined, { options: { binaryName } });
    await task.start();
    await task.exec('e', ['/no/such/command'], { stdout: '', stderr: '' });
    await fails(task.start('e'), Code.Unknown, /no such file or directory/i);
    writeFileSync(join(lab.dir, 'die'), '');
    await task.exec('f', ['/bin/true'], { stdout: '', stderr: '' });
    await fails(
      task.start('f'),
      Code.Unknown,
      new RegExp(`^OCI runtime exec failed: ${binaryName} did not terminate successfully: exit status 137$`),
    );
    rmSync(join(lab.dir, 'die'));
    await task.remove().catch(() => undefined);
  },
  { skip: hawserOnly },
);

shimTest(
  "a broken log.json doesn't hide the failure",
  async (lab) => {
    const binaryName = lab.fakeRunc(
      'runc-log',
      `if [ "$command" = start ]; then echo '{"level":"error","msg":"cut of' >> "$lab/bundles/c/log.json"; echo 'said on stderr' >&2; exit 3; fi`,
    );
    const task = await lab.task('c', undefined, { options: { binaryName } });
    appendFileSync(join(lab.bundlePath('c'), 'log.json'), 'no json\n');
    await fails(task.start(), Code.Unknown, /^OCI runtime start failed: .*exit status 3: said on stderr$/);
    assert.equal((await task.state()).status, STATUS.CREATED);
    await task.delete();
  },
  { skip: hawserOnly },
);

shimTest('the last error in the log is the reason of a failure', async (lab) => {
  const binaryName = lab.fakeRunc(
    'runc-log',
    `if [ "$command" = start ]; then
    printf '{"level":"error","msg":"first","time":"x"}\\n{"level":"error","msg":" second ","time":"x"}\\n{"level":"info","msg":"third","time":"x"}\\n' >> "$lab/bundles/c/log.json"; exit 1; fi`,
  );
  const task = await lab.task('c', undefined, { options: { binaryName } });
  await fails(task.start(), Code.Unknown, 'OCI runtime start failed: second');
  await fails(task.start(), Code.Unknown, 'OCI runtime start failed: second');
  await task.delete();
});

shimTest('a failed Start after which the init is dead is told as an exit without a start', async (lab) => {
  const binaryName = lab.fakeRunc(
    'runc-start-kills',
    `if [ "$command" = start ]; then kill -9 "$(cat "$lab/bundles/c/init.pid")"; exit 1; fi`,
  );
  const task = await lab.task('c', undefined, { options: { binaryName } });
  await fails(task.start(), Code.Unknown, /^OCI runtime start failed/);
  assert.equal((await within('Wait', task.wait())).exitStatus, 137);
  await lab.daemon.saw('exit', 'c');
  assert.deepEqual(lab.daemon.story('c'), ['create', 'exit c 137']);
  assert.equal((await task.state()).status, STATUS.STOPPED);
  await task.delete();
});

shimTest("a runtime that isn't there is named, in the words that dockerd looks for", async (lab) => {
  lab.bundle('c');
  const shim = await lab.shim('c');
  await fails(
    shim.create('c', { options: { binaryName: 'no-such-runc' } }),
    Code.Unknown,
    /exec: "no-such-runc": executable file not found in \$PATH/,
  );
  await fails(
    shim.create('c', { stdio: lab.stdio('c2'), options: { binaryName: '/no/such/runc' } }),
    Code.Unknown,
    /fork\/exec \/no\/such\/runc: no such file or directory/,
  );
  const unexecutable = join(lab.dir, 'plain');
  writeFileSync(unexecutable, 'text', { mode: 0o644 });
  await fails(
    shim.create('c', { stdio: lab.stdio('c3'), options: { binaryName: unexecutable } }),
    Code.Unknown,
    /fork\/exec .*plain: permission denied/,
  );
  await shim.create('c', { stdio: lab.stdio('c4') });
});

shimTest(
  "bug 54: a process that keeps runc's output open holds nobody up",
  async (lab) => {
    const binaryName = lab.fakeRunc('runc-litter', 'sleep 1000 &');
    const task = await lab.task('c', undefined, { options: { binaryName } });
    await within('Start', task.start(), 10_000);
    await within('Kill', task.kill(9), 10_000);
    await task.wait();
    await within('Delete', task.delete(), 10_000);
  },
  { skip: hawserOnly },
);

shimTest(
  'runc gets the arguments of the contract',
  async (lab) => {
    const binaryName = lab.fakeRunc('runc-record', 'echo "$@" >> "$lab/calls"');
    const task = await lab.task('c', undefined, { options: { binaryName, noPivotRoot: false, noNewKeyring: true } });
    await task.start();
    await task.run('e', ['/bin/true']);
    await task.shim.task.Pause({ id: 'c' });
    await task.shim.task.Resume({ id: 'c' });
    await task.shim.task.Update({ id: 'c', resources: { type_url: 'x', value: Buffer.from('{}') } });
    await task.kill(9);
    await task.wait();
    await task.delete();
    const bundle = lab.bundlePath('c');
    const globals = `--root ${lab.runcRoot}/${lab.namespace} --log ${bundle}/log.json --log-format json `;
    const calls = readFileSync(join(lab.dir, 'calls'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => {
        assert.ok(line.startsWith(globals), line);
        return line.slice(globals.length).replace(/--process \S+/, '--process P');
      });
    assert.deepEqual(calls, [
      `create --bundle ${bundle} --pid-file ${bundle}/init.pid --no-new-keyring c`,
      'start c',
      `exec --process P --detach --pid-file ${bundle}/e.pid c`,
      'pause c',
      'resume c',
      'update --resources=- c',
      'kill c 9',
      'delete c',
    ]);
  },
  { skip: hawserOnly },
);

shimTest("runc does not see systemd's readiness socket, and sees the rest of the environment", async (lab) => {
  const binaryName = lab.fakeRunc('runc-env', 'env > "$lab/env"');
  lab.bundle('c');
  const shim = await lab.shim('c', { env: { NOTIFY_SOCKET: '/run/x', MARK: 'passed on' } });
  await shim.create('c', { options: { binaryName } });
  const env = readFileSync(join(lab.dir, 'env'), 'utf8').split('\n');
  assert.ok(env.includes('MARK=passed on'));
  assert.ok(!env.some((line) => line.startsWith('NOTIFY_SOCKET=')));
  assert.ok(!env.some((line) => /^(HAWSER_|MALLOC_)/.test(line)), 'our own variables stay with us');
});

shimTest('bug 24: a runc that hangs delays no exit of others', async (lab) => {
  const gate = join(lab.dir, 'gate');
  writeFileSync(gate, '');
  const binaryName = lab.fakeRunc(
    'runc-hang',
    `if [ "$command" = pause ]; then while [ -e "$lab/gate" ]; do sleep 0.02; done; fi`,
  );
  const a = await lab.task('a', undefined, { options: { binaryName } });
  await a.start();
  const pausing = a.shim.task.Pause({ id: 'a' });
  for (let n = 0; n < 5; n++) {
    const b = await a.shim.add(`b${n}`, sh('exit 3'), { stdout: '', stderr: '' });
    await b.start();
    assert.equal((await within('the exit of b', b.wait(), 10_000)).exitStatus, 3);
    await b.delete();
  }
  rmSync(gate);
  await pausing;
});

shimTest(
  'a container that ends while runc pause hangs is told all the same',
  async (lab) => {
    const binaryName = lab.fakeRunc(
      'runc-hang',
      `if [ "$command" = pause ]; then touch "$lab/begun"; while [ ! -e "$lab/go" ]; do sleep 0.02; done; fi`,
    );
    const task = await lab.task('c', undefined, { options: { binaryName } });
    await task.start();
    const pausing = fails(
      task.shim.task.Pause({ id: 'c' }),
      Code.Unknown,
      /cannot pause a stopped container|OCI runtime pause failed/,
    );
    await eventually('pause runs', () => existsSync(join(lab.dir, 'begun')));
    process.kill(task.pid, 'SIGKILL');
    assert.equal((await within('the exit', task.wait())).exitStatus, 137);
    assert.equal((await task.state()).status, STATUS.STOPPED);
    writeFileSync(join(lab.dir, 'go'), '');
    await pausing;
    assert.deepEqual(lab.daemon.of('c', '/tasks/paused'), []);
    assert.equal((await task.state()).status, STATUS.STOPPED);
    await task.delete();
  },
  { skip: hawserOnly },
);

shimTest('a Delete that fails keeps the container, and may be tried again', async (lab) => {
  writeFileSync(join(lab.dir, 'fail'), '');
  const binaryName = lab.fakeRunc(
    'runc-no-delete',
    `if [ "$command" = delete ] && [ -e "$lab/fail" ]; then echo 'cannot just now' >&2; exit 1; fi`,
  );
  const task = await lab.task('c', sh('exit 5'), { options: { binaryName } });
  await task.start();
  await task.wait();
  await fails(task.delete(), Code.Unknown, /^failed to delete task: .*cannot just now/);
  assert.equal((await task.state()).exitStatus, 5);
  assert.deepEqual(lab.daemon.of('c', '/tasks/delete'), []);
  rmSync(join(lab.dir, 'fail'));
  assert.equal((await task.delete()).exitStatus, 5);
  await lab.daemon.saw('delete', 'c');
});

shimTest('a container that runc has forgotten can be deleted', async (lab) => {
  const task = await lab.task('c', ['/bin/true']);
  await task.start();
  await task.wait();
  rmSync(join(lab.runcRoot, lab.namespace, 'c'), { recursive: true });
  await task.delete();
});

shimTest(
  "a client that hangs up in the midst of Create doesn't break it off",
  async (lab) => {
    const binaryName = lab.fakeRunc(
      'runc-slow',
      `if [ "$command" = create ]; then touch "$lab/begun"; while [ ! -e "$lab/go" ]; do sleep 0.02; done; fi`,
    );
    lab.bundle('c');
    const shim = await lab.shim('c');
    const impatient = await lab.connect(shim.address);
    const creating = impatient.create('c', { options: { binaryName } }).then(
      () => assert.fail('it was cut off'),
      () => undefined,
    );
    await eventually('create runs', () => existsSync(join(lab.dir, 'begun')));
    impatient.client.close();
    await creating;
    writeFileSync(join(lab.dir, 'go'), '');
    const { pid } = await eventually('it is there', () => shim.task.State({ id: 'c' }).catch(() => undefined));
    assert.ok(isAlive(pid));
  },
  { skip: hawserOnly },
);

shimTest(
  'Start runs no process where the runtime is runc itself, and asks whatever wraps it',
  async (lab) => {
    const wrapper = lab.fakeRunc('runc-wrapper', 'echo "$command" >> "$lab/commands"');
    for (const id of ['plain', 'wrapped']) lab.bundle(id, sh('exit 3'));
    for (const [id, binaryName] of [
      ['plain', '/usr/sbin/runc'],
      ['wrapped', wrapper],
    ] as const) {
      const shim = await lab.shim(id);
      const task = await shim.create(id, { options: { binaryName } });
      await task.start();
      const { timeline } = await stateOf(shim);
      assert.equal(
        timeline.some(({ what }) => what === 'runtime start: begins'),
        id === 'wrapped',
        id,
      );
      await task.wait();
      assert.equal((await task.delete()).exitStatus, 3);
      await lab.daemon.saw('delete', id);
      assert.deepEqual(lab.daemon.story(id), ['create', 'start', `exit ${id} 3`, 'delete']);
      await shim.shutdown();
    }
    assert.match(readFileSync(join(lab.dir, 'commands'), 'utf8'), /^start$/m);
  },
  { skip: hawserOnly },
);

shimTest(
  'Start of an init that was killed while it waited is answered by runc',
  async (lab) => {
    lab.bundle('c');
    const shim = await lab.shim('c');
    const task = await shim.create('c');
    process.kill(task.pid, 'SIGSTOP');
    const start = task.start();
    await eventually('the init is asked to go on', () => shim.descriptors().some((line) => line.includes('exec.fifo')));
    process.kill(task.pid, 'SIGKILL');
    await fails(start, Code.Unknown, /^OCI runtime start failed: /);
    await task.wait();
    assert.equal((await task.delete()).exitStatus, 137);
    await lab.daemon.saw('delete', 'c');
    assert.deepEqual(lab.daemon.story('c'), ['create', 'exit c 137', 'delete']);
    await shim.shutdown();
  },
  { skip: hawserOnly },
);
