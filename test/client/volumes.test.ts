/** Volumes: named and anonymous, filled at their first use, shared, removed; and what is left of them when somebody is killed. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { execa } from 'execa';
import {
  AbortError,
  FailedPreconditionError,
  InvalidArgumentError,
  NotFoundError,
  type Client,
  type Container,
  type CreateOptions,
} from '../../src/client/index.js';
import { getAttribute, mount, setAttribute, unmount } from '../../src/sys/index.js';
import { ClientLab, sh } from '../support/client-lab.js';
import { makeImage, makeRootfs, top } from '../support/daemons.js';

const IMAGE = 'docker.io/library/volumes-test:latest';
/** Files of the image's directory that is copied into volumes. */
const FILES = 30;
let lab: ClientLab;
let client: Client;
let count = 0;

before(async () => {
  lab = await ClientLab.open();
  client = lab.client;
  const files = makeRootfs(join(lab.daemon.dir, 'image-rootfs'));
  const data = join(files, 'srv/data');
  mkdirSync(join(data, 'deep/er'), { recursive: true });
  for (let n = 0; n < FILES; n++) writeFileSync(join(data, `file${n}`), `content ${n}\n`);
  writeFileSync(join(data, 'deep/er/secret'), 'secret', { mode: 0o600 });
  chownSync(join(data, 'deep/er/secret'), 1234, 2345);
  linkSync(join(data, 'file0'), join(data, 'deep/same'));
  setAttribute(join(data, 'file1'), 'user.note', Buffer.from('kept'));
  symlinkSync('/etc/passwd', join(data, 'outside'));
  truncateSync(join(data, 'file2'), 4 << 20);
  chownSync(data, 1000, 1000);
  chmodSync(data, 0o2770);
  // A link on the way leads where it does in the container, not on this machine.
  symlinkSync('/srv', join(files, 'link'));
  mkdirSync(join(files, 'empty'), { mode: 0o700 });
  chmodSync(join(files, 'empty'), 0o1777);
  const image = { Volumes: { '/srv/data/': {}, '/empty': {} } };
  const archive = await makeImage(lab.daemon.dir, files, IMAGE, ['/bin/sleep', '1000'], image);
  await client.images.import(archive);
});
after(() => lab.close());
afterEach(async () => {
  for (const container of await client.containers()) await container.delete({ kill: true, volumes: true });
  await client.volumes.prune({ all: true });
  nothingLeft();
});

/** The directory that has one for each volume. */
function directory(): string {
  const daemon = createHash('sha256').update(lab.daemon.socket).digest('hex').slice(0, 8);
  return join(lab.dataRoot, daemon, 'volumes', lab.namespace);
}

function nothingLeft(): void {
  assert.deepEqual(existsSync(directory()) ? readdirSync(directory()) : [], []);
  assert.deepEqual(existsSync(join(directory(), '..')) ? readdirSync(join(directory(), '..')) : [], [lab.namespace]);
}

function create(options: Partial<CreateOptions> = {}): Promise<Container> {
  return client.create({ id: `v${++count}`, image: IMAGE, imageVolumes: false, ...options });
}

async function printed(container: Container, script: string): Promise<string> {
  if ((await container.status().catch(() => undefined)) === undefined)
    await container.start({ stdout: 'ignore', stderr: 'ignore' });
  const { stdout, stderr, exitCode } = await container.output(sh(script));
  assert.equal(exitCode, 0, `${script}: ${stderr}`);
  return stdout.trim();
}

function mountpointsOf({ record }: Container): string[] {
  return (record.spec.mounts ?? []).flatMap(({ source = '' }) => client.volumes.nameOf(source) ?? []);
}

