/** Real mounts, each kind that a daemon may ask for, without a container (contract §6.7). */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Mount } from '../../src/shim/record/mount.js';
import { mountRootfs, unmountRootfs } from '../../src/shim/rootfs/rootfs.js';
import { mount, unmount } from '../../src/sys/index.js';
import { eventually } from '../support/eventually.js';
import { script } from './fixtures/support.js';

const skip = process.getuid!() !== 0 ? 'needs root' : false;
const MAPS = ['uidmap=0:100000:65536', 'gidmap=0:200000:65536'];

/** A directory for a bundle and its layers; what is mounted there goes with the test. */
class Place {
  readonly dir: string;
  readonly rootfs: string;

  constructor(t: TestContext) {
    this.dir = mkdtempSync(join(tmpdir(), 'hawser-rootfs-'));
    this.rootfs = join(this.dir, 'rootfs');
    t.after(async () => {
      await unmountRootfs(this.dir, { lazy: true });
      // Not before nothing is mounted: what lies behind a bind is somebody else's.
      assert.deepEqual(this.mounted(), []);
      rmSync(this.dir, { recursive: true, force: true });
    });
  }

  path(name: string): string {
    mkdirSync(join(this.dir, name), { recursive: true });
    return join(this.dir, name);
  }

  /** A directory with a file of that name in it. */
  layer(name: string): string {
    writeFileSync(join(this.path(name), name.replaceAll('/', '-')), '');
    return join(this.dir, name);
  }

  image(size = 4 << 20): string {
    const file = join(this.dir, 'image');
    writeFileSync(file, '');
    truncateSync(file, size);
    execFileSync('/sbin/mke2fs', ['-q', '-F', '-t', 'ext4', file], { stdio: 'ignore' });
    return file;
  }

  mount(...mounts: Partial<Mount>[]): Promise<void> {
    return mountRootfs(
      mounts.map((one) => ({ type: 'bind', source: '', target: '', options: [], ...one })),
      this.rootfs,
    );
  }

  /** Lines of mountinfo below this place: point, options, propagation. */
  mounted(): { point: string; options: string; propagation: string }[] {
    return readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .map((line) => line.split(' '))
      .filter(([, , , , point]) => point?.startsWith(`${this.dir}/`))
      .map((fields) => ({
        point: fields[4]!,
        options: fields[5]!,
        propagation: fields
          .slice(6, fields.indexOf('-'))
          .map((field) => field.split(':')[0])
          .join(' '),
      }));
  }

  async unmounted(): Promise<void> {
    await unmountRootfs(this.rootfs);
    this.assertClean();
  }

  /** Nothing is mounted, no scratch directory is left, and no loop device is tied to a file of ours. */
  assertClean(): void {
    assert.deepEqual(this.mounted(), []);
    assert.deepEqual(
      readdirSync(this.dir).filter((name) => name.includes('.lower-')),
      [],
    );
  }

  loopDevices(): string[] {
    return readdirSync('/sys/block').filter((name) => {
      const file = `/sys/block/${name}/loop/backing_file`;
      return existsSync(file) && readFileSync(file, 'utf8').startsWith(`${this.dir}/`);
    });
  }

  loopDevicesGo(): Promise<unknown> {
    return eventually('the loop devices are free', () => this.loopDevices().length === 0);
  }
}

const PROPAGATION: [string, string][] = [
  ['private', ''],
  ['rprivate', ''],
  ['shared', 'shared'],
  ['rshared', 'shared'],
  ['unbindable', 'unbindable'],
  ['runbindable', 'unbindable'],
];

for (const [word, seen] of PROPAGATION) {
  test(`a bind with ${word} is that, and so is what is mounted below it if it says so`, { skip }, async (t) => {
    const place = new Place(t);
    const source = place.path('source');
    await mount('tmpfs', source, 'tmpfs', 0, '');
    mkdirSync(join(source, 'sub'));
    await mount('tmpfs', join(source, 'sub'), 'tmpfs', 0, '');
    await place.mount({ source, options: ['rbind', word] });
    const of = (point: string): string | undefined => place.mounted().find((one) => one.point === point)?.propagation;
    assert.equal(of(place.rootfs), seen);
    assert.equal(of(join(place.rootfs, 'sub')), word.startsWith('r') ? seen : of(join(source, 'sub')));
  });
}

