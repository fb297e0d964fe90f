/** The stores as the machine's own ctr sees them. Needs root. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { execa } from 'execa';
import { makeImage } from '../support/daemons.js';
import { eventually } from '../support/eventually.js';
import { StoreDaemon } from '../support/store-daemon.js';

const NAME = 'example.org/busy:latest';

async function image(dir: string): Promise<string> {
  const rootfs = join(dir, 'rootfs');
  mkdirSync(join(rootfs, 'bin'), { recursive: true });
  cpSync(execFileSync('which', ['busybox']).toString().trim(), join(rootfs, 'bin/busybox'));
  symlinkSync('busybox', join(rootfs, 'bin/sh'));
  return makeImage(dir, rootfs, NAME);
}

async function withImage(t: TestContext): Promise<StoreDaemon> {
  const daemon = await StoreDaemon.start(t);
  await daemon.ctr(['images', 'import', await image(daemon.dir)]);
  return daemon;
}

/** The programs that `packages.sh` gives of a newer containerd; undefined where the archive cannot be reached. */
async function newerCtr(): Promise<string | undefined> {
  const { stdout, exitCode } = await execa(
    'sh',
    [join(import.meta.dirname, '../support/packages.sh'), 'containerd@forky'],
    { reject: false },
  );
  return exitCode === 0 ? join(stdout.split('\n').at(-1)!.split(' ')[2]!, 'ctr') : undefined;
}

test('an image is imported, unpacked, exported, and goes with all that it led to', async (t) => {
  const daemon = await withImage(t);
  assert.deepEqual(
    (await daemon.table('images', 'ls')).map(([name, type]) => [name, type]),
    [[NAME, 'application/vnd.docker.distribution.manifest.v2+json']],
  );
  assert.match((await daemon.ctr(['images', 'check'])).stdout, /complete \(2\/2\).*true/);
  // The archive's index is no image's: it goes with the import's lease.
  await eventually('the index to go', async () => (await daemon.table('content', 'ls')).length === 3);
  const manifest = (await daemon.table('images', 'ls'))[0]![2]!;
  assert.equal(
    (JSON.parse((await daemon.ctr(['content', 'get', manifest])).stdout) as { schemaVersion: number }).schemaVersion,
    2,
  );
  const snapshots = await daemon.table('snapshots', 'ls');
  assert.deepEqual(
    snapshots.map((words) => words.at(-1)),
    ['Committed'],
  );
  const mounted = join(daemon.dir, 'mounted');
  mkdirSync(mounted);
  await daemon.ctr(['images', 'mount', NAME, mounted]);
  try {
    assert.ok(readFileSync(join(mounted, 'bin/busybox')).equals(readFileSync(join(daemon.dir, 'rootfs/bin/busybox'))));
  } finally {
    await daemon.ctr(['images', 'unmount', mounted]);
  }
  assert.match((await daemon.ctr(['images', 'label', NAME, 'a=b'])).stdout, /a=b/);
  const exported = join(daemon.dir, 'exported.tar');
  await daemon.ctr(['images', 'export', exported, NAME]);
  assert.match(execFileSync('tar', ['-tf', exported]).toString(), /index\.json/);
  await daemon.ctr(['images', 'tag', NAME, 'example.org/other:1']);
  await daemon.ctr(['images', 'rm', '--sync', NAME]);
  assert.equal((await daemon.table('content', 'ls')).length, 3, 'the other name keeps it');
  await daemon.ctr(['snapshots', 'rm', mounted], { reject: false });
  await daemon.ctr(['images', 'rm', '--sync', 'example.org/other:1']);
  assert.deepEqual([await daemon.table('content', 'ls'), await daemon.table('snapshots', 'ls')], [[], []]);
  assert.deepEqual(
    execFileSync('find', [join(daemon.dir, 'root/io.containerd.content.v1.content/blobs'), '-type', 'f']).toString(),
    '',
  );
  await daemon.ctr(['images', 'import', exported]);
  assert.equal((await daemon.table('images', 'ls'))[0]![0], NAME);
});

test('ctr unpacks into the native snapshotter where it is told to', async (t) => {
  const daemon = await StoreDaemon.start(t);
  await daemon.ctr(['images', 'import', '--snapshotter', 'native', await image(daemon.dir)]);
  assert.equal((await daemon.table('snapshots', '--snapshotter', 'native', 'ls')).length, 1);
  assert.equal((await daemon.table('snapshots', 'ls')).length, 0);
});

