/**
 * A runtime that hangs, crashes, returns late or lies. Whatever it does: the client gets a clear error, others are served,
 * what is there can be deleted, and nothing is left.
 * Begins first: it takes more than a minute.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe } from 'node:test';
import { Code } from '../../src/ttrpc/index.js';
import { eventually, within } from '../support/eventually.js';
import * as fault from '../support/faults.js';
import { isAlive, zombiesOf } from '../support/machine.js';
import { fails, hawserOnly, shimTest, STATUS, type Lab, type Task } from '../support/shim.js';
import { hostPid, sh } from '../support/spec.js';

const quiet = { stdout: '', stderr: '' };

/** A shim with one good container in it, as others must not suffer. */
async function withNeighbour(lab: Lab): Promise<Task> {
  const neighbour = await lab.task('neighbour', undefined, quiet);
  await neighbour.start();
  return neighbour;
}

/** The neighbour lives and can be used, and what the shim has open is what it had. */
async function assertUnharmed(neighbour: Task, before: string[]): Promise<void> {
  assert.equal((await neighbour.state()).status, STATUS.RUNNING);
  assert.equal((await neighbour.run('alive', sh('exit 3'))).status, 3);
  await eventually(
    'descriptors as before',
    () => JSON.stringify(neighbour.shim.descriptors()) === JSON.stringify(before),
  ).catch(() => assert.deepEqual(neighbour.shim.descriptors(), before));
  await eventually('no zombie', () => zombiesOf(neighbour.shim.pid).length === 0);
}

async function endAll(lab: Lab, neighbour: Task): Promise<void> {
  await neighbour.remove();
  await neighbour.shim.shutdown();
  await lab.assertNothingLeft();
}

const pidIn = (lab: Lab, name: string): number => Number(readFileSync(join(lab.dir, name), 'utf8'));

function hung(lab: Lab): Promise<number> {
  return eventually('the runtime hangs', () =>
    existsSync(join(lab.dir, 'hung')) ? pidIn(lab, 'hung') || undefined : undefined,
  );
}

const createFaults: [name: string, script: string, message: RegExp][] = [
  ['is killed before it does anything', fault.crashBefore, /did not terminate successfully: exit status 137$/],
  ['is killed when the container is there', fault.crashAfter, /did not terminate successfully: exit status 137$/],
  ['succeeds without a pid', fault.noPidFile, /create succeeded, but wrote no pid into .*init\.pid$/],
  ['succeeds with an empty pid file', fault.pidFile(''), /init\.pid holds no pid but ""$/],
  ['succeeds with garbage for a pid', fault.pidFile('12x'), /init\.pid holds no pid but "12x"$/],
  ['succeeds with 0 for a pid', fault.pidFile('0'), /init\.pid holds no pid but "0"$/],
  [
    'succeeds with the pid of somebody else',
    fault.pidFile('1'),
    /the runtime says that the process is 1, which is none that it has started$/,
  ],
  ['succeeds without having done anything', fault.lie, /create succeeded, but wrote no pid into .*init\.pid$/],
  ['writes too much into its log', fault.hugeLog, /^OCI runtime create failed: the moral of the story$/],
  ['says too much', fault.hugeOutput, /exit status 1(: (a very long story\n)+a very long s?t?o?r?y?)?$/],
  ['writes garbage to its log', fault.garbageLog, /exit status 1(: said aloud)?$/],
  ['writes to its log after its end', fault.lateLog, /exit status 1(: in time)?$/],
];

