/** A whole pod under Debian's containerd, made by ctr as kubelet's plugin makes it: a pause container and two members. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { Containerd, shimDir, until } from '../support/daemons.js';
import { isAlive } from '../support/machine.js';

let containerd: Containerd;

before(async () => {
  containerd = await new Containerd(shimDir).start();
});

after(async () => {
  await containerd.cleanUp();
});

const initPid = (id: string): number => Number(readFileSync(`${containerd.bundle(id)}/init.pid`, 'utf8'));

async function run(id: string, sandbox: string, command: string[], flags: string[] = []): Promise<number> {
  const type = id === sandbox ? 'sandbox' : 'container';
  const annotations = [`io.kubernetes.cri.sandbox-id=${sandbox}`, `io.kubernetes.cri.container-type=${type}`].flatMap(
    (text) => ['--annotation', text],
  );
  await containerd.ctr(['run', '-d', ...annotations, ...flags, '--rootfs', containerd.rootfs, id, ...command]);
  return initPid(id);
}

/** A pause container, a member with a pid namespace of its own, and one in the pause container's. */
async function pod(name: string): Promise<{ pause: number; own: number; shared: number }> {
  const pause = await run(name, name, ['/bin/sleep', '1000']);
  const own = await run(`${name}-own`, name, ['/bin/sleep', '1000']);
  const shared = await run(
    `${name}-shared`,
    name,
    ['/bin/sh', '-c', 'sleep 1000 & wait'],
    ['--with-ns', `pid:/proc/${pause}/ns/pid`],
  );
  return { pause, own, shared };
}

async function statuses(): Promise<Record<string, string>> {
  const { stdout } = await containerd.ctr(['tasks', 'ls']);
  const found: Record<string, string> = {};
  for (const line of stdout.split('\n').slice(1).filter(Boolean)) {
    const [id = '', , status = ''] = line.trim().split(/\s+/);
    found[id] = status;
  }
  return found;
}

async function remove(id: string): Promise<void> {
  await containerd.ctr(['tasks', 'rm', '-f', id]);
  await containerd.ctr(['containers', 'rm', id]);
}

async function nothingLeft(): Promise<void> {
  await until('the last shim to end', async () => (await containerd.shimPids()).length === 0);
  await until(
    'the last bundle to go',
    () => readdirSync(`${containerd.state}/io.containerd.runtime.v2.task/${containerd.namespace}`).length === 0,
  );
  assert.equal(readFileSync('/proc/self/mountinfo', 'utf8').includes(containerd.dir), false);
}

test('a pod lives in one shim, is there after containerd was killed, and ends member by member', async () => {
  const { pause, shared } = await pod('pod');
  const shims = await containerd.shimPids();
  assert.equal(shims.length, 1, 'one shim for all three');
  assert.equal(readlinkSync(`/proc/${shared}/ns/pid`), readlinkSync(`/proc/${pause}/ns/pid`));
  const running = { pod: 'RUNNING', 'pod-own': 'RUNNING', 'pod-shared': 'RUNNING' };
  assert.deepEqual(await statuses(), running);

  await containerd.stop('SIGKILL');
  await containerd.start();
  assert.deepEqual(await statuses(), running);
  assert.deepEqual(await containerd.shimPids(), shims, 'the same shim');
  for (const id of Object.keys(running)) {
    assert.equal((await containerd.ctr(['tasks', 'exec', '--exec-id', `e-${id}`, id, '/bin/echo', id])).stdout, id);
  }
  await run('pod-late', 'pod', ['/bin/sleep', '1000']);
  assert.deepEqual(await containerd.shimPids(), shims, 'a member made after the restart finds it too');

  await remove('pod-own');
  await remove('pod-late');
  assert.deepEqual(await statuses(), { pod: 'RUNNING', 'pod-shared': 'RUNNING' });
  assert.deepEqual(await containerd.shimPids(), shims);
  await remove('pod-shared');
  assert.deepEqual(await statuses(), { pod: 'RUNNING' });
  await remove('pod');
  await nothingLeft();
});

test('a pod whose pause container goes first: members in its pid namespace end with it, the shim stays for the other', async () => {
  const { own } = await pod('odd');
  const shims = await containerd.shimPids();
  await remove('odd');
  await until('the exit of the member that shares', async () => (await statuses())['odd-shared'] === 'STOPPED');
  assert.equal((await statuses())['odd-own'], 'RUNNING');
  assert.deepEqual(await containerd.shimPids(), shims);
  await remove('odd-shared');
  assert.ok(isAlive(own));
  await remove('odd-own');
  await nothingLeft();
});

test('a pod whose shim is killed is gone, every member of it, and can be made anew', async () => {
  const first = await pod('hit');
  const [shim] = await containerd.shimPids();
  process.kill(shim!, 'SIGKILL');
  for (const id of ['hit', 'hit-own', 'hit-shared'])
    await until(`the bundle of ${id} to go`, () => !existsSync(containerd.bundle(id)));
  for (const pid of Object.values(first)) await until(`process ${pid} to go`, () => !isAlive(pid));
  assert.deepEqual(await statuses(), {});
  for (const id of ['hit', 'hit-own', 'hit-shared']) await containerd.ctr(['containers', 'rm', id]);
  await pod('hit');
  assert.equal((await containerd.shimPids()).length, 1);
  for (const id of ['hit-own', 'hit-shared', 'hit']) await remove(id);
  await nothingLeft();
});

test('two pods have a shim each', async () => {
  await run('one', 'one', ['/bin/sleep', '1000']);
  await run('two', 'two', ['/bin/sleep', '1000']);
  await run('one-member', 'one', ['/bin/sleep', '1000']);
  assert.equal((await containerd.shimPids()).length, 2);
  for (const id of ['one', 'two', 'one-member']) await remove(id);
  await nothingLeft();
});