test('all that was acknowledged is there after SIGKILL', async (t) => {
  const daemon = await withImage(t);
  await daemon.ctr(['namespaces', 'create', 'kept', 'a=b']);
  await daemon.ctr(['leases', 'create', '--id', 'kept']);
  const before = await Promise.all([daemon.table('images', 'ls'), daemon.table('snapshots', 'ls')]);
  await daemon.kill('SIGKILL');
  await daemon.start();
  assert.deepEqual(await Promise.all([daemon.table('images', 'ls'), daemon.table('snapshots', 'ls')]), before);
  assert.match((await daemon.ctr(['images', 'check'])).stdout, /complete \(2\/2\).*true/);
  assert.deepEqual(
    (await daemon.table('namespaces', 'ls')).find(([name]) => name === 'kept'),
    ['kept', 'a=b'],
  );
  assert.equal((await daemon.table('leases', 'ls'))[0]![0], 'kept');
});

test('snapshots, leases, namespaces and containers come and go', async (t) => {
  const daemon = await withImage(t);
  const [[parent = '']] = (await daemon.table('snapshots', 'ls')) as [string[]];
  await daemon.ctr(['snapshots', 'prepare', 'work', parent]);
  assert.match(
    (await daemon.ctr(['snapshots', 'mounts', '/mnt', 'work'])).stdout,
    /^mount -t overlay overlay \/mnt -o .*workdir=.*upperdir=.*lowerdir=/,
  );
  assert.equal(
    (await daemon.ctr(['snapshots', 'rm', parent], { reject: false })).stderr.includes(
      'cannot remove snapshot with child: failed precondition',
    ),
    true,
  );
  await daemon.ctr(['snapshots', 'commit', 'done', 'work']);
  assert.match((await daemon.ctr(['snapshots', 'diff', 'done', parent])).stderr + 'ok', /ok/);
  assert.equal((await daemon.ctr(['snapshots', 'info', 'done'])).stdout.includes('"Kind": "Committed"'), true);
  assert.equal((await daemon.table('snapshots', 'usage')).length, 2);
  await daemon.ctr(['snapshots', 'rm', 'done']);

  await daemon.ctr(['leases', 'create', '--id', 'l', 'x=y']);
  assert.match((await daemon.ctr(['leases', 'ls'])).stdout, /^l .*x=y/m);
  assert.match(
    (await daemon.ctr(['leases', 'create', '--id', 'l'], { reject: false })).stderr,
    /lease "l": already exists/,
  );
  await daemon.ctr(['leases', 'rm', '--sync', 'l']);

  await daemon.ctr(['containers', 'create', NAME, 'c', '/bin/sh']);
  assert.deepEqual(
    (await daemon.table('containers', 'ls')).map((words) => words.slice(0, 3)),
    [['c', NAME, 'io.containerd.runc.v2']],
  );
  await daemon.ctr(['containers', 'label', 'c', 'one=two']);
  const info = JSON.parse((await daemon.ctr(['containers', 'info', 'c'])).stdout) as {
    Labels: Record<string, string>;
    SnapshotKey: string;
    Snapshotter: string;
  };
  assert.deepEqual([info.Labels.one, info.SnapshotKey, info.Snapshotter], ['two', 'c', 'overlayfs']);
  assert.match(
    (await daemon.ctr(['containers', 'create', NAME, 'c', '/bin/sh'], { reject: false })).stderr,
    /already exists/,
  );
  assert.match(
    (await daemon.ctr(['namespaces', 'rm', 'default'], { reject: false })).stderr,
    /namespace "default" must be empty, but it still has images, blobs, containers, snapshots on "overlayfs" snapshotter: failed precondition/,
  );

  await daemon.ctr(['namespaces', 'create', 'n', 'a=b']);
  await daemon.ctr(['namespaces', 'label', 'n', 'c=d', 'a=']);
  assert.deepEqual(
    (await daemon.table('namespaces', 'ls')).find(([name]) => name === 'n'),
    ['n', 'c=d'],
  );
  await daemon.ctr(['namespaces', 'rm', 'n']);
});

