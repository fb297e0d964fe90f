/** Create with a checkpoint, and Start, with a real criu (contract §3.5, §6.8; field 40). */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Code } from '../../src/ttrpc/index.js';
import {
  checkpoint,
  counting,
  countsPast,
  firstCount,
  lastCount,
  restored,
  taskWithWork,
} from '../support/checkpoints.js';
import { useCriu } from '../support/criu.js';
import { eventually, within } from '../support/eventually.js';
import { cgroupsBelow, isAlive } from '../support/machine.js';
import { fails, hawserOnly, shimTest, STATUS, type Lab, type Task } from '../support/shim.js';
import { sh, type TestSpec } from '../support/spec.js';

useCriu();

const terminal = (spec: TestSpec): void => {
  spec.process.terminal = true;
};

/** The images of a container that has counted to 3 at least, and is gone. */
async function images(
  lab: Lab,
  edit?: (spec: TestSpec) => void,
  options: { terminal?: boolean } = {},
): Promise<{ path: string; count: number }> {
  const task = await taskWithWork(lab, 'origin', counting, { edit, ...options });
  await task.start();
  await countsPast(task.out, 2);
  const path = await checkpoint(task, { exit: true, terminal: options.terminal ?? false });
  const count = lastCount(task.out.text);
  await task.wait();
  await task.delete();
  await task.shim.shutdown();
  lab.daemon.events.splice(0);
  return { path, count };
}

/** It counts on from where it was. */
async function goesOn(task: Task, count: number): Promise<void> {
  await countsPast(task.out, count + 2);
  const first = firstCount(task.out.text);
  assert.ok(first >= count && first <= count + 3, `it was at ${count}, and went on with ${first}`);
}

/** What a command prints, so far. What it runs gets real pipes: those of Node are sockets. */
function shellOutput(command: string): () => string {
  let text = '';
  spawn('sh', ['-c', command], { stdio: ['ignore', 'pipe', 'ignore'] }).stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  return () => text;
}

shimTest('a container that is restored is as any other', async (lab) => {
  const { path, count } = await images(lab);
  const task = await restored(lab, 'c', path);
  assert.equal(task.pid, 0);
  assert.equal((await task.state()).status, STATUS.CREATED);
  const { pid } = await task.start();
  assert.ok(isAlive(pid));
  await goesOn(task, count);
  const state = await task.state();
  assert.deepEqual([state.status, state.pid], [STATUS.RUNNING, pid]);
  assert.ok((await task.shim.task.Pids({ id: 'c' })).processes.some((one) => one.pid === pid));
  assert.equal((await task.shim.task.Connect({ id: 'c' })).taskPid, pid);
  assert.equal((await task.run('e', ['/bin/echo', 'in it'])).stdout, 'in it\n');
  await task.shim.task.Pause({ id: 'c' });
  assert.equal((await task.state()).status, STATUS.PAUSED);
  await task.shim.task.Resume({ id: 'c' });
  await countsPast(task.out, lastCount(task.out.text) + 2);
  assert.match((await task.shim.task.Stats({ id: 'c' })).stats?.type_url ?? '', /Metrics$/);
  await task.kill(15);
  assert.equal((await task.wait()).exitStatus, 7);
  await within('the end of the output', task.out.ended);
  assert.equal((await task.delete()).exitStatus, 7);
  await task.shim.shutdown();
  assert.deepEqual(lab.daemon.story('c'), [
    'create',
    'start',
    'exec-added e',
    'exec-started e',
    'exit e 0',
    'paused',
    'resumed',
    'exit c 7',
    'delete',
  ]);
  const { body } = lab.daemon.of('c', '/tasks/create')[0]!;
  assert.deepEqual([body.checkpoint, body.pid], [path, 0]);
  assert.equal(lab.daemon.of('c', '/tasks/start')[0]!.body.pid, pid);
  await lab.assertNothingLeft();
});

shimTest('a restored container that runs out of memory is told of', async (lab) => {
  const limited = (spec: TestSpec): void => {
    spec.linux.resources.memory = { limit: 32 << 20, swap: 32 << 20 };
  };
  const { path } = await images(lab, limited);
  const task = await restored(lab, 'c', path, { edit: limited });
  await task.start();
  await countsPast(task.out, 1);
  await task.run('hog', sh('dd if=/dev/zero of=/dev/null bs=200M count=1'));
  await lab.daemon.saw('oom', 'c');
});