test('volumes are made, listed, found and removed, in the form that nerdctl has', async () => {
  const volume = await client.volumes.create({ name: 'data', labels: { app: 'web' } });
  assert.deepEqual(
    [volume.name, volume.mountpoint, volume.labels, volume.anonymous],
    ['data', join(directory(), 'data/_data'), { app: 'web' }, false],
  );
  assert.equal(statSync(volume.mountpoint).mode & 0o7777, 0o755);
  assert.ok(Math.abs(volume.createdAt.getTime() - Date.now()) < 60_000);
  assert.deepEqual(JSON.parse(readFileSync(join(directory(), 'data/volume.json'), 'utf8')), { labels: { app: 'web' } });
  const again = await client.volumes.create({ name: 'data', labels: { app: 'other' } });
  assert.deepEqual(again.labels, { app: 'web' });
  const { name, anonymous } = await client.volumes.create();
  assert.match(name, /^[0-9a-f]{64}$/);
  assert.ok(anonymous);
  // As nerdctl makes one.
  mkdirSync(join(directory(), 'theirs/_data'), { recursive: true });
  writeFileSync(join(directory(), 'theirs/volume.json'), '{"labels": null}');
  assert.deepEqual(
    (await client.volumes.list()).map((one) => one.name),
    [name, 'data', 'theirs'].sort(),
  );
  writeFileSync(join((await client.volumes.get('theirs')).mountpoint, 'file'), 'hello');
  assert.equal(await client.volumes.size('theirs'), 5);
  await client.volumes.remove('data');
  await assert.rejects(client.volumes.get('data'), NotFoundError);
  await assert.rejects(client.volumes.remove('data'), NotFoundError);
  for (const bad of ['../data', 'a/b', '.hidden', '', 'a__b', 'x'.repeat(77)])
    await assert.rejects(client.volumes.create({ name: bad }), InvalidArgumentError, JSON.stringify(bad));
  assert.deepEqual(await client.volumes.prune({ where: (one) => one.name === 'nobody' }), { volumes: [], bytes: 0 });
  assert.deepEqual((await client.volumes.prune()).volumes, [name]);
  assert.deepEqual(await client.volumes.prune({ all: true }), { volumes: ['theirs'], bytes: 5 });
});

test('the first use copies what the image has there, with all that the files have; later ones find what was written', async () => {
  const first = await create({ volumes: [{ name: 'copied', destination: '/srv/data' }] });
  const { mountpoint } = await client.volumes.get('copied');
  const at = (path: string): string => join(mountpoint, path);
  const root = statSync(mountpoint);
  assert.deepEqual([root.uid, root.gid, root.mode & 0o7777], [1000, 1000, 0o2770]);
  const secret = statSync(at('deep/er/secret'));
  assert.deepEqual([secret.uid, secret.gid, secret.mode & 0o7777], [1234, 2345, 0o600]);
  assert.equal(statSync(at('file0')).ino, statSync(at('deep/same')).ino);
  assert.equal(getAttribute(at('file1'), 'user.note')?.toString(), 'kept');
  assert.equal(readlinkSync(at('outside')), '/etc/passwd');
  assert.equal(statSync(at('file2')).size, 4 << 20);
  assert.equal(readdirSync(mountpoint).length, FILES + 2);
  assert.equal(
    await printed(first, 'cat /srv/data/file7; echo mine >/srv/data/file7; rm /srv/data/file8'),
    'content 7',
  );

  const second = await create({ volumes: [{ name: 'copied', destination: '/srv/data/', readOnly: true }] });
  assert.equal(
    await printed(second, 'cat /srv/data/file7; ls /srv/data | wc -l; touch /srv/data/x 2>/dev/null || echo no'),
    `mine\n${FILES + 1}\nno`,
  );
  const linked = await create({ volumes: [{ name: 'by-link', destination: '/link/data' }] });
  assert.equal(await printed(linked, 'cat /srv/data/file7'), 'content 7');
  const empty = await create({
    volumes: [
      { name: 'uncopied', destination: '/srv/data', copy: false },
      { name: 'new', destination: '/not/there' },
      { name: 'sticky', destination: '/empty' },
      { name: 'file', destination: '/etc' },
    ],
  });
  assert.equal(await printed(empty, 'ls /srv/data /not/there | grep -v :; cat /etc/group | head -n 1'), 'root:x:0:');
  assert.equal(statSync((await client.volumes.get('sticky')).mountpoint).mode & 0o7777, 0o1777);
});