test("a slave hears of its master's mounts; slave and shared go together", { skip }, async (t) => {
  const place = new Place(t);
  const source = place.path('source');
  await mount('tmpfs', source, 'tmpfs', 0, '');
  await mount('', source, '', 1 << 20, '');
  await place.mount({ source, options: ['bind', 'rslave'] });
  assert.equal(place.mounted().find(({ point }) => point === place.rootfs)?.propagation, 'master');
  await unmountRootfs(place.rootfs);
  await place.mount({ source, options: ['bind', 'slave', 'shared'] });
  assert.equal(place.mounted().find(({ point }) => point === place.rootfs)?.propagation, 'shared master');
});

test('a read-only bind is read-only, with the flags it is given', { skip }, async (t) => {
  const place = new Place(t);
  await place.mount({ source: place.layer('source'), options: ['ro', 'bind', 'nosuid', 'noexec'] });
  const [only] = place.mounted();
  assert.deepEqual(
    only!.options.split(',').filter((word) => ['ro', 'nosuid', 'noexec', 'nodev'].includes(word)),
    ['ro', 'nosuid', 'noexec'],
  );
  assert.throws(() => writeFileSync(join(place.rootfs, 'x'), ''), { code: 'EROFS' });
  await place.unmounted();
});

test('in a user namespace a read-only bind keeps the flags that are locked', { skip }, async (t) => {
  const place = new Place(t);
  const source = place.path('source');
  await mount('tmpfs', source, 'tmpfs', 2 | 4 | 8, '');
  const code = `import { mountRootfs } from ${JSON.stringify(fileURLToPath(new URL('../../src/shim/rootfs/rootfs.ts', import.meta.url)))};
    import { readFileSync } from 'node:fs';
    await mountRootfs([{ type: 'bind', source: ${JSON.stringify(source)}, target: '', options: ['rbind', 'ro'] }], ${JSON.stringify(place.rootfs)});
    console.log(readFileSync('/proc/self/mountinfo', 'utf8').split('\\n').find((line) => line.includes(${JSON.stringify(` ${place.rootfs} `)})).split(' ')[5]);`;
  const file = join(place.dir, 'inside.mts');
  writeFileSync(file, code);
  const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
  const options = execFileSync(
    'unshare',
    ['--user', '--map-root-user', '--mount', process.execPath, '--import', 'tsx', file],
    { encoding: 'utf8', env, cwd: fileURLToPath(new URL('../..', import.meta.url)) },
  );
  assert.deepEqual(options.trim().split(',').sort(), ['nodev', 'noexec', 'nosuid', 'relatime', 'ro']);
});

test('a target that is a file gets the file', { skip }, async (t) => {
  const place = new Place(t);
  const source = join(place.path('files'), 'source');
  writeFileSync(source, 'content');
  await place.mount({ type: 'tmpfs', source: 'tmpfs' }, { source, target: '/etc/hostname', options: ['rbind', 'ro'] });
  assert.equal(readFileSync(join(place.rootfs, 'etc/hostname'), 'utf8'), 'content');
  assert.throws(() => writeFileSync(join(place.rootfs, 'etc/hostname'), ''), { code: 'EROFS' });
  await place.unmounted();
});

test('an image in a file is mounted by a loop device, which goes with the mount', { skip }, async (t) => {
  const place = new Place(t);
  const source = place.image();
  for (const options of [['loop'], ['loop', 'ro'], ['loop', 'direct-io', 'noatime'], ['loop', 'ro', 'noload']]) {
    await place.mount({ type: 'ext4', source, options });
    const [device] = place.loopDevices();
    assert.ok(device, `${options.join()}: a loop device is tied to the image`);
    assert.ok(existsSync(join(place.rootfs, 'lost+found')));
    const readOnly = options.includes('ro');
    assert.equal(readFileSync(`/sys/block/${device}/ro`, 'utf8').trim(), readOnly ? '1' : '0');
    assert.equal(readFileSync(`/sys/block/${device}/loop/autoclear`, 'utf8').trim(), '1');
    if (readOnly) assert.throws(() => writeFileSync(join(place.rootfs, 'x'), ''), { code: 'EROFS' });
    else writeFileSync(join(place.rootfs, 'x'), 'kept');
    await place.unmounted();
    await place.loopDevicesGo();
  }
  await place.mount({ type: 'ext4', source, options: ['loop', 'ro'] });
  assert.equal(readFileSync(join(place.rootfs, 'x'), 'utf8'), 'kept', 'what was written is in the file');
});

