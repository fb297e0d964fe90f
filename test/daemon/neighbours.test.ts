/** hawserd beside a containerd with its own shim, with containers of the same names in the same namespace. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Containerd, shimDir, stockDir, top, until } from '../support/daemons.js';
import { patiently } from '../support/eventually.js';
import { isAlive } from '../support/machine.js';

let hawserd: Containerd;
let containerd: Containerd;

before(async () => {
  hawserd = new Containerd(shimDir, join(top, 'bin/hawserd'));
  containerd = new Containerd(stockDir);
  await Promise.all([hawserd.start(), containerd.start()]);
});

after(async () => {
  await hawserd?.cleanUp();
  await containerd?.cleanUp();
});

const detached = (daemon: Containerd, id: string, flags: string[] = []): ReturnType<Containerd['ctr']> =>
  daemon.ctr(['-n', containerd.namespace, 'run', '-d', ...flags, '--rootfs', daemon.rootfs, id, '/bin/sleep', '1000'], {
    reject: false,
  });

async function pidOf(daemon: Containerd, id: string): Promise<number> {
  const { stdout } = await daemon.ctr(['-n', containerd.namespace, 'tasks', 'ls']);
  return Number(new RegExp(`^${id}\\s+(\\d+)\\s+RUNNING`, 'm').exec(stdout)?.[1] ?? 0);
}

/** containerd's own shim, by `rm -f`, has runc 1.1 kill the cgroup, in which the other's container is too. */
async function remove(daemon: Containerd, id: string): Promise<void> {
  const ctr = (args: string[]): ReturnType<Containerd['ctr']> =>
    daemon.ctr(['-n', containerd.namespace, ...args], { reject: false });
  if (daemon === containerd) await ctr(['tasks', 'kill', '-s', '9', id]);
  await until(`the task ${id} to go`, async () => {
    await ctr(['tasks', 'rm', ...(daemon === hawserd ? ['-f'] : []), id]);
    return !(await ctr(['tasks', 'ls', '-q'])).stdout.split('\n').includes(id);
  });
  await daemon.ctr(['-n', containerd.namespace, 'containers', 'rm', id]);
}

async function lives(daemon: Containerd, id: string, pid: number): Promise<void> {
  assert.ok(isAlive(pid));
  assert.equal(await pidOf(daemon, id), pid);
  // By its status: the Go shim may lose what an exec prints.
  const exec = ['tasks', 'exec', '--exec-id', `e${Math.random()}`, id, '/bin/sh', '-c', 'exit 7'];
  assert.equal((await daemon.ctr(['-n', containerd.namespace, ...exec], { reject: false })).exitCode, 7);
}

test('each daemon has its own container of a name, and removes its own', { timeout: patiently(60_000) }, async () => {
  for (const [one, other] of [
    [containerd, hawserd],
    [hawserd, containerd],
  ] as const) {
    for (const daemon of [one, other]) assert.equal((await detached(daemon, 'x')).exitCode, 0);
    const [first, second] = [await pidOf(one, 'x'), await pidOf(other, 'x')];
    assert.notEqual(first, second);
    await lives(one, 'x', first);
    await remove(other, 'x');
    await lives(one, 'x', first);
    assert.ok(!isAlive(second));
    await remove(one, 'x');
    assert.ok(!existsSync(join(hawserd.state, 'runc', containerd.namespace, 'x')));
  }
});

test(
  "a run that is told to use the other daemon's root fails, and the other's container lives",
  { timeout: patiently(60_000) },
  async () => {
    assert.equal((await detached(containerd, 'y')).exitCode, 0);
    const pid = await pidOf(containerd, 'y');
    const { exitCode, stderr } = await detached(hawserd, 'y', ['--runc-root', '/run/containerd/runc']);
    assert.notEqual(exitCode, 0);
    assert.match(stderr, /already exists|ID/);
    await lives(containerd, 'y', pid);
    await hawserd.ctr(['-n', containerd.namespace, 'containers', 'rm', 'y'], { reject: false });
    await lives(containerd, 'y', pid);
    await remove(containerd, 'y');
    assert.ok(!isAlive(pid));
  },
);
