/** Files of containers: exported, compared, copied in and out, made an image of. */
import assert from 'node:assert/strict';
import {
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, afterEach, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { execa } from 'execa';
import {
  AbortError,
  ClientError,
  FailedPreconditionError,
  InvalidArgumentError,
  NotFoundError,
  type Client,
  type Container,
} from '../../src/client/index.js';
import { ClientLab, sh } from '../support/client-lab.js';
import { makeImage, makeRootfs } from '../support/daemons.js';
import { eventually } from '../support/eventually.js';
import { mountsBelow } from '../support/machine.js';
import { treeOf } from '../support/trees.js';

const IMAGE = 'docker.io/library/files-test:latest';
let lab: ClientLab;
let client: Client;
let count = 0;

before(async () => {
  lab = await ClientLab.open();
  client = lab.client;
  const files = makeRootfs(join(lab.daemon.dir, 'image-rootfs'));
  mkdirSync(join(files, 'srv/data/deep'), { recursive: true });
  for (const name of ['kept', 'changed', 'deleted']) writeFileSync(join(files, 'srv/data', name), `${name}\n`);
  writeFileSync(join(files, 'srv/data/deep/file'), 'deep\n');
  symlinkSync('/etc/passwd', join(files, 'srv/link'));
  await client.images.import(await makeImage(lab.daemon.dir, files, IMAGE, ['/bin/sleep', '1000']));
});
after(() => lab.close());
afterEach(async () => {
  for (const container of await client.containers()) await container.delete({ kill: true, volumes: true });
  await client.volumes.prune({ all: true });
  await lab.nothingLeft();
  await nothingMounted();
});

/** No snapshot but those of images, and no mount. */
async function nothingMounted(): Promise<void> {
  const names: string[] = [];
  for await (const { info } of client.services.snapshots.List({ snapshotter: 'overlayfs' }))
    names.push(...info.map(({ name }) => name ?? ''));
  assert.deepEqual(
    names.filter((name) => !name.startsWith('sha256:')),
    [],
  );
}

/** Of the image; with a script it is run to its end. */
async function made(script?: string, snapshotter?: string): Promise<Container> {
  const container = await client.create({
    id: `f${++count}`,
    image: IMAGE,
    args: script === undefined ? ['sleep', '100000'] : sh(script),
    snapshotter,
  });
  if (script !== undefined) assert.equal((await (await container.start()).result()).exitCode, 0);
  return container;
}

async function running(options: object = {}): Promise<Container> {
  const container = await client.create({ id: `f${++count}`, image: IMAGE, args: ['sleep', '100000'], ...options });
  await container.start({ stdout: 'ignore', stderr: 'ignore' });
  return container;
}

function temporary(): string {
  return mkdtempSync(join(lab.daemon.dir, 'out-'));
}

async function unpacked(archive: AsyncIterable<Uint8Array>): Promise<string> {
  const dir = temporary();
  await execa('tar', ['-C', dir, '--xattrs', '--xattrs-include=*', '-xpf', '-'], {
    input: Readable.from(archive, { objectMode: false }),
  });
  return dir;
}

const SCRIPT =
  'cd /srv/data && echo more >>changed && rm deleted && mkdir -p new/dir && echo n >new/dir/file && ln new/dir/file new/same && ' +
  'rm -r deep && mkdir deep && echo other >deep/other && mkdir /was && rmdir /was && touch /tmp';

test('export: what the container has, of one that ended, that runs, and that never ran', async () => {
  const ended = await made(SCRIPT);
  const dir = await unpacked(ended.export());
  const { stdout } = await execa(
    'sh',
    ['-c', 'cd srv && find . | sort && cat data/changed data/new/same && readlink link'],
    {
      cwd: dir,
    },
  );
  const names = ['', '/data', '/data/changed', '/data/deep', '/data/deep/other', '/data/kept', '/data/new'];
  names.push('/data/new/dir', '/data/new/dir/file', '/data/new/same', '/link');
  assert.equal(stdout, `${names.map((name) => `.${name}\n`).join('')}changed\nmore\nn\n/etc/passwd`);
  const tree = treeOf(join(dir, 'srv/data/new'));
  assert.equal(tree.get('same' as never)?.[4], 'dir/file', 'two names are one file');
  const live = await running({
    mounts: [{ destination: '/tmp', type: 'tmpfs', source: 'tmpfs' }],
    volumes: [{ name: 'vol', destination: '/vol' }],
  });
  await live.output(sh('echo hidden >/tmp/x; echo kept >/vol/x; echo root >/root/x'));
  const exported = await unpacked(live.export());
  assert.equal(
    (await execa('find', ['tmp', 'vol', 'proc', 'root'], { cwd: exported })).stdout,
    'tmp\nvol\nproc\nroot\nroot/x',
  );
  await unpacked((await made()).export());
});

test('export of a directory: links in it that lead out are links, and it stays as it is', async () => {
  const rootfs = makeRootfs(temporary());
  symlinkSync('/etc', join(rootfs, 'host'));
  truncateSync(join(rootfs, 'etc/group'), 3);
  const container = await client.create({ id: 'dir', rootfs, args: ['true'] });
  const names = (await execa('tar', ['-tf', '-'], { input: Readable.from(container.export(), { objectMode: false }) }))
    .stdout;
  assert.match(names, /^host$/m);
  assert.doesNotMatch(names, /^host\//m);
  await assert.rejects(container.diff(), (error: Error) => {
    assert.ok(error instanceof FailedPreconditionError);
    assert.match(error.message, /^container dir was made of a directory and not of an image, so nobody knows/);
    return true;
  });
});

test('an export that is given up leaves nothing mounted', async () => {
  const container = await made();
  const controller = new AbortController();
  let bytes = 0;
  await assert.rejects(async () => {
    for await (const chunk of container.export({ signal: controller.signal })) {
      bytes += chunk.length;
      controller.abort();
    }
  }, AbortError);
  assert.ok(bytes > 0);
  for await (const _ of container.export()) break;
});

for (const snapshotter of ['overlayfs', 'native'])
  test(`diff: added, modified, deleted, on ${snapshotter}`, async () => {
    assert.deepEqual(await (await made(undefined, snapshotter)).diff(), []);
    const container = await made(SCRIPT, snapshotter);
    const found = (await container.diff()).map(({ path, kind }) => `${kind} ${path}`);
    assert.deepEqual(found, [
      'modified /srv',
      'modified /srv/data',
      'modified /srv/data/changed',
      'modified /srv/data/deep',
      'deleted /srv/data/deep/file',
      'added /srv/data/deep/other',
      'deleted /srv/data/deleted',
      'added /srv/data/new',
      'added /srv/data/new/dir',
      'added /srv/data/new/dir/file',
      'added /srv/data/new/same',
    ]);
  });

test('copies of one that runs, is paused, has ended, or never ran: volumes, mounts, owners', async () => {
  const dir = temporary();
  writeFileSync(join(dir, 'file'), 'from here\n');
  chownSync(join(dir, 'file'), 1234, 2345);
  const options = {
    user: '1000:1001',
    mounts: [{ destination: '/tmp', type: 'tmpfs', source: 'tmpfs' }],
    volumes: [{ name: 'vol', destination: '/srv/vol' }],
  };
  const live = await running(options);
  const cold = await client.create({
    id: `f${++count}`,
    image: IMAGE,
    ...options,
    volumes: [{ name: 'cold', destination: '/srv/vol' }],
  });
  for (const container of [live, cold]) {
    assert.ok((await container.copyTo(join(dir, 'file'), '/srv/vol/')).bytes >= 1024);
    await container.copyTo(join(dir, 'file'), '/srv/data/owned', { ownedByUser: true });
    await container.copyTo(join(dir, 'file'), 'srv/data/kept');
  }
  await live.copyTo(join(dir, 'file'), '/tmp');
  await live.pause();
  await live.copyTo(join(dir, 'file'), '/srv/paused');
  await live.resume();
  const shown = await live.output(sh('cd /srv; cat /tmp/file vol/file paused; ls -ln data/owned data/kept'));
  assert.match(shown.stdout, /^(from here\n){3}\S+ +1 1234 +2345 .*kept\n\S+ +1 1000 +1001 .*owned\n$/);
  for (const [container, volume] of [
    [live, 'vol'],
    [cold, 'cold'],
  ] as const) {
    assert.equal(readFileSync(join((await client.volumes.get(volume)).mountpoint, 'file'), 'utf8'), 'from here\n');
    const out = temporary();
    await container.copyFrom('/srv/', out);
    assert.equal(readFileSync(join(out, 'srv/vol/file'), 'utf8'), 'from here\n');
    assert.deepEqual([statSync(join(out, 'srv/data/owned')).uid, statSync(join(out, 'srv/data/kept')).gid], [0, 0]);
  }
  assert.ok(!(await names(live.readArchive('/'))).includes('./tmp/file'), 'what is mounted below stays out');
  assert.ok((await names(live.readArchive('/'))).includes('./srv/vol/file'));
  assert.deepEqual(await names(live.readArchive('/tmp/')), ['tmp/', 'tmp/file']);
  assert.deepEqual(await names(live.readArchive('/tmp/.')), ['./', './file']);
  const packed = gzipSync(await collected(live.readArchive('/srv/vol')));
  await live.writeArchive('/srv/data', Readable.from([packed]));
  assert.equal((await live.output(['cat', '/srv/data/vol/file'])).stdout, 'from here\n');
  await live.deleteTask({ kill: true });
  await live.copyTo(join(dir, 'file'), '/srv/afterwards');
  await live.start({ stdout: 'ignore', stderr: 'ignore' });
  assert.equal((await live.output(['cat', '/srv/afterwards'])).stdout, 'from here\n');
});

async function collected(archive: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of archive) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function names(archive: AsyncIterable<Uint8Array>): Promise<string[]> {
  const { stdout } = await execa('tar', ['-tf', '-'], { input: Readable.from(archive, { objectMode: false }) });
  return stdout.split('\n');
}

test('what cannot be copied is said, with the container and the file', async () => {
  const dir = temporary();
  writeFileSync(join(dir, 'file'), 'x');
  const cold = await client.create({
    id: 'cold',
    image: IMAGE,
    mounts: [{ destination: '/ro', type: 'bind', source: dir, options: ['rbind', 'ro'] }],
  });
  const locked = await client.create({ id: 'locked', image: IMAGE, readonlyRootfs: true });
  const live = await running({ readonlyRootfs: true });
  const file = join(dir, 'file');
  for (const [copy, kind, says] of [
    [
      () => cold.copyTo(file, '/none/x'),
      NotFoundError,
      /^container cold: \S+file to \/none\/x: there is no directory \/none in the container: not found$/,
    ],
    [
      () => cold.copyTo('/none', '/'),
      NotFoundError,
      /^container cold: \/none to \/: there is no file \/none here: not found$/,
    ],
    [
      () => cold.copyFrom('/none', dir),
      NotFoundError,
      /^container cold: \/none to \S+: there is no file \/none in the container/,
    ],
    [
      () => cold.copyFrom('/etc', file),
      InvalidArgumentError,
      /is no directory, so the directory \/etc cannot be copied to it/,
    ],
    [
      () => cold.copyFrom('/etc/passwd/', dir),
      InvalidArgumentError,
      /: \/etc\/passwd\/ is no directory: invalid argument$/,
    ],
    [
      () => cold.copyTo(file, '/ro/'),
      FailedPreconditionError,
      /: what is mounted at \/ro is read-only: failed precondition$/,
    ],
    [
      () => locked.copyTo(file, '/srv/'),
      FailedPreconditionError,
      /^container locked: .*: its root file system is read-only/,
    ],
    [
      () => live.copyTo(file, '/srv/'),
      FailedPreconditionError,
      /^container f\d+: .*: it is read-only: failed precondition$/,
    ],
    [
      () => cold.writeArchive('/srv', Readable.from([Buffer.alloc(2048, 'no archive')])),
      InvalidArgumentError,
      /^container cold: \/srv: /,
    ],
    [
      () => cold.writeArchive('/etc/passwd', Readable.from([])),
      InvalidArgumentError,
      /is no directory, and an archive is unpacked in one/,
    ],
    [() => cold.copyTo(dir, '/srv/link', {}), InvalidArgumentError, /cannot be copied to it/],
  ] as const) {
    const error = await copy().then(
      () => assert.fail(`copied: ${says}`),
      (thrown: Error) => thrown,
    );
    assert.ok(error instanceof kind, `${error.name}: ${error.message}`);
    assert.match(error.message, says);
  }
});

test(
  'a container that swaps its directories for links gets and gives nothing of the host',
  { timeout: 120_000 },
  async () => {
    const host = temporary();
    writeFileSync(join(host, 'secret'), 'of the host');
    const script = `mkdir /srv/a /srv/b; echo inside >/srv/a/secret; cd /srv; ln -s ${host} link; n=0
    while :; do mv a old; mv link a; mv a link; mv old a; done`;
    const container = await client.create({ id: 'swapper', image: IMAGE, args: sh(script) });
    await container.start({ stdout: 'ignore', stderr: 'ignore' });
    const file = join(temporary(), 'secret');
    writeFileSync(file, 'written');
    let [read, wrote] = [0, 0];
    // Which of the two it meets is chance: some of each, and no more than it takes.
    for (let n = 0; n < 16 || ((read === 0 || wrote === 0) && n < 1000); n++) {
      const out = temporary();
      for (const path of ['/srv/a/secret', '/srv', '/srv/a/.'])
        try {
          await container.copyFrom(path, out, { followLink: n % 2 === 0 });
          read++;
        } catch (error) {
          assert.ok(error instanceof ClientError, String(error));
        }
      const found = await execa('grep', ['-r', 'of the host', out], { reject: false });
      assert.equal(found.stdout, '');
      for (const path of ['/srv/a/', '/srv/a/secret'])
        try {
          await container.copyTo(file, path);
          wrote++;
        } catch (error) {
          assert.ok(error instanceof ClientError, String(error));
        }
    }
    assert.ok(read > 0 && wrote > 0, `${read} ${wrote}`);
    assert.deepEqual(readdirSync(host), ['secret']);
    assert.equal(readFileSync(join(host, 'secret'), 'utf8'), 'of the host');
  },
);

test('a copy into a container that is given up leaves nothing mounted', async () => {
  const container = await made();
  const standing = new Readable({ read: () => undefined });
  const controller = new AbortController();
  const copy = container.writeArchive('/srv', standing, { signal: controller.signal });
  controller.abort();
  await assert.rejects(copy, AbortError);
  assert.deepEqual(mountsBelow(lab.daemon.dir), []);
  // A mount that somebody still had open would be in the way.
  await container.delete();
});

async function removeImage(name: string): Promise<void> {
  await client.images.delete(name);
}

for (const snapshotter of ['overlayfs', 'native'])
  test(`commit: an image of what was changed, on ${snapshotter}`, async () => {
    const container = await made(SCRIPT, snapshotter);
    const before = await client.images.inspect(IMAGE);
    const image = await container.commit({
      name: 'mine:1',
      author: 'somebody',
      message: 'a message',
      changes: [
        'ENV GREETING="hello  you" PATH=/opt:$PATH',
        'CMD ["cat", "/srv/data/changed"]',
        'EXPOSE 80 90-91/udp',
        'LABEL a=b',
      ],
    });
    assert.equal(image.name, 'docker.io/library/mine:1');
    await container.delete({ kill: true });
    const details = await client.images.inspect('mine:1');
    assert.deepEqual(details.layers.slice(0, -1), before.layers);
    assert.equal(details.author, 'somebody');
    assert.deepEqual(details.config.Cmd, ['cat', '/srv/data/changed']);
    assert.deepEqual(details.config.Env, ['PATH=/opt:/bin', 'GREETING=hello  you']);
    assert.deepEqual(details.config.ExposedPorts, { '80/tcp': {}, '90/udp': {}, '91/udp': {} });
    assert.deepEqual(details.config.Labels, { a: 'b' });
    const [step, ...older] = await client.images.history('mine:1');
    assert.deepEqual(
      [step?.comment, step?.createdBy.startsWith('/bin/sh -c cd /srv'), older.length],
      ['a message', true, 1],
    );
    assert.ok((step?.size ?? 0) > 0);
    const again = await client.create({ id: `f${++count}`, image: 'mine:1', snapshotter, env: { PATH: '/bin' } });
    const { stdout } = await (await again.start()).result();
    assert.equal(stdout, 'changed\nmore\n');
    assert.deepEqual(await again.diff(), []);
    // What is there now can be taken elsewhere.
    assert.ok((await collected(client.images.save(['mine:1']))).length > 0);
    await again.delete({ kill: true });
    await removeImage('mine:1');
  });

test('commit of one that runs: it stands still meanwhile, unless that is not wanted, and goes on', async () => {
  const container = await running({ user: '1000:1001', cwd: '/srv', labels: { shown: 'yes', 'io.hawser/x': 'no' } });
  await container.output(sh('id >/tmp/x'));
  const states: string[] = [];
  const watcher = await client.watch(({ kind, containerId }) => {
    if (containerId === container.id) states.push(kind);
  });
  const image = await container.commit({ message: 'nameless' });
  assert.match(image.name, /^<none>@sha256:[0-9a-f]{64}$/);
  const [shown] = await client.images.list([`name==${image.name}`]);
  assert.equal(shown?.target.digest, image.target.digest);
  const { config } = await client.images.inspect(image.target.digest);
  assert.deepEqual(
    [config.User, config.WorkingDir, config.Cmd, config.Env, config.Labels],
    ['1000:1001', '/srv', ['sleep', '100000'], ['PATH=/bin'], { shown: 'yes' }],
  );
  await eventually('it to have been paused and resumed', () => states.includes('paused') && states.includes('resumed'));
  assert.equal((await container.status()).state, 'running');
  states.length = 0;
  await container.commit({ name: 'other', pause: false });
  await container.output(['true']);
  await eventually('an exec to be seen', () => states.includes('exec-started'));
  assert.ok(!states.includes('paused'));
  await watcher.stop();
  await container.delete({ kill: true });
  await client.images.prune();
  assert.deepEqual((await client.images.list()).map(({ name }) => name).sort(), [
    IMAGE,
    'docker.io/library/other:latest',
  ]);
  await removeImage('other');
});

test('a commit that changes nothing makes no layer; what cannot be is said', async () => {
  const container = await made();
  await container.commit({ name: 'same', changes: ['ENTRYPOINT sleep 1'] });
  const details = await client.images.inspect('same');
  assert.deepEqual(details.layers, (await client.images.inspect(IMAGE)).layers);
  assert.deepEqual([details.config.Entrypoint, details.config.Cmd], [['/bin/sh', '-c', 'sleep 1'], undefined]);
  await removeImage('same');
  for (const [change, says] of [
    ['FROM x', /^change "FROM x": there are CMD, ENTRYPOINT, .*, each with what it sets: invalid argument$/],
    ['EXPOSE http', /"http" is no port/],
    ['ENV A="b', /a quote \("\) is not closed/],
    ['LABEL =x', /"=x" is no NAME=VALUE/],
    ['CMD', /^change "CMD": there are CMD/],
  ] as const)
    await assert.rejects(container.commit({ changes: [change] }), (error: Error) => {
      assert.ok(error instanceof InvalidArgumentError);
      assert.match(error.message, says);
      return true;
    });
  await assert.rejects(container.commit({ name: 'Not A Name' }), InvalidArgumentError);
  const directory = await client.create({ id: 'dir2', rootfs: lab.daemon.rootfs, args: ['true'] });
  await assert.rejects(directory.commit(), FailedPreconditionError);
  // The name stands for another image now: the snapshot tells what it was made of.
  await client.images.tag(IMAGE, 'kept');
  const archive = await makeImage(lab.daemon.dir, lab.daemon.rootfs, IMAGE, ['/bin/true']);
  await client.images.import(archive);
  await container.commit({ name: 'mine:2' });
  assert.deepEqual((await client.images.inspect('mine:2')).layers, (await client.images.inspect('kept')).layers);
  await removeImage('mine:2');
  await client.images.tag('kept', IMAGE);
  await removeImage('kept');
});