shimTest('a restored container can be checkpointed and restored again', async (lab) => {
  const { path, count } = await images(lab);
  const task = await restored(lab, 'c', path);
  await task.start();
  await goesOn(task, count);
  const again = await checkpoint(task, { exit: true });
  const then = lastCount(task.out.text);
  await task.wait();
  await task.delete();
  const third = await restored(lab, 'd', again);
  await third.start();
  await goesOn(third, then);
});

shimTest('a container is restored from what it left when it went on', async (lab) => {
  const task = await taskWithWork(lab, 'c');
  await task.start();
  await countsPast(task.out, 2);
  const path = await checkpoint(task, {});
  const count = lastCount(task.out.text);
  const twin = await restored(lab, 'd', path);
  await twin.start();
  await goesOn(twin, count);
  await countsPast(task.out, count + 3);
});

shimTest("a restored container reads its client's input", async (lab) => {
  const task = await taskWithWork(lab, 'c', sh('echo up; while read line; do echo "got $line"; done; echo end'), {
    stdin: true,
  });
  await task.start();
  const first = await task.stdio.input();
  await first.write('one\n');
  await task.out.saw('got one');
  const path = await checkpoint(task, { exit: true });
  await task.wait();
  const back = await restored(lab, 'd', path, { stdin: true });
  await back.start();
  const input = await back.stdio.input();
  await input.write('two\n');
  await back.out.saw('got two');
  input.close();
  await back.shim.task.CloseIO({ id: 'd', stdin: true });
  assert.equal((await back.wait()).exitStatus, 0);
  assert.equal((await within('the end', back.out.ended)).toString(), 'got two\nend\n');
});

shimTest(
  'input that its client wrote and left before the restore is read',
  async (lab) => {
    const task = await taskWithWork(lab, 'c', sh('echo up; while read line; do echo "got $line"; done; echo end'), {
      stdin: true,
    });
    await task.start();
    await task.out.saw('up');
    const path = await checkpoint(task, { exit: true });
    await task.wait();
    const late = await restored(lab, 'e', path, { stdin: true });
    const gone = await late.stdio.input();
    await gone.write('three\n');
    gone.close();
    await late.start();
    assert.equal((await late.wait()).exitStatus, 0);
    assert.equal((await within('the end', late.out.ended)).toString(), 'got three\nend\n');
  },
  { skip: hawserOnly },
);

shimTest('a log file is appended to', async (lab) => {
  const file = join(lab.dir, 'log', 'container.log');
  const options = { stdout: `file://${file}`, stderr: `file://${file}` };
  const task = await taskWithWork(lab, 'c', counting, options);
  await task.start();
  const text = (): string => readFileSync(file, 'utf8');
  await eventually('a count', () => lastCount(text()) > 2);
  const path = await checkpoint(task, { exit: true });
  await task.wait();
  await task.delete();
  const before = text();
  const back = await restored(lab, 'd', path, options);
  await back.start();
  await eventually('more counts', () => lastCount(text()) > lastCount(before) + 2);
  assert.ok(text().startsWith(before));
});

shimTest('a checkpoint suits runc by itself', async (lab) => {
  const { path, count } = await images(lab);
  mkdirSync(lab.runcRoot, { recursive: true });
  const root = join(lab.runcRoot, 'by-hand');
  const bundle = lab.bundle('by-hand');
  const out = shellOutput(
    `runc --root ${root} restore --detach --image-path ${path} --work-path ${lab.dir} --bundle ${bundle} by-hand 2>&1 | cat`,
  );
  await eventually(`counts in ${JSON.stringify(out())}`, () => lastCount(out()) > count + 2);
  assert.ok(firstCount(out()) >= count, out());
});

shimTest('a checkpoint that runc made by itself is restored', async (lab) => {
  const root = join(lab.runcRoot, 'by-hand');
  const bundle = lab.bundle('by-hand', counting);
  const out = shellOutput(`runc --root ${root} run --detach --bundle ${bundle} by-hand | cat`);
  await eventually('counts', () => lastCount(out()) > 2);
  const path = join(lab.dir, 'images');
  const taken = spawn('runc', ['--root', root, 'checkpoint', '--image-path', path, '--work-path', lab.dir, 'by-hand'], {
    stdio: 'ignore',
  });
  assert.equal(await within('the checkpoint', new Promise((resolve) => taken.once('close', resolve))), 0);
  const task = await restored(lab, 'c', path);
  await task.start();
  await goesOn(task, lastCount(out()));
});

// ---- terminals -----------------------------------------------------------------------------------------------------