test('a loop device does not outlive a mount that fails, before it or after it', { skip }, async (t) => {
  const place = new Place(t);
  const source = place.image();
  await assert.rejects(
    place.mount({ type: 'xfs', source, options: ['loop'] }),
    /^Error: failed to mount rootfs component: mount source: "\/dev\/loop\d+", target: ".*", fstype: xfs, /,
  );
  await assert.rejects(place.mount({ type: 'ext4', source, options: ['loop', 'nonsense=1'] }), /EINVAL/);
  await assert.rejects(
    place.mount({ type: 'ext4', source, options: ['loop'] }, { source: '/no/such', options: ['bind'] }),
    /"\/no\/such"/,
  );
  await assert.rejects(
    place.mount({ type: 'ext4', source: join(place.dir, 'none'), options: ['loop'] }),
    /^Error: failed to mount rootfs component: loop device for .*none: ENOENT$/,
  );
  place.assertClean();
  await place.loopDevicesGo();
});

test('many that want a loop device at once all get one', { skip }, async (t) => {
  const place = new Place(t);
  const source = place.image();
  const rootfs = (n: number): string => join(place.dir, `rootfs${n}`);
  await Promise.all(
    Array.from({ length: 12 }, (_, n) =>
      mountRootfs([{ type: 'ext4', source, target: '', options: ['loop', 'ro', 'noload'] }], rootfs(n)),
    ),
  );
  assert.equal(place.mounted().length, 12);
  await Promise.all(Array.from({ length: 12 }, (_, n) => unmountRootfs(rootfs(n))));
  place.assertClean();
  await place.loopDevicesGo();
});

test(
  'an overlay of layers that have no parent in common, longer than a page, is mounted, and can be written to',
  { skip },
  async (t) => {
    const place = new Place(t);
    // Every one below a directory of its own, so that what they have in common does not help.
    const layers = Array.from({ length: 60 }, (_, n) =>
      place.layer(`${String(n).padStart(3, '0')}-${'x'.repeat(90)}/${'y'.repeat(90)}/${n}`),
    );
    const options = [
      `lowerdir=${layers.join(':')}`,
      `upperdir=${place.path('upper')}`,
      `workdir=${place.path('work')}`,
    ];
    assert.ok(options.join(',').length > 10_000);
    await place.mount({ type: 'overlay', source: 'overlay', options });
    assert.equal(readdirSync(place.rootfs).length, 60);
    writeFileSync(join(place.rootfs, 'new'), '');
    assert.ok(existsSync(join(place.dir, 'upper/new')));
    assert.deepEqual(
      readdirSync(place.dir).filter((name) => name.includes('.lower-')),
      [],
    );
    await place.unmounted();
  },
);

test('an overlay that nothing can shorten is an error that says how long it is', { skip }, async (t) => {
  const place = new Place(t);
  const options = [`lowerdir=${place.path('a')}:${place.path('b')}`, `upperdir=/${'u'.repeat(4100)}`];
  await assert.rejects(
    place.mount({ type: 'overlay', source: 'overlay', options }),
    /: mount options is too long: \d+ bytes, and the kernel reads 4095$/,
  );
  place.assertClean();
});