for (const [name, script, message] of createFaults) {
  // Without a terminal what runc says goes where the container's own output goes.
  for (const terminal of [false, true]) {
    shimTest(
      `field 34: a runc create that ${name}${terminal ? ', with a terminal' : ''}`,
      async (lab) => {
        const neighbour = await withNeighbour(lab);
        const { shim } = neighbour;
        const before = shim.descriptors();
        lab.bundle('c', undefined, (spec) => {
          spec.process.terminal = terminal;
        });
        const stdio = lab.stdio('c', { stdin: true, terminal });
        const creating = shim.create('c', { stdio, options: { binaryName: lab.faultyRunc({ create: script }) } });
        await fails(creating, Code.Unknown, /^OCI runtime create failed: /);
        await fails(creating, Code.Unknown, message);
        await within('the end of output', stdio.out!.ended);
        await fails(shim.task.State({ id: 'c' }), Code.NotFound, 'container not created: not found');
        await fails(shim.task.Delete({ id: 'c' }), Code.NotFound, 'container not created: not found');
        // Nothing is left, without the delete action: members of a sandbox get none (contract §1.14).
        assert.deepEqual(lab.snapshot().runtime, ['neighbour']);
        await assertUnharmed(neighbour, before);
        if (script === fault.lateLog) await eventually('the late message', () => existsSync(join(lab.dir, 'logged')));
        // The name is free again, and what was said then is not what is said now.
        const second = await shim.create('c', { stdio: lab.stdio('second', { terminal }) });
        await second.remove();
        await lab.daemon.saw('delete', 'c');
        assert.deepEqual(lab.daemon.story('c'), ['create', 'exit c 137', 'delete']);
        await endAll(lab, neighbour);
      },
      { skip: hawserOnly },
    );
  }
}

const execFaults: [name: string, script: string, message: RegExp][] = [
  ['is killed before it does anything', fault.crashBefore, /did not terminate successfully: exit status 137$/],
  ['is killed when the process is there', fault.crashAfter, /did not terminate successfully: exit status 137$/],
  ['succeeds without having done anything', fault.lie, /exec succeeded, but wrote no pid into .*e\.pid$/],
  ['succeeds with garbage for a pid', fault.pidFile('12x'), /e\.pid holds no pid but "12x"$/],
  [
    'succeeds with the pid of somebody else',
    fault.pidFile('1'),
    /the runtime says that the process is 1, which is none that it has started$/,
  ],
  ['writes too much into its log', fault.hugeLog, /^OCI runtime exec failed: the moral of the story$/],
  ['writes garbage to its log', fault.garbageLog, /exit status 1(: said aloud)?$/],
];

for (const [name, script, message] of execFaults) {
  for (const terminal of [false, true]) {
    shimTest(
      `field 34, bug 58: a runc exec that ${name}${terminal ? ', with a terminal' : ''}`,
      async (lab) => {
        const neighbour = await withNeighbour(lab);
        const task = await neighbour.shim.add('c', undefined, {
          ...quiet,
          options: { binaryName: lab.faultyRunc({ exec: script }) },
        });
        await task.start();
        const before = task.shim.descriptors();
        const stdio = await task.exec('e', ['/bin/sleep', '1000'], {
          stdin: true,
          terminal,
          ...(terminal ? {} : quiet),
        });
        const starting = task.start('e');
        await fails(starting, Code.Unknown, /^OCI runtime exec failed: /);
        await fails(starting, Code.Unknown, message);
        if (stdio.out) await within('the end of output', stdio.out.ended);
        assert.deepEqual(
          { status: (await task.state('e')).status, pid: (await task.state('e')).pid },
          { status: STATUS.CREATED, pid: 0 },
        );
        assert.equal((await within('Wait', task.wait('e'))).exitStatus, 0);
        await task.delete('e');
        if (script === fault.crashAfter) {
          await eventually(
            'the process that nobody knows is gone',
            async () => (await task.shim.task.Pids({ id: 'c' })).processes.length === 1,
          );
        }
        assert.deepEqual(lab.daemon.of('c', '/tasks/exit'), []);
        await assertUnharmed(neighbour, before);
        await task.remove();
        await endAll(lab, neighbour);
      },
      { skip: hawserOnly },
    );
  }
}

// ---- hangs -----------------------------------------------------------------------------------------------------------

shimTest(
  'field 34: a runc create whose hook hangs is ended with the hook, when its client gives it up',
  async (lab) => {
    lab.bundle('c');
    const shim = await lab.shim('c');
    const creating = shim.create('c', { options: { binaryName: lab.faultyRunc({ create: fault.hangInChild }) } });
    const failed = assert.rejects(creating);
    const hook = await hung(lab);
    assert.deepEqual((await shim.task.Connect({ id: 'c' }, { timeoutMs: 5_000 })).taskPid, 0);
    await shim.task.Shutdown({ id: 'c' });
    await within('the failure of the create', failed);
    await within('the end of the shim', shim.gone());
    await eventually('the end of the hook', () => !isAlive(hook));
    assert.equal((await lab.deleteAction('c')).status, 0);
    await lab.assertNothingLeft();
  },
  { skip: hawserOnly },
);

