/** Shims made with hawser/shim sleep where their authors say that they may (src/monitor/authored.c), and go on as if nothing had been. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { join } from 'node:path';
import { containerd, pack } from '../../src/api/index.js';
import { example, makeShims } from '../support/custom-shims.js';
import { stateOf } from '../support/debug.js';
import { eventually } from '../support/eventually.js';
import { isAlive, processInfo } from '../support/machine.js';
import { bundleFile, shimTest, STATUS, type Lab, type Shim } from '../support/shim.js';
import { sh } from '../support/spec.js';
import { asleep } from '../support/sleeping.js';

const env = { HAWSER_SLEEP: '0.3' };

/** Keeps things of its own, and refuses where it is told to. */
const KEEPER = `#!/usr/bin/env node
import { existsSync, writeFileSync } from 'node:fs';
import { holdProcess, runShim, signalProcess, startProcess } from 'hawser/shim';
const known = new Map();
const note = (container, what) => writeFileSync(container.bundle + '/noted', JSON.stringify(what));
await runShim({
  sleeps: {
    record(container) {
      if (existsSync(container.bundle + '/busy')) throw new Error('its volume is being copied');
      if (existsSync(container.bundle + '/endless')) return { self: 1n };
      return known.get(container.id);
    },
    restore(container, kept) {
      if (existsSync(container.bundle + '/forgetful')) throw new Error('it has forgotten');
      known.set(container.id, { ...kept, sleeps: kept.sleeps + 1 });
    },
  },
  create(container) {
    const held = holdProcess(container, container.spec.process.args);
    known.set(container.id, { made: 'just now', sleeps: 0 });
    known.release = held.release;
    return held.pid;
  },
  start() { known.release(); },
  kill: ({ pid }, signal, { all }) => signalProcess(pid, signal, { all }),
  delete: (container) => void known.delete(container.id),
  exec: (container, exec) => startProcess(exec, exec.spec.args).pid,
  update(container) {
    note(container, { kept: known.get(container.id), options: container.options?.type_url, rootfs: container.rootfs });
  },
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

const binary = (lab: Lab, name: string, source: string): string =>
  join(makeShims(join(lab.dir, 'package'), { [name]: source }), `containerd-shim-${name}-v1`);

async function start(lab: Lab, id: string, args: readonly string[], program: string): Promise<Shim> {
  lab.bundle(id, args);
  return lab.shim(id, { binary: program, env });
}

const update = (shim: Shim, id: string, resources: unknown): Promise<unknown> =>
  shim.task.Update({ id, resources: { type_url: 'x', value: Buffer.from(JSON.stringify(resources)) } });
const cannot = (shim: Shim, text: string): Promise<unknown> =>
  eventually(`it says why it is awake: ${text}`, async () => (await stateOf(shim)).sleep.cannot === text);
const children = (pid: number): number[] =>
  readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'latin1').split(' ').filter(Boolean).map(Number),
  );

shimTest(
  'the first example sleeps: it is woken by requests and by an end, and its containers are its monitor\u2019s',
  async (lab) => {
    lab.bundle('a', sh('read line; echo "got $line"; exit 3'), (spec) => {
      spec.root.path = '/';
    });
    const shim = await lab.shim('a', { binary: binary(lab, 'process', example('process-shim')), env });
    const a = await shim.create('a', { stdin: true });
    await cannot(shim, 'a process of a is held until its start');
    await a.start();
    const input = await a.stdio.input();
    const waiting = a.wait();
    await asleep(shim);
    assert.deepEqual(children(shim.pid), [a.pid]);
    const [, dirty] = /^Private_Dirty:\s+(\d+) kB/m.exec(readFileSync(`/proc/${shim.pid}/smaps_rollup`, 'latin1'))!;
    assert.ok(Number(dirty) <= 204, `${dirty} kB`);
    assert.equal(processInfo(shim.pid)?.name, 'containerd-shim');
    assert.equal((await a.state()).status, STATUS.RUNNING);
    assert.equal((await shim.task.Connect({ id: 'a' })).shimPid, shim.pid);
    const exec = { id: 'a', execId: 'e' };
    await shim.task.Exec({
      ...exec,
      spec: { type_url: 'x', value: Buffer.from('{"args":["/bin/sh","-c","exit 4"]}') },
    });
    await shim.task.Start(exec);
    assert.equal((await shim.task.Wait(exec)).exitStatus, 4);
    await shim.task.Delete(exec);
    await asleep(shim);
    await input.write('it\n');
    assert.equal((await waiting).exitStatus, 3);
    assert.equal(String(await a.out.ended), 'got it\n');
    await asleep(shim);
    assert.equal((await a.delete()).exitStatus, 3);
    await shim.shutdown();
    assert.deepEqual(lab.daemon.story('a').slice(-2), ['exit a 3', 'delete']);
    await lab.assertNothingLeft();
  },
);

shimTest(
  'what an author keeps of a container, and the client\u2019s options, are there after each sleep',
  async (lab) => {
    const shim = await start(lab, 'a', ['/bin/sleep', '1000'], binary(lab, 'keeper', KEEPER));
    const a = await shim.create('a', {
      request: { options: pack('runtimeoptions.v1.Options', containerd.runc.v1.Options, {}) },
    });
    await a.start();
    for (const sleeps of [1, 2]) {
      await asleep(shim);
      await update(shim, 'a', {});
      const noted = JSON.parse(bundleFile(lab, 'a', 'noted')) as Record<string, unknown>;
      assert.deepEqual(noted.kept, { made: 'just now', sleeps });
      assert.match(String(noted.options), /runtimeoptions\.v1\.Options/);
      assert.match(String(noted.rootfs), /^\//);
    }
    await a.remove();
    await shim.shutdown();
    await lab.assertNothingLeft();
  },
);

shimTest('a record that cannot be made keeps the shim awake, with the author\u2019s words for it', async (lab) => {
  const shim = await start(lab, 'a', ['/bin/sleep', '1000'], binary(lab, 'keeper', KEEPER));
  const a = await shim.create('a');
  writeFileSync(join(lab.bundlePath('a'), 'busy'), '');
  await a.start();
  await cannot(shim, 'io.containerd.keeper.v1: record of a failed: its volume is being copied');
  writeFileSync(join(lab.bundlePath('a'), 'forgetful'), '');
  writeFileSync(join(lab.bundlePath('a'), 'endless'), '');
  unlinkSync(join(lab.bundlePath('a'), 'busy'));
  await cannot(shim, 'io.containerd.keeper.v1: record of a failed: Do not know how to serialize a BigInt');
  unlinkSync(join(lab.bundlePath('a'), 'endless'));
  await asleep(shim);
  // What cannot be restored is said; the container is still there, and ends as others do.
  assert.equal((await a.state()).status, STATUS.RUNNING);
  await eventually('it is logged', () => /restore failed.*it has forgotten/.test(lab.log));
  await a.remove();
  await lab.daemon.saw('exit', 'a');
  await shim.shutdown();
});

shimTest('a shim whose author does not say that it sleeps stays as it was: awake, without a monitor', async (lab) => {
  const shim = await start(lab, 'a', ['/bin/sleep', '1000'], binary(lab, 'least', LEAST));
  const a = await shim.create('a');
  await a.start();
  assert.equal((await stateOf(shim)).sleep.cannot, 'io.containerd.least.v1 does not say that it sleeps');
  assert.equal(processInfo(a.pid)?.ppid, shim.pid);
  assert.match(processInfo(shim.pid)?.command ?? '', /node.*least/);
  await a.remove();
  await shim.shutdown();
  await lab.assertNothingLeft();
});

shimTest('the example that keeps something: how nice a container is holds for execs after a sleep', async (lab) => {
  const shim = await start(lab, 'a', ['/bin/sleep', '1000'], binary(lab, 'nice', example('nice-shim')));
  const a = await shim.create('a');
  await a.start();
  await update(shim, 'a', { cpu: { shares: 100 } });
  assert.equal(getPriority(a.pid), 10);
  await asleep(shim);
  const exec = { id: 'a', execId: 'e' };
  await shim.task.Exec({ ...exec, spec: { type_url: 'x', value: Buffer.from('{"args":["/bin/sleep","1000"]}') } });
  const { pid } = await shim.task.Start(exec);
  assert.equal(getPriority(pid), 10);
  await shim.task.Kill({ ...exec, signal: 9 });
  await shim.task.Wait(exec);
  await shim.task.Delete(exec);
  await a.remove();
  await shim.shutdown();
});

shimTest('hooks around runc: a shim that has slept runs those that come after it', async (lab) => {
  const source = `#!/usr/bin/env node