test('owners are shifted for a bind, read-only or not, and what lies below it', { skip }, async (t) => {
  const place = new Place(t);
  const source = place.layer('source');
  chownSync(join(source, 'source'), 7, 8);
  await mount('tmpfs', place.path('source/sub'), 'tmpfs', 0, '');
  for (const word of ['rw', 'ro']) {
    await place.mount({ source, options: ['rbind', word, ...MAPS] });
    const { uid, gid } = statSync(join(place.rootfs, 'source'));
    assert.deepEqual([uid, gid], [100_007, 200_008]);
    assert.equal(statSync(join(place.rootfs, 'sub')).uid, 100_000, 'what is mounted there is shifted too');
    const tops = place.mounted().filter(({ point }) => point === place.rootfs);
    assert.equal(tops.length, 1, 'the unshifted mount does not stay below');
    assert.equal(tops[0]!.options.split(',').includes('ro'), word === 'ro');
    await unmountRootfs(place.rootfs);
  }
  assert.equal(statSync(join(source, 'source')).uid, 7);
});

test('owners are shifted for an image in a file', { skip }, async (t) => {
  const place = new Place(t);
  await place.mount({ type: 'ext4', source: place.image(), options: ['loop', ...MAPS] });
  assert.equal(statSync(join(place.rootfs, 'lost+found')).uid, 100_000);
  await place.unmounted();
  await place.loopDevicesGo();
});

test(
  "owners are shifted for the lower layers of an overlay, however many; what is written is the writer's",
  { skip },
  async (t) => {
    const place = new Place(t);
    const layers = Array.from({ length: 70 }, (_, n) => place.layer(`layers/${'x'.repeat(60)}/${n}`));
    await place.mount({
      type: 'overlay',
      source: 'overlay',
      options: [
        ...MAPS,
        `lowerdir=${layers.join(':')}`,
        `upperdir=${place.path('upper')}`,
        `workdir=${place.path('work')}`,
      ],
    });
    const names = readdirSync(place.rootfs);
    assert.equal(names.length, 70);
    for (const name of names)
      assert.deepEqual(
        [statSync(join(place.rootfs, name)).uid, statSync(join(place.rootfs, name)).gid],
        [100_000, 200_000],
      );
    writeFileSync(join(place.rootfs, 'new'), '');
    assert.equal(statSync(join(place.dir, 'upper/new')).uid, 0);
    assert.deepEqual(
      place.mounted().map(({ point }) => point),
      [place.rootfs],
      'the mounts that helped are gone',
    );
    await place.unmounted();
  },
);

test('owners that cannot be shifted are an error that says so, and nothing stays mounted', { skip }, async (t) => {
  const place = new Place(t);
  await assert.rejects(
    place.mount({ source: '/proc', options: ['bind', ...MAPS] }),
    /mount options uidmap= and gidmap= are not possible at .*: they take Linux 5\.12 and a file system that knows them \(EINVAL\)/,
  );
  await assert.rejects(
    place.mount({ type: 'overlay', source: 'overlay', options: [...MAPS, 'lowerdir=/proc:/proc/sys'] }),
    /not possible at \/proc/,
  );
  await assert.rejects(
    place.mount({ source: place.path('x'), options: ['bind', 'uidmap=0:1', 'gidmap=0:1:1'] }),
    /mount option uidmap=0:1 is not of the form inside:outside:count/,
  );
  place.assertClean();
});

/** Runs with this directory first in PATH. */
async function withPath(dir: string, work: () => Promise<void>): Promise<void> {
  const path = process.env.PATH;
  process.env.PATH = `${dir}:${path}`;
  try {
    await work();
  } finally {
    process.env.PATH = path;
  }
}

test('a file system in user space is mounted by its helper', { skip }, async (t) => {
  const place = new Place(t);
  const bin = place.path('bin');
  const record = `printf '%s\\n' "\${0##*/}" "$@" > ${place.dir}/args\nmount -t tmpfs helped "$2"`;
  for (const name of ['mount.fuse', 'mount.fuse3']) script(bin, name, record);
  await withPath(bin, async () => {
    await place.mount({ type: 'fuse3.fuse-overlayfs', source: 'overlay', options: ['lowerdir=/a:/b', 'ro'] });
    assert.deepEqual(readFileSync(join(place.dir, 'args'), 'utf8').trim().split('\n'), [
      'mount.fuse3',
      'overlay',
      place.rootfs,
      '-o',
      'lowerdir=/a:/b',
      '-o',
      'ro',
      '-t',
      'fuse-overlayfs',
    ]);
    assert.equal(place.mounted().length, 1);
    await place.unmounted();
    await place.mount({ type: 'fuse.sshfs', source: 'host:', options: [] });
    assert.deepEqual(readFileSync(join(place.dir, 'args'), 'utf8').trim().split('\n'), [
      'mount.fuse',
      'host:',
      place.rootfs,
      '-t',
      'sshfs',
    ]);
    await place.unmounted();
  });
});