for (const option of [false, true]) {
  shimTest(
    `field 40: a container with a terminal comes back with one (taken with terminal: ${option})`,
    async (lab) => {
      const script = 'trap "exit 7" TERM; echo up; while read line; do echo "got $line in $(stty size)"; done';
      const task = await taskWithWork(lab, 'c', sh(script), { edit: terminal, terminal: true, stdin: true });
      await task.start();
      await task.out.saw('up\r\n');
      const path = await checkpoint(task, { exit: true, terminal: option });
      assert.equal((await task.wait()).exitStatus, 137);
      await task.delete();
      await task.shim.shutdown();
      const back = await restored(lab, 'd', path, { edit: terminal, terminal: true, stdin: true });
      await back.start();
      assert.equal((await back.state()).terminal, true);
      await back.shim.task.ResizePty({ id: 'd', width: 91, height: 33 });
      const input = await back.stdio.input();
      await input.write('hello\n');
      await back.out.saw('got hello in 33 91\r\n');
      await back.kill(9);
      assert.equal((await back.wait()).exitStatus, 137);
      await back.delete();
      await back.shim.shutdown();
      await lab.assertNothingLeft();
    },
  );
}

shimTest(
  'field 40: a client that does not say that it restores a terminal gets its output, and its end',
  async (lab) => {
    const { path, count } = await images(lab, terminal, { terminal: true });
    const task = await restored(lab, 'c', path, { edit: terminal });
    await task.start();
    await goesOn(task, count);
    assert.equal((await task.state()).terminal, true);
    await task.kill(15);
    assert.equal((await task.wait()).exitStatus, 7);
    await within('the end of the output', task.out.ended);
    assert.equal((await within('the end of stderr', task.err.ended)).length, 0);
    await task.delete();
  },
  { skip: hawserOnly },
);

// ---- what fails ----------------------------------------------------------------------------------------------------

const broken: [what: string, spoil: (path: string) => void, text: RegExp][] = [
  [
    'no images at all',
    (path) => rmSync(path, { recursive: true }),
    /^OCI runtime restore failed: .*no such file or directory/s,
  ],
  [
    'images that are cut short',
    (path) => {
      closeSync(openSync(join(path, 'core-1.img'), 'w'));
    },
    /^OCI runtime restore failed: criu failed: type (NOTIFY|RESTORE) errno \d+(\nlog file: .*restore\.log|$)/,
  ],
  [
    'no inventory',
    (path) => rmSync(join(path, 'inventory.img')),
    /^OCI runtime restore failed: criu failed: type RESTORE errno \d+(\nlog file: .*restore\.log|$)/,
  ],
];

for (const tty of [false, true]) {
  for (const [what, spoil, text] of broken) {
    shimTest(
      `field 40: a restore that fails leaves a task that can be deleted: ${what}${tty ? ', with a terminal' : ''}`,
      async (lab) => {
        const edit = tty ? terminal : undefined;
        const { path } = await images(lab, edit, { terminal: tty });
        spoil(path);
        lab.bundle('c', counting, edit);
        mkdirSync(join(lab.bundlePath('c'), 'work'));
        const shim = await lab.shim('c');
        const descriptors: string[][] = [];
        for (const round of ['first', 'second']) {
          const task = await shim.create('c', {
            stdio: lab.stdio(round, { terminal: tty }),
            request: { checkpoint: path },
          });
          await fails(task.start(), Code.Unknown, text);
          const state = await task.state();
          assert.deepEqual([state.status, state.pid], [STATUS.CREATED, 0]);
          await task.delete();
          await fails(task.state(), Code.NotFound, /./);
          assert.deepEqual(cgroupsBelow(lab.cgroup), []);
          descriptors.push(shim.descriptors());
        }
        // Only the first may leave something open: the connection to the daemon.
        assert.deepEqual(descriptors[1], descriptors[0]);
        await shim.shutdown();
        assert.deepEqual(lab.daemon.story('c'), ['create', 'delete', 'create', 'delete']);
        await lab.assertNothingLeft();
      },
      { skip: hawserOnly },
    );
  }
}

shimTest(
  'a second attempt at a restore that failed says what to do',
  async (lab) => {
    const task = await restored(lab, 'c', join(lab.dir, 'nothing'));
    await fails(task.start(), Code.Unknown, /^OCI runtime restore failed: /);
    await fails(task.start(), Code.FailedPrecondition, /delete it and create it anew/);
    await task.delete();
  },
  { skip: hawserOnly },
);

shimTest('a container to be restored that is deleted without a start leaves nothing', async (lab) => {
  const { path } = await images(lab);
  const task = await restored(lab, 'c', path, { terminal: true, edit: terminal });
  await task.delete();
  await task.shim.shutdown();
  assert.deepEqual(lab.daemon.story('c'), ['create', 'delete']);
  await lab.assertNothingLeft();
});
