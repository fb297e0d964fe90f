/**
 * Debian's containerd above a shim that fails on purpose: whatever call fails, is late, or takes the shim with it, and
 * whenever containerd itself is killed meanwhile, in the end nothing is left. Needs root.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Containerd, shimDir, temporaryDirectory, until } from '../support/daemons.js';
import { processesOf } from '../support/machine.js';

const PREFIX = 'io.containerd.runtime.v2.shim.failpoint.';
const shims = temporaryDirectory('failing-shim');
let containerd: Containerd;
let serial = 0;

before(async () => {
  for (const name of ['containerd-shim-runc-v2', 'containerd-shim-runc-fp-v1'])
    symlinkSync(join(shimDir, 'containerd-shim-runc-v2'), join(shims, name));
  containerd = await new Containerd(shims).start();
});

after(async () => {
  await containerd.cleanUp();
  rmSync(shims, { recursive: true });
});

/** A container's id, and flags of `ctr run` that make it fail. No two in a run have the same. */
function failing(points: Record<string, string>): { id: string; flags: string[] } {
  const annotations = Object.entries(points).flatMap(([method, text]) => [
    '--annotation',
    `${PREFIX}${method}=${text}`,
  ]);
  return { id: `fp-${process.pid}-${++serial}`, flags: ['--runtime', 'io.containerd.runc-fp.v1', ...annotations] };
}

/** By all that a client can do to be rid of it; then nobody may know it any more. */
async function remove(id: string): Promise<void> {
  await containerd.ctr(['tasks', 'kill', '-s', 'SIGKILL', id], { reject: false });
  await until(`${id} to be removed`, async () => {
    await containerd.ctr(['tasks', 'rm', '-f', id], { reject: false });
    return !(await containerd.ctr(['tasks', 'ls', '-q'])).stdout.split('\n').includes(id);
  });
  await containerd.ctr(['containers', 'rm', id], { reject: false });
  await assertGone(id);
}

async function assertGone(id: string): Promise<void> {
  // One whose Shutdown got lost ends by itself, after a while.
  await until(`the shim of ${id} to end`, async () => (await containerd.shimPids()).length === 0, 60_000);
  const bundles = join(containerd.state, 'io.containerd.runtime.v2.task', containerd.namespace);
  await until(`the bundle of ${id} to go`, () => readdirSync(bundles).length === 0);
  await until(
    `the processes of ${id} to end`,
    () => processesOf(containerd.bundle(id), `/${containerd.namespace}/${id}`).length === 0,
  );
  assert.ok(!existsSync(join('/run/containerd/runc', containerd.namespace, id)), 'runc knows it no more');
  assert.ok(!readFileSync('/proc/self/mountinfo', 'utf8').includes(containerd.state), 'nothing is mounted');
  assert.ok(!(await containerd.ctr(['containers', 'ls', '-q'])).stdout.split('\n').includes(id));
}

// ctr's own calls, in order: Create, Start, Wait, Delete, Shutdown. What fails is told, or, at the end, of no interest.
const failures: [points: Record<string, string>, told: RegExp | undefined][] = [
  [{ Create: '1*error(create is broken)' }, /create is broken/],
  [{ Create: '1*panic(create is broken)' }, /ttrpc: closed/],
  [{ Create: '1*delay(1000)->1*error(once more)' }, undefined],
  [{ Start: '1*error(start is broken)' }, /start is broken/],
  [{ Start: '1*panic(start is broken)' }, /ttrpc: closed/],
  [{ Start: '1*delay(1000)' }, undefined],
  [{ Delete: '1*error(delete is broken)' }, /delete is broken/],
  [{ Delete: '1*panic(delete is broken)' }, /ttrpc: closed/],
  [{ Shutdown: '1*delay(1000)' }, undefined],
  [{ Shutdown: '1*error(shutdown is broken)' }, undefined],
  [{ Shutdown: '1*panic(shutdown is broken)' }, undefined],
];

for (const [points, told] of failures) {
  test(`failpoint ${JSON.stringify(points)}: ${told ? 'the client is told' : 'the client gets its output and the exit code'}, and nothing is left`, async () => {
    const { id, flags } = failing(points);
    const { stdout, stderr, exitCode } = await containerd.run(id, ['/bin/sh', '-c', 'echo done; exit 3'], {
      flags,
      reject: false,
    });
    if (told) {
      assert.notEqual(exitCode, 0);
      assert.match(stderr, told);
    } else assert.deepEqual({ stdout, exitCode }, { stdout: 'done', exitCode: 3 });
    await remove(id);
  });
}

// The container is made, started, killed and deleted; while one of these is under way, the daemon is killed.
for (const method of ['Create', 'Start', 'Kill', 'Delete', 'Shutdown']) {
  test(`field 6, field 7: containerd is killed in the midst of ${method}: when it is back the container can be removed, and nothing is left`, async () => {
    const { id, flags } = failing({ [method]: '1*delay(4000)' });
    const working = (async () => {
      await containerd.ctr(['run', '-d', ...flags, '--rootfs', containerd.rootfs, id, '/bin/sleep', '1000'], {
        reject: false,
      });
      await containerd.ctr(['tasks', 'kill', '-s', 'SIGKILL', id], { reject: false });
      await containerd.ctr(['tasks', 'rm', '-f', id], { reject: false });
    })();
    const ended = { now: false };
    void working.finally(() => (ended.now = true));
    const under = join(containerd.bundle(id), method === 'Create' ? 'address' : 'init.pid');
    await until(`${method} to be near`, () => ended.now || existsSync(under));
    // Into the delay of the call, or not: any moment must do.
    await delay(method === 'Create' || method === 'Start' ? 500 : 1_000);
    await containerd.stop('SIGKILL');
    await working;
    await containerd.start();
    await remove(id);
  });
}