shimTest(
  'field 34: a runc exec that hangs is ended when the deadline of its Start has passed; the exec can be deleted',
  async (lab) => {
    const neighbour = await withNeighbour(lab);
    const task = await neighbour.shim.add('c', undefined, {
      ...quiet,
      options: { binaryName: lab.faultyRunc({ exec: fault.hangInChild }) },
    });
    await task.start();
    const before = task.shim.descriptors();
    await task.exec('e', ['/bin/true'], quiet);
    const starting = fails(
      task.shim.task.Start({ id: 'c', execId: 'e' }, { timeoutMs: 2_000 }),
      Code.DeadlineExceeded,
      /deadline/,
    );
    const child = await hung(lab);
    assert.equal((await task.shim.task.State({ id: 'c' }, { timeoutMs: 5_000 })).status, STATUS.RUNNING);
    await starting;
    await within('Delete', task.delete('e'));
    await eventually('the end of what hung', () => !isAlive(child));
    await assertUnharmed(neighbour, before);
    assert.equal((await task.state()).status, STATUS.RUNNING);
    await task.remove();
    await endAll(lab, neighbour);
  },
  { skip: hawserOnly },
);

shimTest(
  'field 34: Kill of an exec whose start hangs ends it; a start that only takes long is waited for',
  async (lab) => {
    const task = await lab.task('c', undefined, {
      ...quiet,
      options: {
        binaryName: lab.faultyRunc({
          exec: `[ "\${pid_file##*/}" = hangs.pid ] && { ${fault.hangInChild}; }; touch "$lab/begun"; sleep 1`,
        }),
      },
    });
    await task.start();
    await task.exec('slow', ['/bin/sleep', '1000'], quiet);
    const starting = task.start('slow');
    await eventually('runc exec runs', () => existsSync(join(lab.dir, 'begun')));
    await task.kill(15, { execId: 'slow' });
    await starting;
    assert.equal((await task.wait('slow')).exitStatus, 143, 'the signal was kept for the process');
    await task.exec('hangs', ['/bin/sleep', '1000'], quiet);
    const failing = assert.rejects(task.start('hangs'));
    const child = await hung(lab);
    await within('Kill', task.kill(9, { execId: 'hangs' }));
    await failing;
    await eventually('the end of what hung', () => !isAlive(child));
    await task.delete('hangs');
    await task.delete('slow');
    await task.remove();
  },
  { skip: hawserOnly },
);

// ---- lies ------------------------------------------------------------------------------------------------------------

shimTest(
  "bug 5: execs in the host's pid namespace end with the init though runc kill only says so",
  async (lab) => {
    // An exec whose runtime returns only when the init has ended, too: it comes too late for everything else.
    const late =
      '"$runc" "$@" || exit; touch "$lab/begun"; while [ "$(basename "$pid_file")" = late.pid ] && [ ! -e "$lab/go" ]; do sleep 0.02; done; exit 0';
    const task = await lab.task('c', undefined, {
      ...quiet,
      edit: hostPid,
      options: { binaryName: lab.faultyRunc({ kill: fault.lie, exec: late }) },
    });
    await task.start();
    await task.exec('e', ['/bin/sleep', '1000'], quiet);
    await task.start('e');
    rmSync(join(lab.dir, 'begun'));
    await task.exec('late', ['/bin/sleep', '1000'], quiet);
    const starting = task.start('late');
    await eventually('the exec is there', () => existsSync(join(lab.dir, 'begun')));
    process.kill(task.pid, 'SIGKILL');
    assert.equal((await within('the end of the exec', task.wait('e'))).exitStatus, 137);
    writeFileSync(join(lab.dir, 'go'), '');
    await starting;
    assert.equal((await within('the end of the late exec', task.wait('late'))).exitStatus, 137);
    assert.equal((await within('the end of the init', task.wait())).exitStatus, 137);
    await lab.daemon.saw('exit', 'c', 'c');
    assert.deepEqual(lab.daemon.story('c').at(-1), 'exit c 137');
    assert.equal(lab.daemon.of('c', '/tasks/exit').length, 3);
  },
  { skip: hawserOnly },
);