test('an empty volume that a container is using is filled in place, and what others write there meanwhile stays', async () => {
  const user = await create({ volumes: [{ name: 'shared', destination: '/mnt', copy: false }] });
  assert.equal(await printed(user, 'ls /mnt | wc -l'), '0');
  await create({ volumes: [{ name: 'shared', destination: '/srv/data' }] });
  assert.equal(await printed(user, 'ls /mnt | wc -l; cat /mnt/file3'), `${FILES + 2}\ncontent 3`);
});

test('mounts come in the order of their depth', async () => {
  const container = await create({
    mounts: [{ destination: '/srv/data/deep', type: 'tmpfs', source: 'tmpfs', options: [] }],
    volumes: [
      { name: 'inner', destination: '/srv/data/deep/er' },
      { name: 'outer', destination: '/srv/data' },
    ],
  });
  assert.equal(
    await printed(container, 'ls /srv/data/deep; ls /srv/data/deep/er; ls /srv/data | wc -l'),
    `er\nsecret\n${FILES + 2}`,
  );
});

test("an image's volumes are anonymous, and go with the container when that is said", async () => {
  const container = await create({ imageVolumes: true });
  const names = ['/srv/data', '/empty'].map((path) =>
    client.volumes.nameOf(container.record.spec.mounts!.find(({ destination }) => destination === path)!.source!),
  );
  assert.equal(await printed(container, 'cat /srv/data/file1; touch /empty/here'), 'content 1');
  for (const name of names) assert.ok((await client.volumes.get(name!)).anonymous);
  assert.deepEqual(
    (JSON.parse(container.record.labels['nerdctl/anonymous-volumes']!) as string[]).sort(),
    [...names].sort(),
  );
  const points = JSON.parse(container.record.labels['nerdctl/mounts']!) as Record<string, unknown>[];
  assert.deepEqual(points.map(({ Type, Name, Destination, RW }) => [Destination, Type, Name, RW]).sort(), [
    ['/empty', 'volume', names[1], true],
    ['/srv/data', 'volume', names[0], true],
  ]);
  await container.delete({ kill: true });
  assert.equal((await client.volumes.list()).length, 2);
  assert.deepEqual([...(await client.volumes.prune()).volumes].sort(), [...names].sort());

  const other = await create({
    imageVolumes: true,
    volumes: [{ name: 'kept', destination: '/srv/data' }],
    mounts: [{ destination: '/empty/', type: 'tmpfs', source: 'tmpfs', options: [] }],
  });
  assert.deepEqual(mountpointsOf(other), ['kept']);
  await other.delete({ volumes: true });
  assert.deepEqual(
    (await client.volumes.list()).map(({ name }) => name),
    ['kept'],
  );
});

test('a volume that a container has is not removed, and the container is named', async () => {
  const container = await create({ id: 'owner', volumes: [{ name: 'used', destination: '/mnt' }] });
  await assert.rejects(client.volumes.remove('used'), (error) => {
    assert.ok(error instanceof FailedPreconditionError);
    assert.match(error.message, /^volume used is in use by container owner: /);
    return true;
  });
  assert.deepEqual((await client.volumes.prune({ all: true })).volumes, []);
  assert.deepEqual([...(await client.volumes.users())], [['used', ['owner']]]);
  await container.delete();
  await client.volumes.remove('used');
});

test('what is mounted in a volume is not removed with it', async () => {
  const { mountpoint } = await client.volumes.create({ name: 'over' });
  mkdirSync(join(mountpoint, 'a b'));
  await mount('tmpfs', join(mountpoint, 'a b'), 'tmpfs', 0, '');
  try {
    writeFileSync(join(mountpoint, 'a b/dear'), '');
    await assert.rejects(
      client.volumes.remove('over'),
      /^FailedPreconditionError: volume over cannot be removed: something is mounted at .*\/a b: /,
    );
    assert.ok(existsSync(join(mountpoint, 'a b/dear')));
  } finally {
    await unmount(join(mountpoint, 'a b'), 0);
  }
  await client.volumes.remove('over');
});

