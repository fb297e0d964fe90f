/** What a shim made with hawser/shim says to a daemon, by direct ttrpc: states, order of events, errors, grouping. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { containerd, pack } from '../../src/api/index.js';
import { Code } from '../../src/ttrpc/index.js';
import { makeShims } from '../support/custom-shims.js';
import { eventually } from '../support/eventually.js';
import { isAlive } from '../support/machine.js';
import { bundleFile, fails, shimTest, STATUS, type Lab } from '../support/shim.js';
import { sh } from '../support/spec.js';

/** Everything that an author can supply, on plain processes. */
const FULL = `#!/usr/bin/env node
import { writeFileSync } from 'node:fs';
import { errdefs } from 'hawser/api';
import { cgroupMetrics, holdProcess, runShim, signalProcess, startProcess } from 'hawser/shim';
const held = new Map();
const note = (container, what) => writeFileSync(container.bundle + '/noted', JSON.stringify(what));
await runShim({
  version: '1.2.3',
  create(container) {
    const process = holdProcess(container, container.spec.process.args);
    held.set(container.id, process);
    note(container, { options: container.options?.type_url, namespace: container.namespace, rootfs: container.rootfs });
    return process.pid;
  },
  start({ id, spec }) {
    if (spec.annotations?.refuse) throw errdefs.failedPrecondition('the volume is not attached');
    held.get(id).release();
  },
  kill: ({ pid }, signal, { all }) => signalProcess(pid, signal, { all }),
  delete: ({ id }) => void held.delete(id),
  cleanup(remains) { writeFileSync(remains.bundle + '/cleaned', JSON.stringify(remains)); },
  exec: (container, exec) => startProcess(exec, exec.spec.args, { env: exec.spec.env }).pid,
  pause: ({ pid }) => signalProcess(pid, 19),
  resume: ({ pid }) => signalProcess(pid, 18),
  update: (container, resources) => note(container, resources),
  pids: ({ pid }) => [pid, 1],
  stats: ({ pid }) => cgroupMetrics(pid),
});
`;
const LEAST = `#!/usr/bin/env node
import { runShim, signalProcess, startProcess } from 'hawser/shim';
await runShim({
  create: (container) => startProcess(container, container.spec.process.args).pid,
  start() {},
  kill: ({ pid }, signal, { all }) => signalProcess(pid, signal, { all }),
  delete() {},
});
`;

const shims = (lab: Lab): { binary: string; least: string } => {
  const bin = makeShims(join(lab.dir, 'package'), { full: FULL, least: LEAST });
  return { binary: join(bin, 'containerd-shim-full-v1'), least: join(bin, 'containerd-shim-least-v1') };
};

shimTest('a whole life: states, events in their order, and nothing left', async (lab) => {
  const { binary } = shims(lab);
  lab.bundle('a', sh('echo up; sleep 1000 & wait'));
  const shim = await lab.shim('a', { binary });
  const a = await shim.create('a', {
    request: { options: pack('runtimeoptions.v1.Options', containerd.runc.v1.Options, {}) },
  });
  assert.equal((await a.state()).status, STATUS.CREATED);
  assert.ok(a.pid > 0);
  const noted = JSON.parse(bundleFile(lab, 'a', 'noted')) as Record<string, string>;
  assert.match(noted.options ?? '', /runtimeoptions\.v1\.Options/);
  assert.equal(noted.namespace, lab.namespace);
  await a.start();
  await a.out.saw('up');
  assert.deepEqual(
    (await shim.task.Pids({ id: 'a' })).processes.map(({ pid }) => pid),
    [a.pid, 1],
  );

  await shim.task.Pause({ id: 'a' });
  assert.equal((await a.state()).status, STATUS.PAUSED);
  await shim.task.Resume({ id: 'a' });
  await shim.task.Update({ id: 'a', resources: { type_url: 'x', value: Buffer.from('{"cpu":{"shares":7}}') } });
  assert.deepEqual(JSON.parse(bundleFile(lab, 'a', 'noted')), { cpu: { shares: 7 } });

  const exec = { id: 'a', execId: 'e' };
  await shim.task.Exec({
    ...exec,
    spec: { type_url: 'x', value: Buffer.from('{"args":["/bin/sh","-c","exit 4"],"env":["PATH=/bin"]}') },
  });
  await shim.task.Start(exec);
  assert.equal((await shim.task.Wait(exec)).exitStatus, 4);
  await shim.task.Delete(exec);

  await shim.task.Kill({ id: 'a', signal: 9, all: true });
  assert.equal((await shim.task.Wait({ id: 'a' })).exitStatus, 137);
  assert.equal((await shim.task.Delete({ id: 'a' })).exitStatus, 137);
  await eventually('the last event', () => lab.daemon.story().some((line) => line.includes('delete')));
  assert.deepEqual(
    lab.daemon.story().map((line) => line.split(' ')[0]),
    ['create', 'start', 'paused', 'resumed', 'exec-added', 'exec-started', 'exit', 'exit', 'delete'],
  );
  await shim.shutdown();
  await lab.assertNothingLeft();
});