shimTest(
  'field 34: a runc kill that only says so changes nothing, and a real one does',
  async (lab) => {
    const task = await lab.task('c', undefined, {
      ...quiet,
      options: { binaryName: lab.faultyRunc({ kill: `[ -e "$lab/honest" ] || ${fault.lie}` }) },
    });
    await task.start();
    await task.kill(9);
    assert.equal((await task.state()).status, STATUS.RUNNING);
    await fails(task.delete(), Code.Unknown, 'cannot delete a running process');
    writeFileSync(join(lab.dir, 'honest'), '');
    await task.remove();
    await task.shim.shutdown();
    await lab.assertNothingLeft();
  },
  { skip: hawserOnly },
);

shimTest(
  'field 34: Delete of a created container ends its init though runc delete only says so',
  async (lab) => {
    const task = await lab.task('c', undefined, {
      ...quiet,
      options: { binaryName: lab.faultyRunc({ delete: fault.lie }) },
    });
    await task.delete();
    await eventually('the init is gone', () => !isAlive(task.pid));
    await task.shim.shutdown();
    // What the runtime kept is the delete action's to remove, whose runtime is the same: by an honest one.
    writeFileSync(join(lab.bundlePath('c'), 'runtime'), 'runc');
    assert.equal((await lab.deleteAction('c')).status, 0);
    await lab.assertNothingLeft();
  },
  { skip: hawserOnly },
);

shimTest(
  'bug 29: State never asks the runtime: right when that lies, hangs, or is gone, and at no cost',
  async (lab) => {
    const binaryName = lab.faultyRunc({
      state: 'touch "$lab/asked"; echo \'{"status":"running"}\'; exit 0',
      ps: 'touch "$lab/asked"; exec sleep 100000',
    });
    const task = await lab.task('c', sh('exit 8'), { ...quiet, options: { binaryName } });
    assert.equal((await task.state()).status, STATUS.CREATED);
    await task.start();
    await task.wait();
    rmSync(binaryName);
    for (let n = 0; n < 50; n++)
      assert.deepEqual([(await task.state()).status, (await task.state()).exitStatus], [STATUS.STOPPED, 8]);
    assert.deepEqual((await task.shim.task.Pids({ id: 'c' })).processes, []);
    assert.ok(!existsSync(join(lab.dir, 'asked')));
  },
  { skip: hawserOnly },
);

// ---- at any moment -----------------------------------------------------------------------------------------------------

shimTest(
  'bug 9: a runc create that is killed at any moment of its work leaves nothing',
  async (lab) => {
    const neighbour = await withNeighbour(lab);
    const { shim } = neighbour;
    const before = shim.descriptors();
    for (let n = 0; n < 24; n++) {
      const id = `c${n}`;
      lab.bundle(id);
      const binaryName = lab.faultyRunc({ create: fault.crashAmid(n * 0.006) });
      await fails(shim.create(id, { ...quiet, options: { binaryName } }), Code.Unknown, /^OCI runtime create failed: /);
      assert.deepEqual(lab.snapshot().runtime, ['neighbour'], `after ${n * 6} ms`);
      await eventually(
        `no process of ${id} after ${n * 6} ms`,
        () =>
          !lab.snapshot().processes.some((line) => line.includes(`runc init`) && !line.includes(String(neighbour.pid))),
      );
    }
    await assertUnharmed(neighbour, before);
    await endAll(lab, neighbour);
  },
  { skip: hawserOnly, timeout: 120_000 },
);

