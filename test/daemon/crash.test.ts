/**
 * hawserd is killed at every step of a container's life, and comes back: the state is right, no exit is lost, and nothing is left. The
 * client's call that was under way may fail; the next one must find things in order.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Containerd, shimDir, top, until } from '../support/daemons.js';
import { patiently, rounds } from '../support/eventually.js';
import { cgroupsBelow } from '../support/machine.js';

let hawserd: Containerd;

before(async () => {
  hawserd = new Containerd(shimDir, join(top, 'bin/hawserd'));
  await hawserd.start();
});
after(() => hawserd.cleanUp());

async function status(id: string): Promise<string | undefined> {
  const { stdout } = await hawserd.ctr(['tasks', 'ls']);
  return stdout
    .split('\n')
    .map((line) => line.split(/\s+/))
    .find(([name]) => name === id)?.[2];
}

async function restart(): Promise<void> {
  await hawserd.stop('SIGKILL');
  await hawserd.start();
}

/** Removes whatever there is, as a user would. */
async function remove(id: string): Promise<void> {
  if ((await status(id)) !== undefined) {
    await hawserd.ctr(['tasks', 'kill', '-s', 'SIGKILL', '-a', id], { reject: false });
    await until(`task ${id} to stop`, async () => ['STOPPED', undefined].includes(await status(id)));
    await hawserd.ctr(['tasks', 'rm', id], { reject: false });
  }
  await hawserd.ctr(['containers', 'rm', id], { reject: false });
}

async function nothingLeft(id: string): Promise<void> {
  await until(`the bundle of ${id} to go`, () => !existsSync(hawserd.bundle(id)));
  await until(`the shim of ${id} to end`, async () => (await hawserd.shimPids()).length === 0);
  assert.equal(existsSync(join(hawserd.root, 'io.containerd.runtime.v2.task', hawserd.namespace, id)), false);
  assert.deepEqual(
    cgroupsBelow(`/${hawserd.namespace}`).filter((path) => path.endsWith(`/${id}`)),
    [],
  );
  assert.equal(existsSync(join(hawserd.state, 'runc', hawserd.namespace, id)), false);
}

test('between the steps: created, running, paused, stopped, deleted', { timeout: patiently(180_000) }, async () => {
  const { namespace, rootfs } = hawserd;
  // ctr would take the flags of a shell for its own here.
  writeFileSync(join(rootfs, 'bin/steps'), '#!/bin/sh\ntrap "exit 9" TERM\nwhile :; do /bin/sleep 0.1; done\n', {
    mode: 0o755,
  });
  await hawserd.ctr(['containers', 'create', '--rootfs', rootfs, 'steps', '/bin/steps']);
  await restart();
  assert.match((await hawserd.ctr(['containers', 'ls', '-q'])).stdout, /^steps$/m);
  await hawserd.ctr(['tasks', 'start', '-d', 'steps']);
  await restart();
  assert.equal(await status('steps'), 'RUNNING');
  await hawserd.ctr(['tasks', 'pause', 'steps']);
  await restart();
  assert.equal(await status('steps'), 'PAUSED');
  await hawserd.ctr(['tasks', 'resume', 'steps']);
  assert.equal(
    (await hawserd.ctr(['tasks', 'exec', '--exec-id', 'e', 'steps', '/bin/echo', 'still here'])).stdout,
    'still here',
  );
  await hawserd.ctr(['tasks', 'kill', '-s', 'SIGTERM', 'steps']);
  await until('it to stop', async () => (await status('steps')) === 'STOPPED');
  await restart();
  assert.equal(await status('steps'), 'STOPPED');
  assert.match((await hawserd.ctr(['tasks', 'rm', 'steps'])).stderr, /exit code 9/);
  await restart();
  assert.equal(await status('steps'), undefined);
  await hawserd.ctr(['containers', 'rm', 'steps']);
  await nothingLeft('steps');
  assert.deepEqual(readdirSync(join(hawserd.state, 'io.containerd.runtime.v2.task', namespace)), []);
});

test('in the middle of whatever it is doing', { timeout: patiently(400_000) }, async () => {
  for (let n = 0; n < rounds(12); n++) {
    const id = `middle${n}`;
    const running = hawserd.ctr(['run', '-d', '--rootfs', hawserd.rootfs, id, '/bin/sleep', '1000'], { reject: false });
    // Over all that happens in a creation, and a little beyond.
    await delay(n * 60);
    await hawserd.stop('SIGKILL');
    const { exitCode } = await running;
    await hawserd.start();
    const found = await status(id);
    // Acknowledged, it is there; otherwise it is whole or not there at all.
    if (exitCode === 0) assert.equal(found, 'RUNNING');
    else assert.ok([undefined, 'CREATED', 'RUNNING'].includes(found), `${id} is ${found}`);
    assert.equal(existsSync(hawserd.bundle(id)), found !== undefined);
    await remove(id);
    await nothingLeft(id);
  }
});

test('in the middle of a deletion', { timeout: patiently(400_000) }, async () => {
  for (let n = 0; n < rounds(8); n++) {
    const id = `deletion${n}`;
    await hawserd.ctr(['run', '-d', '--rootfs', hawserd.rootfs, id, '/bin/sh', '-c', 'exit 4']);
    await until('it to stop', async () => (await status(id)) === 'STOPPED');
    const deleting = hawserd.ctr(['tasks', 'rm', id], { reject: false });
    await delay(n * 20);
    await hawserd.stop('SIGKILL');
    const { exitCode } = await deleting;
    await hawserd.start();
    const found = await status(id);
    assert.ok(found === undefined || (found === 'STOPPED' && exitCode !== 0), `${id} is ${found} after ${exitCode}`);
    if (found === 'STOPPED') assert.match((await hawserd.ctr(['tasks', 'rm', id])).stderr, /exit code 4/);
    await hawserd.ctr(['containers', 'rm', id]);
    await nothingLeft(id);
  }
});