test('a helper that fails is an error with what it said; one that is missing is named', { skip }, async (t) => {
  const place = new Place(t);
  const bin = place.path('bin');
  script(bin, 'mount.fuse3', 'mount -t tmpfs half "$2"; echo cannot >&2; exit 3');
  await withPath(bin, async () => {
    await assert.rejects(place.mount({ type: 'fuse3.x', source: 's', options: ['a=b'] }), {
      message: `failed to mount rootfs component: mount helper [mount.fuse3 s ${place.rootfs} -o a=b -t x] failed: "cannot\\n": exit status 3`,
    });
  });
  place.assertClean();
  const path = process.env.PATH;
  process.env.PATH = bin;
  try {
    await assert.rejects(
      place.mount({ type: 'fuse.x', source: 's' }),
      /mount type fuse\.x takes the program mount\.fuse, which is nowhere in \$PATH; install its package$/,
    );
  } finally {
    process.env.PATH = path;
  }
});

test("what the daemon's mount manager should have taken is refused", { skip }, async (t) => {
  const place = new Place(t);
  for (const one of [
    { type: 'format/mkdir/overlay' },
    { type: 'mkfs/ext4' },
    { type: 'ext4', options: ['X-containerd.dmverity=auto'] },
  ]) {
    await assert.rejects(place.mount(one), /is for the daemon's mount manager, which should have taken it/);
  }
  place.assertClean();
});

test('mounts on one another, and below one another, all go, and a second time is no error', { skip }, async (t) => {
  const place = new Place(t);
  const tmpfs = { type: 'tmpfs', source: 'tmpfs' };
  await place.mount(
    tmpfs,
    tmpfs,
    { ...tmpfs, target: '/a/b' },
    { ...tmpfs, target: '/a/b' },
    { ...tmpfs, target: '/a/b/c d' },
  );
  assert.equal(place.mounted().length, 5);
  await place.unmounted();
  await place.unmounted();
  await unmountRootfs(join(place.dir, 'never-there'));
});

test('a mount that stays in use is an error that says so, unless it may go later', { skip }, async (t) => {
  const place = new Place(t);
  await place.mount({ type: 'tmpfs', source: 'tmpfs' }, { type: 'tmpfs', source: 'tmpfs', target: '/in' });
  const holder = spawn('sleep', ['1000'], { cwd: join(place.rootfs, 'in'), stdio: 'ignore' });
  const ended = new Promise((resolve) => holder.once('exit', resolve));
  try {
    await eventually('it holds the mount', () => statSync(`/proc/${holder.pid}/cwd`).ino > 0);
    await assert.rejects(unmountRootfs(place.rootfs), { code: 'EBUSY', message: `umount2 ${place.rootfs}/in: EBUSY` });
    assert.equal(place.mounted().length, 2);
    await unmountRootfs(place.rootfs, { lazy: true });
    place.assertClean();
  } finally {
    holder.kill('SIGKILL');
    await ended;
  }
});

test('what a shim that was killed had mounted beside the rootfs goes too', { skip }, async (t) => {
  const place = new Place(t);
  await place.mount({ type: 'tmpfs', source: 'tmpfs' });
  const left = place.path('rootfs.lower-abcdef/0');
  await mount('tmpfs', left, 'tmpfs', 0, '');
  const other = place.path('rootfs-of-another');
  await mount('tmpfs', other, 'tmpfs', 0, '');
  await unmountRootfs(place.rootfs);
  assert.deepEqual(
    place.mounted().map(({ point }) => point),
    [other],
  );
  await unmount(other, 0);
});
