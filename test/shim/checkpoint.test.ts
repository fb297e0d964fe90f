/** Checkpoint, with a real criu (contract §3.5, §6.8). */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { containerd, pack } from '../../src/api/index.js';
import { Code } from '../../src/ttrpc/index.js';
import {
  checkpoint,
  checkpointOptions,
  counting,
  countsPast,
  filesIn,
  firstCount,
  lastCount,
  restored,
  taskWithWork,
} from '../support/checkpoints.js';
import { useCriu } from '../support/criu.js';
import { eventually, within } from '../support/eventually.js';
import { bundleFile, fails, hawserOnly, shimTest, STATUS } from '../support/shim.js';
import { sh, type TestSpec } from '../support/spec.js';

useCriu();

/** A line of busybox' ps about nc, with or without a column for its time; in brackets while it ends and holds its connection. */
const NC = /^ *\d+ +\S+ +(\d+:\d\d +)?\[?nc\b/m;

shimTest('a checkpoint that leaves the container running leaves it as it was', async (lab) => {
  const task = await taskWithWork(lab, 'c');
  const { pid } = await task.start();
  await countsPast(task.out, 2);
  const images = await checkpoint(task, { exit: false });
  const at = lastCount(task.out.text);
  assert.ok(filesIn(images).includes('pages-1.img'), filesIn(images).join(' '));
  await countsPast(task.out, at + 3);
  const state = await task.state();
  assert.deepEqual([state.status, state.pid], [STATUS.RUNNING, pid]);
  assert.equal((await task.run('e', ['/bin/echo', 'still here'])).stdout, 'still here\n');
  assert.deepEqual(filesIn(join(lab.bundlePath('c'), 'work')), [], "criu's work directory is removed");
  assert.deepEqual(
    filesIn(lab.bundlePath('c')).filter((name) => name.includes('checkpoint')),
    [],
  );
  await task.kill(15);
  assert.equal((await task.wait()).exitStatus, 7);
  await task.delete();
  await task.shim.shutdown();
  assert.deepEqual(
    lab.daemon.story('c'),
    ['create', 'start', 'exec-added e', 'exec-started e', 'exit e 0', 'exit c 7', 'delete'],
    'a checkpoint is no event',
  );
  await lab.assertNothingLeft();
});

shimTest('a checkpoint that ends the container is followed by one exit, and leaves nothing', async (lab) => {
  const task = await taskWithWork(lab, 'c');
  await task.start();
  await countsPast(task.out, 2);
  const waiting = task.wait();
  const images = await checkpoint(task, { exit: true });
  assert.equal((await waiting).exitStatus, 137);
  assert.equal((await task.state()).status, STATUS.STOPPED);
  await within('the end of the output', task.out.ended);
  assert.equal((await task.delete()).exitStatus, 137);
  await task.shim.shutdown();
  assert.deepEqual(lab.daemon.story('c'), ['create', 'start', 'exit c 137', 'delete']);
  assert.ok(existsSync(join(images, 'inventory.img')));
  await lab.assertNothingLeft();
});

shimTest("hooks that follow a container's end run once when a checkpoint ends it", async (lab) => {
  const trace = join(lab.dir, 'hooks');
  const edit = (spec: TestSpec): void => {
    spec.hooks = { poststop: [{ path: '/bin/sh', args: ['sh', '-c', `echo ran >> ${trace}`] }] };
  };
  const task = await taskWithWork(lab, 'c', counting, { edit });
  await task.start();
  await checkpoint(task, { exit: true });
  await task.wait();
  await task.delete();
  assert.equal(readFileSync(trace, 'utf8'), 'ran\n');
});

shimTest(
  'bug 31: a checkpoint without options leaves the container running',
  async (lab) => {
    const task = await taskWithWork(lab, 'c');
    await task.start();
    await checkpoint(task);
    assert.equal((await task.state()).status, STATUS.RUNNING);
    await countsPast(task.out, lastCount(task.out.text) + 2);
  },
  { skip: hawserOnly },
);

shimTest(
  'options of another type are refused by name',
  async (lab) => {
    const task = await taskWithWork(lab, 'c');
    await task.start();
    const options = pack('containerd.runc.v1.Options', containerd.runc.v1.Options, { root: '/x' });
    await fails(
      task.shim.task.Checkpoint({ id: 'c', path: join(lab.dir, 'images'), options }),
      Code.InvalidArgument,
      /containerd\.runc\.v1\.Options/,
    );
  },
  { skip: hawserOnly },
);

shimTest("the client's work path gets criu's log, and stays", async (lab) => {
  const task = await taskWithWork(lab, 'c');
  await task.start();
  const workPath = join(lab.dir, 'my-work');
  mkdirSync(workPath);
  await checkpoint(task, { workPath });
  assert.match(readFileSync(join(workPath, 'dump.log'), 'utf8'), /Dumping finished successfully/);
});

shimTest('a paused container can be checkpointed, and stays paused', async (lab) => {
  const task = await taskWithWork(lab, 'c');
  await task.start();
  await countsPast(task.out, 2);
  await task.shim.task.Pause({ id: 'c' });
  const images = await checkpoint(task, {});
  assert.equal((await task.state()).status, STATUS.PAUSED);
  const at = lastCount(task.out.text);
  await task.shim.task.Resume({ id: 'c' });
  await countsPast(task.out, at + 2);
  await task.remove();
  const back = await restored(lab, 'd', images);
  await back.start();
  await countsPast(back.out, at + 2);
});

shimTest('what criu will not do fails with its words, its log is kept, and the container goes on', async (lab) => {
  const server = createServer((socket) => socket.on('error', () => undefined));
  lab.defer(() => void server.close());
  const connected = new Promise((resolve) => server.once('connection', resolve));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const task = await taskWithWork(
    lab,
    'c',
    sh(
      `nc 127.0.0.1 ${port} </dev/zero >/dev/null & nc=$!; ${counting[2]!.replace('trap "', 'trap "kill $nc" USR1; trap "')}`,
    ),
  );
  await task.start();
  await within('a connection', connected);
  const log = join(lab.bundlePath('c'), 'criu-dump.log');
  await fails(
    checkpoint(task, { exit: true }),
    Code.Unknown,
    new RegExp(
      `^runc did not terminate successfully: exit status 1: criu failed: type (NOTIFY|DUMP) errno 0 path= ${log}$`,
    ),
  );
  assert.match(bundleFile(lab, 'c', 'criu-dump.log'), /Connected TCP socket, consider using --tcp-established option/);
  assert.equal((await task.state()).status, STATUS.RUNNING);
  await countsPast(task.out, lastCount(task.out.text) + 2);
  // It was the connection; without it everything is as it should be.
  const hasNc = async (): Promise<boolean> => NC.test((await task.run(`e${Date.now()}`, ['/bin/ps'])).stdout);
  assert.ok(await hasNc(), 'ps tells of nc');
  await task.kill(10);
  await eventually('the connection is gone', async () => !(await hasNc()));
  await checkpoint(task, { exit: true });
  assert.equal((await task.wait()).exitStatus, 137);
  await task.delete();
  await lab.daemon.saw('delete', 'c');
  assert.deepEqual(
    lab.daemon.story('c').filter((event) => !/ e\d+/.test(event)),
    ['create', 'start', 'exit c 137', 'delete'],
  );
});

shimTest('a checkpoint where there is no criu fails, and says so', async (lab) => {
  const task = await taskWithWork(lab, 'c', counting, {
    options: { binaryName: lab.fakeRunc('no-criu', 'PATH=/nowhere') },
  });
  await task.start();
  await fails(
    checkpoint(task, { exit: true }),
    Code.Unknown,
    /exit status 1: .*criu.*executable file not found.* path= /,
  );
  assert.equal((await task.state()).status, STATUS.RUNNING);
});

shimTest('every option reaches the runtime', async (lab) => {
  const runc = lab.fakeRunc(
    'noting',
    'if [ "$command" = checkpoint ]; then shift 4; [ "$1" = --log-format ] && shift 2; echo "$@" > $lab/argv; exit 0; fi',
  );
  const task = await taskWithWork(lab, 'c', counting, { options: { binaryName: runc } });
  await task.start();
  await checkpoint(task, {
    exit: false,
    openTcp: true,
    externalUnixSockets: true,
    terminal: true,
    fileLocks: true,
    emptyNamespaces: ['network'],
    workPath: '/w',
    imagePath: '/ignored',
  }).catch(() => undefined);
  const argv = readFileSync(join(lab.dir, 'argv'), 'utf8');
  assert.equal(
    argv.trim(),
    `checkpoint --image-path ${lab.dir}/c-images --work-path /w --tcp-established --ext-unix-sk --shell-job --file-locks --empty-ns network --leave-running c`,
  );
});

shimTest("criu's settings that the container names hold", async (lab) => {
  writeFileSync(join(lab.dir, 'criu.conf'), 'log-file mine.log\n');
  const edit = (spec: TestSpec): void => {
    spec.annotations = { 'org.criu.config': join(lab.dir, 'criu.conf') };
  };
  const task = await taskWithWork(lab, 'c', counting, { edit });
  await task.start();
  const workPath = join(lab.dir, 'my-work');
  mkdirSync(workPath);
  await checkpoint(task, { workPath });
  assert.deepEqual(
    filesIn(workPath).filter((name) => name.endsWith('.log')),
    ['mine.log'],
  );
});

shimTest('a checkpoint into a directory that cannot be made fails, and the container goes on', async (lab) => {
  const task = await taskWithWork(lab, 'c');
  await task.start();
  writeFileSync(join(lab.dir, 'file'), '');
  const call = task.shim.task.Checkpoint({
    id: 'c',
    path: join(lab.dir, 'file', 'images'),
    options: checkpointOptions({ exit: true }),
  });
  await fails(call, Code.Unknown, /not a directory path= /);
  assert.equal((await task.state()).status, STATUS.RUNNING);
});

shimTest('checkpoints of one container follow each other', async (lab) => {
  const task = await taskWithWork(lab, 'c');
  await task.start();
  await countsPast(task.out, 1);
  const [first, second] = await Promise.all([checkpoint(task, {}, 'first'), checkpoint(task, {}, 'second')]);
  await task.remove();
  for (const [id, images] of [
    ['d', first],
    ['e', second],
  ] as const) {
    const back = await restored(lab, id, images);
    await back.start();
    await countsPast(back.out, 1);
    assert.ok(firstCount(back.out.text) > 1, back.out.text);
    await back.remove();
  }
});
