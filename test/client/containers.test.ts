/** Every operation of the client on containers and tasks. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  AlreadyExistsError,
  Client,
  FailedPreconditionError,
  InvalidArgumentError,
  NotFoundError,
  ProgramNotExecutableError,
  ProgramNotFoundError,
  ResourceExhaustedError,
  UnavailableError,
  UnimplementedError,
  type Client as ClientType,
  type Container,
} from '../../src/client/index.js';
import { ClientLab, IMAGE, sh } from '../support/client-lab.js';
import { firstCount, counting } from '../support/checkpoints.js';
import { useCriu } from '../support/criu.js';
import { eventually, within } from '../support/eventually.js';
import { onHawserd } from '../support/daemons.js';
import { isAlive } from '../support/machine.js';

let lab: ClientLab;
let client: ClientType;

before(async () => {
  useCriu();
  lab = await ClientLab.open();
  client = lab.client;
});
after(() => lab.close());

test('the daemon says its version', async () => {
  const { version } = await client.version();
  assert.match(version, /^\d+\.\d+|^v?\d/);
});

test("a container's life, step by step", async () => {
  const container = await lab.create(sh('trap "exit 5" TERM; echo up; while :; do sleep 0.05; done'), {
    id: 'life',
    labels: { app: 'web', tier: 'one' },
  });
  const { record } = container;
  assert.deepEqual(
    [record.id, record.image, record.labels.app, record.runtime.name],
    ['life', '', 'web', 'io.containerd.runc.v2'],
  );
  assert.deepEqual(record.spec.process?.args?.slice(0, 2), ['/bin/sh', '-c']);
  assert.ok(Math.abs(record.createdAt.getTime() - Date.now()) < 60_000);
  await assert.rejects(container.status(), NotFoundError);

  let createdPid = 0;
  const process = await container.start({
    created: async (made) => {
      createdPid = made.pid;
      assert.equal((await container.status()).state, 'created');
    },
  });
  assert.equal(process.pid, createdPid);
  assert.ok(isAlive(process.pid));
  const status = await container.status();
  assert.deepEqual(
    [status.state, status.pid, status.exit, status.terminal],
    ['running', process.pid, undefined, false],
  );
  await eventually('the trap to be set', () => process.stdout.read() !== null);

  assert.deepEqual(
    (await client.tasks()).map(({ containerId }) => containerId),
    ['life'],
  );
  assert.deepEqual(
    (await client.containers(['labels.app==web'])).map(({ id }) => id),
    ['life'],
  );
  assert.deepEqual(await client.containers(['labels.app==other']), []);
  await container.setLabels({ tier: 'two', more: 'yes' });
  assert.deepEqual(
    [container.record.labels.tier, container.record.labels.app, container.record.labels.more],
    ['two', 'web', 'yes'],
  );
  assert.equal((await (await client.load('life')).refresh()).labels.tier, 'two');

  const exec = await container.exec({ id: 'side', args: ['sleep', '1000'], stdout: 'ignore', stderr: 'ignore' });
  assert.equal((await container.status({ exec: 'side' })).state, 'running');
  const pids = await container.listPids();
  assert.ok(pids.includes(process.pid) && pids.includes(exec.pid), JSON.stringify(pids));
  const summary = await container.summary();
  assert.equal(summary.find(({ pid }) => pid === exec.pid)?.exec, 'side');
  assert.equal(summary.find(({ pid }) => pid === process.pid)?.exec, undefined);
  await container.signalProcess('SIGKILL', { exec: 'side' });
  assert.equal((await exec.wait()).exitCode, 137);
  // It is taken away by itself.
  await eventually('the exec to go', () =>
    container.status({ exec: 'side' }).then(
      () => false,
      (error) => error instanceof NotFoundError,
    ),
  );

  await container.pause();
  assert.equal((await container.status()).state, 'paused');
  await container.resume();
  assert.equal((await container.status()).state, 'running');

  await assert.rejects(container.delete(), FailedPreconditionError);
  await assert.rejects(container.deleteTask(), FailedPreconditionError);
  await container.signalProcess();
  const exit = await process.wait();
  assert.equal(exit.exitCode, 5);
  assert.ok(Math.abs(exit.exitedAt.getTime() - Date.now()) < 60_000);
  assert.deepEqual((await container.status()).exit, exit);
  assert.deepEqual(await container.wait(), exit);
  assert.deepEqual((await container.deleteTask()).exitCode, 5);
  await assert.rejects(container.status(), NotFoundError);

  // It can be started again.
  await container.start();
  await container.delete({ kill: true });
  await assert.rejects(client.load('life'), NotFoundError);
});

test('figures, limits, and changing them', async () => {
  const container = await lab.idle({ limits: { memory: 64 << 20, pids: 50, cpus: 0.5, cpuShares: 512 } });
  const stats = await container.stats();
  assert.deepEqual([stats.memory.limit, stats.pids.limit], [64 << 20, 50]);
  assert.ok(
    stats.memory.usage > 0 && stats.pids.current >= 1 && stats.cpu.usageNs > 0,
    JSON.stringify({ ...stats, raw: 0 }),
  );
  await container.updateResources({ memory: { limit: 96 << 20 }, pids: { limit: 60 } });
  const later = await container.stats();
  assert.deepEqual([later.memory.limit, later.pids.limit], [96 << 20, 60]);
  await container.delete({ kill: true });
});

test('a paused container is deleted all the same', async () => {
  const container = await lab.idle();
  await container.pause();
  await within('it to go', container.delete({ kill: true }));
  await assert.rejects(client.load(container.id), NotFoundError);
});

test('what a process is: environment, directory, user, capabilities, mounts', async () => {
  const shared = join(lab.daemon.dir, 'shared');
  mkdirSync(shared);
  const container = await lab.idle({
    env: { PATH: '/bin', FROM: 'container' },
    hostname: 'ship',
    cwd: '/tmp',
    readonlyRootfs: true,
    capDrop: ['ALL'],
    capAdd: ['KILL'],
    mounts: [{ destination: '/root', type: 'bind', source: shared, options: ['rbind', 'rw'] }],
    annotations: { why: 'test' },
  });
  const of = async (script: string, options = {}): Promise<string> =>
    (await container.output(sh(script), options)).stdout.trim();
  assert.equal(
    await of('echo $FROM $MORE $(hostname) $PWD $(id -u)', { env: ['MORE=exec'] }),
    'container exec ship /tmp 0',
  );
  assert.equal(await of('id', { user: 'nobody' }), 'uid=65534(nobody) gid=65534(nogroup) groups=65534(nogroup)');
  assert.equal(
    await of('id -u; id -g; grep Groups: /proc/self/status', { user: '12:34', cwd: '/' }),
    '12\n34\nGroups:\t34',
  );
  assert.equal(await of('grep Groups: /proc/self/status'), 'Groups:\t0', 'those of the container');
  assert.match(await of('grep CapBnd /proc/self/status'), /0000000000000020$/);
  assert.equal(await of('touch /x 2>/dev/null || echo read-only; touch /root/x && echo shared'), 'read-only\nshared');
  assert.equal((await container.refresh()).spec.annotations?.why, 'test');
  await assert.rejects(container.exec({ args: ['true'], user: 'nemo' }), InvalidArgumentError);
  await assert.rejects(container.exec({ args: ['true'], capAdd: ['FLY'] }), InvalidArgumentError);
  await container.delete({ kill: true });

  const changed = await lab.start(['echo', 'a'], { spec: (spec) => void (spec.process!.args = ['echo', 'b']) });
  assert.equal((await changed.process.result()).stdout, 'b\n');
  await changed.container.delete({ kill: true });
});

test('numbers of 64 bits in a spec: given, read, given again, of an exec', async () => {
  const unlimited = 2n ** 64n - 1n;
  const container = await lab.idle({ rlimits: [{ type: 'core', soft: 3, hard: -1 }] });
  const limits = async (of: Container): Promise<string | undefined> =>
    /^Max core file size +(.*?) *bytes/m.exec(
      (await of.output(sh('ulimit -Sc unlimited; cat /proc/self/limits'))).stdout,
    )?.[1];
  const { spec } = await container.refresh();
  assert.deepEqual(spec.process?.rlimits?.at(-1), { type: 'RLIMIT_CORE', soft: 3, hard: unlimited });
  assert.match((await limits(container)) ?? '', /unlimited +unlimited/, 'an exec has those of the container');
  // Who reads a spec, changes it and gives it again.
  spec.process.args = sh('cat /proc/self/limits');
  spec.process.rlimits.at(-1)!.soft = unlimited;
  const copy = await client.create({ id: 'copy', spec });
  assert.match((await (await copy.start()).result()).stdout, /^Max core file size +unlimited +unlimited/m);
  await copy.delete({ kill: true });
  await container.updateResources({ memory: { limit: 9223372036854771712n } });
  assert.equal((await container.stats()).memory.limit, undefined);
  await container.delete({ kill: true });
});

test('a root file system that only the shim can mount is not looked at for root', async () => {
  const rootfsMounts = [{ type: 'ext4', source: '/no/such.img', options: ['loop'] }];
  const container = await lab.create(['true'], { rootfs: undefined, rootfsMounts });
  assert.deepEqual(container.record.spec.process?.user, { uid: 0, gid: 0, additionalGids: [0] });
  await container.delete();
  await assert.rejects(lab.create(['true'], { rootfs: undefined, rootfsMounts, user: 'nobody' }), /loop/);
});

test('an image: imported, unpacked, run, deleted', async (t) => {
  const steps: string[] = [];
  const [image] = await client.images.import(await lab.archive(), {
    onProgress: ({ step }) => void (steps.at(-1) === step || steps.push(step)),
  });
  assert.equal(image?.name, IMAGE);
  assert.deepEqual(steps, ['read', 'unpack', 'done']);
  assert.deepEqual(
    (await client.images.list()).map(({ name }) => name),
    [IMAGE],
  );
  assert.equal((await client.images.get('client-test')).target.digest, image.target.digest);
  assert.deepEqual((await client.images.config('client-test')).Env, ['PATH=/bin']);

  const { container, process } = await lab.start([], { image: 'client-test', args: undefined, env: undefined });
  assert.equal(container.record.image, IMAGE);
  assert.deepEqual(await process.result(), { stdout: 'from the image\n', stderr: '', exitCode: 0 });
  await container.deleteTask();
  const again = await container.start();
  assert.equal((await again.result()).stdout, 'from the image\n');
  await container.delete({ kill: true });
  const lookups = t.mock.method(client.services.images, 'Get');
  const own = await lab.start(['id', '-un'], { image: IMAGE, user: 'nobody' });
  assert.equal(lookups.mock.callCount(), 1, 'all that a container has of an image is of one');
  lookups.mock.restore();
  assert.equal((await own.process.result()).stdout, 'nobody\n');
  await own.container.delete({ kill: true });
  await assert.rejects(
    client.services.snapshots.Stat({ snapshotter: 'overlayfs', key: own.container.id }),
    NotFoundError,
  );

  // Once more, over what is there.
  assert.equal(
    (await client.images.import(await lab.archive(), { name: 'other:1' }))[0]?.name,
    'docker.io/library/other:1',
  );
  for (const name of [IMAGE, 'other:1']) await client.images.delete(name);
  await assert.rejects(client.images.get(IMAGE), NotFoundError);
  await assert.rejects(client.images.import('/bin/busybox'), InvalidArgumentError);
  await assert.rejects(client.images.import('/nowhere.tar'), InvalidArgumentError);
});

test('an error for each kind of failure', async () => {
  const container = await lab.idle();
  const { id } = container;
  await assert.rejects(
    client.load('nobody'),
    (error) => error instanceof NotFoundError && error.message.includes('nobody'),
  );
  await assert.rejects(client.create({ id, rootfs: lab.daemon.rootfs, args: ['true'] }), AlreadyExistsError);
  await assert.rejects(container.start(), AlreadyExistsError);
  await assert.rejects(client.create({ id: '../x', rootfs: '/', args: ['true'] }), InvalidArgumentError);
  await assert.rejects(client.create({ id: 'x', rootfs: '/no/such', args: ['true'] }), InvalidArgumentError);
  await assert.rejects(client.create({ id: 'x', args: ['true'] }), InvalidArgumentError);
  await assert.rejects(client.create({ id: 'x', rootfs: '/' }), InvalidArgumentError);
  await assert.rejects(client.create({ id: 'x', image: 'no-such', args: ['true'] }), NotFoundError);
  await assert.rejects(
    container.exec({ args: ['/no/such/program'] }),
    (error) =>
      error instanceof ProgramNotFoundError && error.exitCode === 127 && error.message.includes('no such file'),
  );
  for (const wrong of [{ args: ['/etc'] }, { args: ['/etc/passwd'] }, { args: ['true'], cwd: '/etc/passwd' }])
    await assert.rejects(
      container.exec(wrong),
      (error) => error instanceof ProgramNotExecutableError && error.exitCode === 126,
      JSON.stringify(wrong),
    );
  await assert.rejects(container.signalProcess('SIGNONE'), InvalidArgumentError);
  await assert.rejects(container.signalProcess('TERM', { exec: 'nobody' }), NotFoundError);
  await assert.rejects(container.output(['cat', '/bin/busybox'], { maxBytes: 1000 }), ResourceExhaustedError);
  await assert.rejects(client.services.content.Info({ digest: 'sha256:' + '0'.repeat(64) }), NotFoundError);
  await assert.rejects(
    Client.connect({ address: '/no/such/socket' }),
    (error) => error instanceof UnavailableError && error.message.includes('no such socket'),
  );
  await assert.rejects(
    Client.connect({ address: '/bin' }),
    (error) => error instanceof InvalidArgumentError || error instanceof UnavailableError,
  );
  await assert.rejects(Client.connect({ address: 'tcp://x' }), InvalidArgumentError);
  await container.delete({ kill: true });
  await assert.rejects(container.exec({ args: ['true'] }), NotFoundError);
  await assert.rejects(container.stats(), NotFoundError);
  await assert.rejects(container.pause(), NotFoundError);
  const other = await lab.create(['true'], { runtime: 'io.containerd.nothing.v1' });
  await assert.rejects(other.start());
  await other.delete();
  // containerd 1.6 has no such service.
  const { major } = lab.daemon;
  if (major === 1 && !onHawserd) await assert.rejects(client.services.transfer.Transfer({}), UnimplementedError);
  const closed = await Client.connect({ address: client.address, namespace: 'x' });
  closed.close();
  await assert.rejects(closed.version(), UnavailableError);
});

test('a program that is not there fails the start, and leaves no task', async () => {
  const container = await lab.create(['/no/such/program']);
  await assert.rejects(container.start(), (error) => {
    assert.ok(error instanceof ProgramNotFoundError);
    assert.match(error.message, /no such file/);
    return true;
  });
  await assert.rejects(container.status(), NotFoundError);
  await container.delete();
});

test('a container is written to a directory, and goes on from there', async () => {
  const images = join(lab.daemon.dir, 'images');
  const { container, process } = await lab.start(counting);
  let text = '';
  process.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  await eventually('counting', () => text.includes('count 5\n'));
  await container.createCheckpoint(images, { exit: true });
  await within('its end', process.wait());
  await container.deleteTask({ kill: true });
  const restored = await container.start({ checkpointDir: images });
  let later = '';
  restored.stdout.on('data', (chunk: Buffer) => (later += chunk.toString()));
  await eventually('counting on', () => firstCount(later) > 5);
  await container.delete({ kill: true });
});

test('nothing is left', () => lab.nothingLeft());