test("another container's volumes and binds", async () => {
  const files = join(lab.daemon.dir, 'bound');
  mkdirSync(files, { recursive: true });
  const source = await create({
    imageVolumes: true,
    volumes: [{ name: 'lent', destination: '/lent' }],
    mounts: [{ destination: '/bound', type: 'bind', source: files, options: ['rbind'] }],
  });
  await printed(source, 'echo one >/lent/a; echo two >/bound/b');
  const lent = mountpointsOf(source);
  const borrower = await create({ imageVolumes: true, volumesFrom: [{ container: source.id }] });
  assert.deepEqual(mountpointsOf(borrower).sort(), [...lent].sort());
  assert.equal(
    await printed(borrower, 'cat /lent/a /bound/b; echo three >/lent/c; cat /srv/data/file5'),
    'one\ntwo\ncontent 5',
  );
  const reader = await create({
    volumesFrom: [{ container: borrower.id, readOnly: true }],
    volumes: [{ name: 'own', destination: '/bound' }],
  });
  assert.equal(
    await printed(reader, 'cat /lent/c; touch /lent/d 2>/dev/null || echo no; ls /bound | wc -l'),
    'three\nno\n0',
  );
  // The anonymous ones stay for as long as somebody has them.
  await source.delete({ kill: true, volumes: true });
  assert.equal(await printed(borrower, 'cat /srv/data/file5'), 'content 5');
  await borrower.delete({ kill: true, volumes: true });
  await reader.delete({ kill: true, volumes: true });
  assert.deepEqual(
    (await client.volumes.list()).map(({ name }) => name),
    ['lent', 'own'],
  );
  await assert.rejects(create({ volumesFrom: [{ container: 'nobody' }] }), NotFoundError);
});

test('a container that cannot be made leaves no volume that was made for it', async () => {
  await client.volumes.create({ name: 'before' });
  const wrong = { imageVolumes: true, user: 'nobody-there' };
  const volumes = [
    { name: 'before', destination: '/a' },
    { name: 'made', destination: '/b' },
  ];
  await assert.rejects(create({ ...wrong, volumes }), InvalidArgumentError);
  await assert.rejects(create({ volumes: [{ name: 'a/b', destination: '/b' }] }), InvalidArgumentError);
  await assert.rejects(create({ volumes: [{ name: 'x', destination: 'relative' }] }), InvalidArgumentError);
  const spec = { ociVersion: '1.0.2' };
  await assert.rejects(create({ volumes, spec }), /a whole spec says what is mounted/);
  assert.deepEqual(
    (await client.volumes.list()).map(({ name }) => name),
    ['before'],
  );
});

test('of several that use a new volume at once each finds all of it', async () => {
  const containers = await Promise.all(
    [1, 2, 3, 4].map(() => create({ volumes: [{ name: 'raced', destination: '/srv/data' }] })),
  );
  for (const container of containers) assert.equal(await printed(container, 'ls /srv/data | wc -l'), String(FILES + 2));
});

test('a lock that nerdctl has is waited for, and an abort ends that', async () => {
  await client.volumes.create({ name: 'any' });
  const holder = spawn('flock', [directory(), 'sh', '-c', 'echo locked; cat'], { stdio: ['pipe', 'pipe', 'ignore'] });
  await new Promise((resolve) => holder.stdout.once('data', resolve));
  const signal = AbortSignal.timeout(200);
  await assert.rejects(create({ volumes: [{ name: 'any', destination: '/mnt' }], signal }), AbortError);
  const waiting = client.volumes.create({ name: 'later' });
  assert.equal((await client.volumes.list()).length, 1);
  holder.stdin.end();
  assert.equal((await waiting).name, 'later');
  assert.deepEqual(await client.containers(), []);
});

/** The system calls that change something, of files and mounts. */
const CHANGES =
  'mkdir,rename,unlink,unlinkat,rmdir,symlink,link,chmod,fchmod,lchown,fchownat,utimensat,lsetxattr,mknod,mount,flock,copy_file_range';