shimTest('bug 2: an init that has ended by the time runc create and runc start return', async (lab) => {
  // Its parent is gone, so it waits as a zombie for whoever takes it.
  const create = '"$runc" "$@" || exit; kill -9 "$(cat "$pid_file")"; exit 0';
  const task = await lab.task('c', undefined, {
    ...quiet,
    options: { binaryName: lab.faultyRunc({ create, start: 'sleep 0.2' }) },
  });
  await fails(task.start(), Code.Unknown, /cannot start a stopped process|OCI runtime start failed/);
  assert.equal((await within('Wait', task.wait())).exitStatus, 137);
  assert.equal((await task.state()).status, STATUS.STOPPED);
  await task.delete();
  await task.shim.shutdown();
  assert.deepEqual(lab.daemon.story('c'), ['create', 'exit c 137', 'delete']);
  await lab.assertNothingLeft();
});

// ---- patience: these wait for 30 s each, side by side ----------------------------------------------------------------

describe('given up after 30 s', { concurrency: true }, () => {
  shimTest(
    'field 34: a runtime that sends no terminal fails create and exec after 30 s; until then others are served',
    async (lab) => {
      const neighbour = await withNeighbour(lab);
      const { shim } = neighbour;
      const before = shim.descriptors();
      lab.bundle('c');
      const binaryName = lab.fakeRunc(
        'runc-no-terminal',
        `case $command in create|exec) skip=
      for word; do shift; if [ -n "$skip" ]; then skip=; continue; fi; [ "$word" = --console-socket ] && { skip=1; continue; }; set -- "$@" "$word"; done
      if [ "$command" = exec ]; then sed -i 's/"terminal":true/"terminal":false/' "$(dirname "$pid_file")/.e.process.json"; fi;; esac`,
      );
      const running = await shim.add('d', undefined, { ...quiet, options: { binaryName } });
      await running.start();
      await running.exec('e', ['/bin/sleep', '1000'], { terminal: true });
      const creating = fails(
        shim.create('c', { terminal: true, options: { binaryName } }),
        Code.Unknown,
        /the runtime sent no terminal within 30 s/,
      );
      const starting = fails(running.start('e'), Code.Unknown, /the runtime sent no terminal within 30 s/);
      assert.equal((await neighbour.run('meanwhile', sh('exit 4'))).status, 4);
      await Promise.all([creating, starting]);
      await running.delete('e');
      await running.remove();
      assert.deepEqual(lab.snapshot().runtime, ['neighbour']);
      await assertUnharmed(neighbour, before);
      await endAll(lab, neighbour);
    },
    { skip: hawserOnly, timeout: 120_000 },
  );

  shimTest(
    'field 34: a runc delete that hangs fails Delete after 30 s, which may be tried again; State answers meanwhile',
    async (lab) => {
      const binaryName = lab.faultyRunc({ delete: `[ -e "$lab/hung" ] || { ${fault.hang}; }` });
      const task = await lab.task('c', sh('exit 6'), { ...quiet, options: { binaryName } });
      await task.start();
      await task.wait();
      const deleting = task.delete();
      const failing = fails(deleting, Code.Unknown, /^failed to delete task: .*exit status 137/);
      await hung(lab);
      assert.equal((await task.shim.task.State({ id: 'c' }, { timeoutMs: 5_000 })).exitStatus, 6);
      await failing;
      assert.equal((await task.delete()).exitStatus, 6);
      await task.shim.shutdown();
      await lab.assertNothingLeft();
    },
    { skip: hawserOnly, timeout: 120_000 },
  );

  shimTest(
    'field 3: a kill of what the init left that hangs delays the exits of no other, and its own by 30 s at most',
    async (lab) => {
      const task = await lab.task('c', undefined, {
        ...quiet,
        edit: hostPid,
        options: { binaryName: lab.faultyRunc({ kill: fault.hangInChild }) },
      });
      await task.start();
      const other = await task.shim.add('other', sh('exit 7'), quiet);
      await other.start();
      process.kill(task.pid, 'SIGKILL');
      await hung(lab);
      assert.equal((await within('the exit of the other', other.wait())).exitStatus, 7);
      await lab.daemon.saw('exit', 'other');
      assert.equal((await within('its own exit', task.wait(), 60_000)).exitStatus, 137);
      await lab.daemon.saw('exit', 'c');
      await task.delete();
      await other.delete();
      await task.shim.shutdown();
      await lab.assertNothingLeft();
    },
    { skip: hawserOnly, timeout: 120_000 },
  );
});
