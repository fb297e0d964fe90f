/** The daemon goes and comes back: every task is found again, what died is cleaned up, and no exit is lost. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { containerd, errdefs } from '../../src/api/full.js';
import { eventually, within } from '../support/eventually.js';
import { stockDir } from '../support/daemons.js';
import { isAlive } from '../support/machine.js';
import { labTest, OWN_SHIM, STATUS } from '../support/task-lab.js';

for (const [name, shim] of [
  ['our shim', OWN_SHIM],
  ['the Go shim', join(stockDir, 'containerd-shim-runc-v2')],
] as const) {
  labTest(`${name} is found again, created, running, paused and stopped`, async (lab) => {
    await lab.manager.create(lab.request('created', { shim }));
    await lab.run('running', { shim });
    await (await lab.run('paused', { shim })).pause();
    const stopped = await lab.run('stopped', { shim, args: ['sh', '-c', 'exit 6'] });
    await stopped.wait();
    const before = await stopped.process('', assert.fail);
    const leaving = (await (await lab.run('leaving', { shim })).state()).pid ?? 0;

    const manager = await lab.restart({}, async () => {
      // An exit that happens while there is no daemon.
      process.kill(leaving, 'SIGKILL');
      await eventually('it to die', () => !isAlive(leaving));
    });
    const status = async (id: string): Promise<unknown> =>
      (await manager.get(lab.namespace, id).process('', assert.fail)).status;
    assert.equal(await status('created'), STATUS.CREATED);
    assert.equal(await status('running'), STATUS.RUNNING);
    assert.equal(await status('paused'), STATUS.PAUSED);
    assert.deepEqual(await manager.get(lab.namespace, 'stopped').process('', assert.fail), before);
    const left = manager.get(lab.namespace, 'leaving');
    assert.equal((await within('the exit', left.wait())).exitStatus, 137);
    assert.equal((await manager.delete(left)).exitStatus, 137);
    assert.equal((await manager.delete(manager.get(lab.namespace, 'stopped'))).exitStatus, 6);
    // Our shim keeps its events for the daemon; the Go shim may give them up.
    if (shim === OWN_SHIM)
      await eventually('the exit that nobody heard', () => lab.story('leaving').includes('/tasks/exit leaving 137'));

    await manager.get(lab.namespace, 'paused').resume();
    assert.equal((await manager.get(lab.namespace, 'created').start()) > 0, true);
    for (const id of ['created', 'running', 'paused']) {
      const task = manager.get(lab.namespace, id);
      await task.kill(9, false);
      assert.equal((await task.wait()).exitStatus, 137);
      await manager.delete(task);
    }
    assert.deepEqual(lab.left(), []);
  });

  labTest(`${name} died with nobody watching`, async (lab) => {
    const task = await lab.run('dead', { shim });
    const { pid } = await task.state();
    const { shimPid } = await task.routed((client) => client.Connect({ id: 'dead' }));
    await lab.restart({}, async () => {
      process.kill(shimPid, 'SIGKILL');
      await eventually('it to die', () => !isAlive(shimPid));
    });
    assert.equal(lab.manager.find(lab.namespace, 'dead'), undefined);
    assert.ok(!isAlive(pid!));
    assert.deepEqual(lab.left(), []);
  });

  labTest(`${name} was started, but never told to create`, async (lab) => {
    const bundle = lab.bundle('half');
    mkdirSync(bundle, { recursive: true, mode: 0o700 });
    mkdirSync(lab.work('half'), { recursive: true });
    writeFileSync(join(bundle, 'config.json'), lab.request('half').spec);
    writeFileSync(join(bundle, 'shim-binary-path'), shim);
    const { launcher } = lab.manager.options;
    // The Go shim cannot do without the FIFO.
    const { LogFifo } = await import('../../src/daemon/shims/log-fifo.js');
    const fifo = LogFifo.open(join(bundle, 'log'), () => undefined);
    const { address } = await launcher.start(shim, { namespace: lab.namespace, id: 'half', path: bundle }, undefined);
    writeFileSync(join(bundle, 'address'), address);
    await lab.manager.load();
    fifo.close();
    assert.equal(lab.manager.find(lab.namespace, 'half'), undefined);
    assert.deepEqual(lab.left(), []);
    await eventually('the shim to end', () => !existsSync(address.replace('unix://', '')));
  });
}

labTest('what is no task is removed, or left alone', async (lab) => {
  const state = join(lab.dirs.state, lab.namespace);
  const root = join(lab.dirs.root, lab.namespace);
  for (const dir of [
    join(state, 'empty'),
    join(state, 'broken'),
    join(state, '.half-removed'),
    join(root, 'orphan'),
    join(root, '.gone'),
    join(lab.dirs.root, '.checkpoints/ns'),
  ])
    mkdirSync(dir, { recursive: true });
  writeFileSync(join(state, 'broken/config.json'), '{');
  writeFileSync(join(state, 'a-file'), '');
  await lab.manager.load();
  assert.deepEqual(readdirSync(state), ['a-file']);
  assert.deepEqual(readdirSync(root), []);
  assert.ok(existsSync(join(lab.dirs.root, '.checkpoints/ns')));
});

labTest('a shim that gives no answer in time lives, and so does its container; it holds up no other', async (lab) => {
  const mute = await lab.playShim({});
  const { binary } = await lab.playShim({});
  await lab.manager.create(lab.request('slow', { shim: mute.binary }));
  for (const id of ['a', 'b', 'c']) await lab.manager.create(lab.request(id, { shim: binary }));
  let answer!: () => void;
  const asked = new Promise<{ taskPid: number }>((resolve) => (answer = () => resolve({ taskPid: 42 })));
  const slow = await lab.playShim({ Connect: () => asked });
  writeFileSync(
    join(lab.bundle('slow'), 'bootstrap.json'),
    JSON.stringify({ version: 2, address: `unix://${join(lab.dir, 's2.sock')}`, protocol: 'ttrpc' }),
  );
  const started = performance.now();
  await lab.restart({ load: 500 });
  assert.ok(performance.now() - started < 5_000);
  const ids = lab.manager.list().map(({ id }) => id);
  assert.deepEqual(ids.sort(), ['a', 'b', 'c', 'slow']);
  assert.ok(existsSync(lab.bundle('slow')));
  assert.deepEqual(lab.story('slow'), []);
  answer();
  assert.equal((await lab.manager.get(lab.namespace, 'slow').process('', assert.fail)).status, STATUS.RUNNING);
  // What dies then is seen to die, and cleaned up after.
  slow.die();
  await eventually('it is cleaned up', () => !existsSync(lab.bundle('slow')));
  assert.equal(lab.manager.find(lab.namespace, 'slow'), undefined);
});

labTest('a shim that answers late that it was never told to create is ended', async (lab) => {
  const first = await lab.playShim({});
  await lab.manager.create(lab.request('half', { shim: first.binary }));
  let answer!: () => void;
  const asked = new Promise<{ taskPid: number }>((resolve) => (answer = () => resolve({ taskPid: 0 })));
  const late = await lab.playShim({
    Connect: () => asked,
    State: () => {
      throw errdefs.notFound('no such container');
    },
    Shutdown: () => {
      setImmediate(() => late.die());
      return {};
    },
  });
  writeFileSync(
    join(lab.bundle('half'), 'bootstrap.json'),
    JSON.stringify({ version: 2, address: `unix://${join(lab.dir, 's1.sock')}`, protocol: 'ttrpc' }),
  );
  await lab.restart({ load: 500 });
  answer();
  await eventually('it is cleaned up', () => !existsSync(lab.bundle('half')));
});

labTest('a shim whose binary is gone is found again all the same', async (lab) => {
  const { binary } = await lab.playShim({});
  await lab.manager.create(lab.request('upgraded', { shim: binary }));
  await lab.restart({}, () => {
    rmSync(binary);
    return Promise.resolve();
  });
  assert.equal((await lab.manager.get(lab.namespace, 'upgraded').state()).pid, 42);
});

labTest('a shim that turns out to be older is spoken to in its words', async (lab) => {
  const { binary } = await lab.playShim({});
  await lab.manager.create(lab.request('older', { shim: binary }));
  const file = join(lab.bundle('older'), 'bootstrap.json');
  writeFileSync(file, JSON.stringify({ version: 3, address: `unix://${join(lab.dir, 's0.sock')}`, protocol: 'ttrpc' }));
  await lab.restart();
  assert.equal((await lab.manager.get(lab.namespace, 'older').state()).pid, 42);
});

labTest('500 tasks are found again in seconds', async (lab) => {
  const { binary } = await lab.playShim({
    State: ({ id }) => {
      if (id === '') throw errdefs.notFound(id);
      return { id, pid: 42, status: containerd.v1.types.Status.RUNNING };
    },
  });
  // One creation, copied: what counts is finding them.
  await lab.manager.create(lab.request('t0', { shim: binary }));
  for (let n = 1; n < 500; n++) {
    mkdirSync(lab.bundle(`t${n}`), { mode: 0o700 });
    for (const [file, text] of [
      ['config.json', '{}'],
      ['shim-binary-path', binary],
      ['address', `unix://${join(lab.dir, 's0.sock')}`],
    ] as const)
      writeFileSync(join(lab.bundle(`t${n}`), file), text);
  }
  const started = performance.now();
  await lab.restart();
  const ms = performance.now() - started;
  assert.equal(lab.manager.list().length, 500);
  assert.ok(ms < 5_000, `${ms} ms`);
  for (const task of lab.manager.list()) assert.equal((await task.state()).id, task.id);
});

labTest(
  '100 containers of 10 real shims are found again',
  async (lab) => {
    for (let n = 0; n < 100; n++) {
      await lab.run(`c${n}`, {
        change: (spec) => {
          spec.annotations = { 'io.containerd.runc.v2.group': `${lab.namespace}-${n % 10}` };
        },
      });
    }
    await lab.restart();
    assert.equal(lab.manager.list().length, 100);
    for (const task of lab.manager.list()) assert.equal((await task.process('', assert.fail)).status, STATUS.RUNNING);
  },
  240_000,
);