test('a container runs from an imported image, and what it changed is a layer', async (t) => {
  const daemon = await withImage(t);
  const { stdout } = await daemon.ctr(['run', '--rm', NAME, 'hello', '/bin/busybox', 'echo', 'from the image']);
  assert.equal(stdout, 'from the image');
  assert.deepEqual(
    (await daemon.table('snapshots', 'ls')).map((words) => words.at(-1)),
    ['Committed'],
    'its snapshot goes with it',
  );
  await daemon.ctr(['run', NAME, 'writer', '/bin/busybox', 'touch', '/made']);
  const [[, parent = '']] = (await daemon.table('snapshots', 'ls')).filter(([key]) => key === 'writer') as [string[]];
  const diff = (
    await execa('ctr', ['-a', daemon.socket, 'snapshots', 'diff', parent, 'writer'], {
      encoding: 'buffer',
      stdin: 'ignore',
    })
  ).stdout;
  assert.match(execFileSync('tar', ['-tzf', '-'], { input: Buffer.from(diff) }).toString(), /^made$/m);
  await daemon.ctr(['containers', 'rm', 'writer']);
});

test('content is written, listed, labelled, read and deleted', async (t) => {
  const daemon = await StoreDaemon.start(t);
  writeFileSync(join(daemon.dir, 'data'), 'hello');
  const digest = 'sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824';
  await daemon.ctr(['leases', 'create', '--id', 'l']);
  await daemon.ctr(['content', 'ingest', '--expected-digest', digest, '--expected-size', '5', 'ref'], {
    input: 'hello',
    stdin: 'pipe',
  });
  assert.equal((await daemon.ctr(['content', 'get', digest])).stdout, 'hello');
  await daemon.ctr(['content', 'label', digest, 'containerd.io/gc.root=x']);
  assert.deepEqual(await daemon.table('content', 'active'), []);
  assert.match((await daemon.ctr(['content', 'ls'])).stdout, /containerd\.io\/gc\.root=x/);
  await daemon.ctr(['content', 'rm', digest]);
  await eventually('the blob to go', async () => (await daemon.table('content', 'ls')).length === 0);
  const wrong = await daemon.ctr(['content', 'ingest', '--expected-digest', `sha256:${'0'.repeat(64)}`, 'other'], {
    input: 'hello',
    stdin: 'pipe',
    reject: false,
  });
  assert.match(wrong.stderr, /unexpected commit digest sha256:2cf24.*failed precondition/);
  assert.equal((await daemon.table('content', 'active')).length, 1);
});

test('a newer ctr imports by itself, and by the transfer service', async (t) => {
  const program = await newerCtr();
  if (program === undefined) return t.skip('the archive of packages cannot be reached');
  const daemon = await StoreDaemon.start(t);
  const file = await image(daemon.dir);
  const exported = join(daemon.dir, 'exported.tar');
  for (const [how, local] of [
    ['by itself', ['--local']],
    ['by transfer', ['--local=false']],
  ] as const) {
    await daemon.ctr(['images', 'import', ...local, file], { program });
    assert.match((await daemon.ctr(['images', 'check'], { program })).stdout, /complete \(2\/2\).*true/, how);
    await daemon.ctr(['images', 'tag', ...local, NAME, 'example.org/tagged:1'], { program });
    await daemon.ctr(['images', 'export', ...local, exported, NAME, 'example.org/tagged:1'], { program });
    await daemon.ctr(['images', 'rm', '--sync', NAME, 'example.org/tagged:1'], { program });
    assert.deepEqual(
      [await daemon.table('content', 'ls'), await daemon.table('snapshots', 'ls'), await daemon.table('leases', 'ls')],
      [[], [], []],
      how,
    );
    await daemon.ctr(['images', 'import', ...local, exported], { program });
    assert.deepEqual(
      (await daemon.table('images', 'ls')).map(([name]) => name),
      [NAME, 'example.org/tagged:1'],
      how,
    );
    await daemon.ctr(['images', 'rm', '--sync', NAME, 'example.org/tagged:1'], { program });
  }
  // What one makes, the other reads.
  await daemon.ctr(['images', 'import', exported]);
  assert.match((await daemon.ctr(['images', 'check'])).stdout, /complete \(2\/2\).*true/);
  const broken = join(daemon.dir, 'broken.tar');
  writeFileSync(broken, readFileSync(exported).subarray(0, 100_000));
  const failed = await daemon.ctr(['images', 'import', '--local=false', broken], { program, reject: false });
  assert.match(failed.stderr, /the tar archive ends in the middle of an entry: invalid argument/);
  assert.deepEqual(await daemon.table('leases', 'ls'), []);
  return undefined;
});