import { writeFileSync } from 'node:fs';
import { runRuncShim } from 'hawser/shim';
await runRuncShim({ sleeps: true, cleanup({ id, bundle }) { writeFileSync(bundle + '/../' + id + '-cleaned', ''); } });
`;
  const shim = await start(lab, 'a', ['/bin/sleep', '1000'], binary(lab, 'hooks', source));
  const a = await shim.create('a');
  await a.start();
  await asleep(shim);
  await a.remove();
  assert.ok(existsSync(join(lab.dir, 'bundles', 'a-cleaned')));
  await shim.shutdown();
  await lab.assertNothingLeft();
});

shimTest('a signal ends a shim that sleeps, and one whose monitor is killed goes with its processes', async (lab) => {
  const program = binary(lab, 'process', example('process-shim'));
  lab.bundle('a', ['/bin/sleep', '1000'], (spec) => {
    spec.root.path = '/';
  });
  const shim = await lab.shim('a', { binary: program, env });
  const a = await shim.create('a');
  await a.start();
  await asleep(shim);
  process.kill(shim.pid, 'SIGTERM');
  await shim.gone();
  await eventually('its process goes with it', () => !isAlive(a.pid));
});

shimTest('the program is killed: another goes on, with what was kept of the container before', async (lab) => {
  const shim = await start(lab, 'a', ['/bin/sleep', '1000'], binary(lab, 'keeper', KEEPER));
  const a = await shim.create('a');
  await a.start();
  await eventually('it can be replaced', async () => (await stateOf(shim)).deaths.irreplaceable === undefined);
  const waiting = a.wait();
  await eventually('it has been killed', async () => {
    const { awake } = shim;
    if (awake !== undefined) process.kill(awake, 'SIGKILL');
    return ((await stateOf(shim)).deaths.times ?? 0) > 0;
  });
  await update(shim, 'a', {});
  const { kept } = JSON.parse(bundleFile(lab, 'a', 'noted')) as { kept: { made: string; sleeps: number } };
  assert.equal(kept.made, 'just now');
  assert.ok(kept.sleeps >= 1);
  await a.kill(9);
  assert.equal((await waiting).exitStatus, 137);
  await a.delete();
  await shim.shutdown();
  await lab.assertNothingLeft();
});