/** Runs `hawser` until its n-th change, at which it is killed. @returns whether it was */
async function killedAt(n: number, args: readonly string[]): Promise<boolean> {
  const { exitCode, signal, stderr } = await execa(
    'strace',
    [
      '-f',
      '-qq',
      '-e',
      `trace=${CHANGES}`,
      '-e',
      `inject=${CHANGES}:signal=SIGKILL:when=${n}`,
      '-o',
      '/dev/null',
      join(top, 'bin/hawser'),
      ...args,
    ],
    {
      env: {
        PATH: process.env.PATH,
        HOME: lab.daemon.dir,
        CONTAINERD_ADDRESS: lab.daemon.socket,
        CONTAINERD_NAMESPACE: lab.namespace,
        HAWSER_DATA: join(lab.daemon.dir, 'cli'),
      },
      extendEnv: false,
      reject: false,
      stdin: 'ignore',
    },
  );
  if (signal === 'SIGKILL' || exitCode === 137) return true;
  assert.equal(exitCode, 0, stderr);
  return false;
}

function mounts(): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes(lab.daemon.dir));
}

test('killed at every step, it leaves nothing that counts, and the next try works', { timeout: 540_000 }, async (t) => {
  await client.volumes.create({ name: 'filled' });
  const before = mounts();
  const scratch = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith('hawser-mount-'));
  const scratchBefore = scratch();
  const volumes = ['-v', 'filled:/srv/data', '-v', 'fresh:/fresh', '-v', '/srv/anonymous'];
  let n = 1;
  for (; await killedAt(n, ['create', '--name', 'victim', ...volumes, IMAGE]); n++) {
    assert.deepEqual(mounts(), before, `step ${n}`);
    assert.deepEqual(scratch(), scratchBefore, `step ${n}`);
    const left = (await client.containers()).map(({ id }) => id);
    // Either there is a container with all that it needs, or none, and the next try makes it.
    if (left.length === 0) {
      const next = await create({ id: 'victim', volumes: [{ name: 'filled', destination: '/srv/data' }] });
      assert.deepEqual(
        (await client.volumes.list()).map(({ name }) => name),
        ['filled'],
        `step ${n}`,
      );
      await next.delete();
    }
    const { mountpoint } = await client.volumes.get('filled');
    // Whoever uses it finishes what was left.
    await client.volumes.create({ name: 'filled' });
    if (readdirSync(mountpoint).length > 0) {
      assert.equal(readdirSync(mountpoint).length, FILES + 2, `step ${n}`);
      assert.equal(lstatSync(mountpoint).uid, 1000, `step ${n}`);
    }
    for (const container of await client.containers()) {
      assert.equal(mountpointsOf(container).length, 4, `step ${n}`);
      for (const name of mountpointsOf(container)) await client.volumes.get(name);
      await container.delete({ volumes: true });
    }
    await client.volumes.prune({ all: true });
    await client.volumes.create({ name: 'filled' });
    const leases = (await client.services.leases.List({})).leases.map(({ id }) => id);
    assert.ok(leases.length <= 1, `step ${n}: ${leases.join(' ')}`);
  }
  t.diagnostic(`killed at ${n - 1} steps`);
  assert.ok(n > 30, `${n} steps`);
  for (const container of await client.containers()) await container.delete({ volumes: true });
});

test('a container whose volume was being filled when somebody was killed is started with all of it', async () => {
  const user = await create({ volumes: [{ name: 'half', destination: '/mnt', copy: false }] });
  const staging = join(directory(), `../.hawser-${lab.namespace}`);
  mkdirSync(join(staging, 'tree-1'), { recursive: true });
  for (const name of ['a', 'b']) writeFileSync(join(staging, 'tree-1', name), name);
  writeFileSync(join((await client.volumes.get('half')).mountpoint, 'a'), 'was moved');
  writeFileSync(
    join(staging, 'journal'),
    JSON.stringify({ unlessUsed: [], fills: [{ tree: 'tree-1', volume: 'half' }] }),
  );
  assert.equal(await printed(user, 'cat /mnt/a /mnt/b'), 'was movedb');
  assert.ok(!existsSync(staging));
});