shimTest('what is not supplied is Unimplemented, and an error keeps its class', async (lab) => {
  const { binary, least } = shims(lab);
  lab.bundle('a', ['/bin/sleep', '1000']);
  const shim = await lab.shim('a', { binary: least });
  const a = await shim.create('a');
  await a.start();
  const { task } = shim;
  const name = 'io.containerd.least.v1';
  await fails(task.Pause({ id: 'a' }), Code.Unimplemented, `${name} has no pause: not implemented`);
  await fails(task.Resume({ id: 'a' }), Code.Unimplemented, `${name} has no resume: not implemented`);
  await fails(
    task.Update({ id: 'a', resources: { type_url: 'x', value: Buffer.from('{}') } }),
    Code.Unimplemented,
    `${name} has no update: not implemented`,
  );
  await fails(task.Exec({ id: 'a', execId: 'e' }), Code.Unimplemented, `${name} has no exec: not implemented`);
  await fails(task.Stats({ id: 'a' }), Code.Unimplemented, `${name} has no stats: not implemented`);
  await fails(
    task.Checkpoint({ id: 'a', path: '/nowhere' }),
    Code.Unimplemented,
    `${name} has no checkpoint: not implemented`,
  );
  assert.deepEqual(
    (await task.Pids({ id: 'a' })).processes.map(({ pid }) => pid),
    [a.pid],
  );
  await fails(task.Delete({ id: 'a' }), Code.Unknown, /cannot delete a running process/);

  lab.bundle('b', ['/bin/sleep', '1000'], (spec) => {
    spec.annotations = { refuse: 'yes' };
  });
  const other = await lab.shim('b', { binary });
  const b = await other.create('b');
  await fails(b.start(), Code.FailedPrecondition, 'the volume is not attached: failed precondition');
  // It was never started: Delete ends it.
  await other.task.Delete({ id: 'b' });
  await eventually('the end of its init', () => !isAlive(b.pid));
});

shimTest('containers of a group share one shim, which ends with the last', async (lab) => {
  const { binary } = shims(lab);
  for (const id of ['a', 'b'])
    lab.bundle(id, ['/bin/sleep', '1000'], (spec) => {
      spec.annotations = { 'io.kubernetes.cri.sandbox-id': 'pod' };
    });
  const [first, second] = await Promise.all(['a', 'b'].map((id) => lab.shim(id, { binary })));
  assert.equal(first!.pid, second!.pid);
  const a = await first!.create('a');
  const b = await second!.create('b');
  await a.start();
  await first!.task.Kill({ id: 'a', signal: 9 });
  await a.wait();
  await a.delete();
  assert.ok(isAlive(b.pid));
  await second!.task.Delete({ id: 'b' });
  await second!.shutdown();
  await lab.assertNothingLeft();
});

shimTest('the shim is killed: the delete action tells the end, and has the author clean up', async (lab) => {
  const { binary } = shims(lab);
  lab.bundle('a', ['/bin/sleep', '1000']);
  const shim = await lab.shim('a', { binary });
  const a = await shim.create('a');
  await a.start();
  process.kill(shim.pid, 'SIGKILL');
  await shim.gone();
  const { status, response } = await lab.deleteAction('a', { binary });
  assert.deepEqual(
    { status, pid: response.pid, exitStatus: response.exitStatus },
    { status: 0, pid: a.pid, exitStatus: 137 },
  );
  await eventually('the end of its init', () => !isAlive(a.pid));
  assert.deepEqual(JSON.parse(bundleFile(lab, 'a', 'cleaned')), {
    id: 'a',
    namespace: lab.namespace,
    bundle: lab.bundlePath('a'),
    pid: a.pid,
  });
  assert.ok(!existsSync(shim.socket));
});
