import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import {
  attachLoop,
  attachMount,
  cloneMapped,
  makeUserNamespace,
  mount,
  mountApart,
  pageSize,
  SysError,
  unmount,
} from '../../src/sys/index.js';
import { mountFlags } from '../../src/oci/mount-options.js';
import { eventually } from '../support/eventually.js';
import { leavesNothingOpen, tempDir } from './fixtures/support.js';

/** Some sandboxes let nobody mount. */
const skip = process.getuid!() !== 0 ? 'needs root' : false;

function mountOptions(target: string): string | undefined {
  const line = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .find((text) => text.split(' ')[4] === target);
  return line?.split(' ')[5];
}

async function tmpfs(t: TestContext, flags: number, data: string): Promise<string> {
  const target = mkdtempSync(join(tmpdir(), 'hawser-mount-'));
  t.after(async () => {
    if (mountOptions(target) !== undefined) await unmount(target, 0);
    rmdirSync(target);
  });
  await mount('tmpfs', target, 'tmpfs', flags, data);
  return target;
}

test('mounts with flags and data, and unmounts', { skip }, async (t) => {
  const target = await tmpfs(
    t,
    mountFlags.NOSUID | mountFlags.NODEV | mountFlags.NOEXEC | mountFlags.NOATIME,
    'size=64k,mode=701',
  );
  assert.deepEqual(mountOptions(target)!.split(',').sort(), ['noatime', 'nodev', 'noexec', 'nosuid', 'rw']);
  assert.match(
    readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .find((line) => line.includes(target))!,
    /size=64k/,
  );
  await unmount(target, 0);
  assert.equal(mountOptions(target), undefined);
});

test('a read-only mount refuses writes', { skip }, async (t) => {
  const target = await tmpfs(t, mountFlags.RDONLY, '');
  assert.throws(() => writeFileSync(join(target, 'x'), ''), { code: 'EROFS' });
});

test('without options of a kind, no flag is set', { skip }, async (t) => {
  const target = await tmpfs(t, 0, '');
  assert.deepEqual(mountOptions(target)!.split(',').sort(), ['relatime', 'rw']);
});

test(
  'a relative path in the data is taken from the given directory, and this process stays where it is',
  { skip },
  async (t) => {
    const base = await tmpfs(t, 0, '');
    const target = join(base, 'merged');
    for (const name of ['one', 'two', 'merged']) mkdirSync(join(base, name));
    writeFileSync(join(base, 'one', 'a'), '');
    writeFileSync(join(base, 'two', 'b'), '');
    const before = process.cwd();
    await mount('overlay', target, 'overlay', mountFlags.RDONLY, 'lowerdir=one:two', base);
    try {
      assert.deepEqual(readdirSync(target).sort(), ['a', 'b']);
      assert.equal(process.cwd(), before);
      await assert.rejects(mount('overlay', target, 'overlay', 0, 'lowerdir=one:two'), { code: 'ENOENT' });
      await assert.rejects(mount('overlay', target, 'overlay', 0, 'lowerdir=one:two', join(base, 'missing')), {
        code: 'ENOENT',
      });
    } finally {
      await unmount(target, 0);
    }
  },
);

test('a mount that nobody else sees is there by its descriptor alone', { skip }, async (t) => {
  const base = await tmpfs(t, 0, '');
  for (const name of ['one', 'two']) mkdirSync(join(base, name));
  writeFileSync(join(base, 'one', 'a'), 'in one');
  const mounts = (): string[] =>
    readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .filter((line) => line.includes(base) || line.includes(' /proc ') || line.includes('lowerdir=one'));
  const before = mounts();
  const overlay = await mountApart('overlay', 'overlay', mountFlags.RDONLY, 'lowerdir=one:two', base);
  const bound = await mountApart(join(base, 'one'), '', mountFlags.BIND | mountFlags.RDONLY, '');
  assert.deepEqual(mounts(), before);
  for (const fd of [overlay, bound]) {
    assert.equal(readFileSync(`/proc/self/fd/${fd}/a`, 'utf8'), 'in one');
    assert.throws(() => writeFileSync(`/proc/self/fd/${fd}/a`, ''), { code: 'EROFS' });
    closeSync(fd);
  }
  await assert.rejects(mountApart('overlay', 'overlay', 0, 'lowerdir=/missing'), { code: 'ENOENT', syscall: 'mount' });
  assert.deepEqual(mounts(), before);
  // What is read-only there is not so here; and its file system is free again when the descriptors are closed.
  writeFileSync(join(base, 'one', 'a'), 'written');
});

test('errors say which call, where and why', { skip }, async (t) => {
  const dir = tempDir(t);
  const missing = join(dir, 'missing');
  await assert.rejects(mount('tmpfs', missing, 'tmpfs', 0, ''), (error) => {
    assert.ok(error instanceof SysError);
    assert.deepEqual(
      [error.code, error.errno, error.syscall, error.message],
      ['ENOENT', -2, 'mount', `mount ${missing}: ENOENT`],
    );
    return true;
  });
  await assert.rejects(mount('x', dir, 'nosuchfs', 0, ''), { code: 'ENODEV', syscall: 'mount' });
  await assert.rejects(mount('tmpfs', dir, 'tmpfs', 0, 'nonsense=1'), { code: 'EINVAL' });
  await assert.rejects(unmount(dir, 0), { code: 'EINVAL', syscall: 'umount2', message: `umount2 ${dir}: EINVAL` });
  await assert.rejects(unmount(missing, 0), { code: 'ENOENT' });
});

test('several at once', { skip }, async (t) => {
  const base = await tmpfs(t, 0, '');
  const targets = Array.from({ length: 12 }, (_, index) => join(base, String(index)));
  for (const target of targets) mkdirSync(target);
  await Promise.all(targets.map((target) => mount('tmpfs', target, 'tmpfs', 0, '')));
  assert.ok(targets.every((target) => mountOptions(target) !== undefined));
  await Promise.all(targets.map((target) => unmount(target, 0)));
  assert.ok(targets.every((target) => mountOptions(target) === undefined));
});

test('nothing stays open', { skip }, (t) => {
  const dir = tempDir(t);
  return leavesNothingOpen(async () => {
    await mount('tmpfs', dir, 'tmpfs', 0, '');
    await unmount(dir, 0);
    await assert.rejects(unmount(dir, 0));
  });
});

/** What a loop device is tied to, by sysfs; undefined for a free one. */
function backingFile(device: string): string | undefined {
  const file = `/sys/block/${device.slice('/dev/'.length)}/loop/backing_file`;
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined;
}

function image(t: TestContext): string {
  const file = join(tempDir(t), 'image');
  writeFileSync(file, '');
  truncateSync(file, 4 << 20);
  execFileSync('/sbin/mke2fs', ['-q', '-F', '-t', 'ext4', file], { stdio: 'ignore' });
  return file;
}

test('a file becomes a block device, until nobody has it open', { skip }, async (t) => {
  const file = image(t);
  const fd = await attachLoop(file);
  const device = readlinkSync(`/proc/self/fd/${fd}`);
  assert.match(device, /^\/dev\/loop\d+$/);
  assert.equal(backingFile(device), file);
  closeSync(fd);
  await eventually('the device is free', () => backingFile(device) !== file);
});

test('a loop device that is mounted outlives its descriptor, and goes with the mount', { skip }, async (t) => {
  const file = image(t);
  const target = join(tempDir(t), 'mnt');
  mkdirSync(target);
  const fd = await attachLoop(file, { readOnly: true });
  const device = readlinkSync(`/proc/self/fd/${fd}`);
  assert.equal(readFileSync(`/sys/block/${device.slice(5)}/ro`, 'utf8').trim(), '1');
  await mount(device, target, 'ext4', mountFlags.RDONLY, '');
  closeSync(fd);
  try {
    assert.ok(readdirSync(target).includes('lost+found'));
    assert.equal(backingFile(device), file);
  } finally {
    await unmount(target, 0);
  }
  await eventually('the device is free', () => backingFile(device) !== file);
});

test(
  'a loop device for no file, or none that can be one, is an error that names it, and leaves nothing',
  { skip },
  async (t) => {
    const dir = tempDir(t);
    await assert.rejects(attachLoop(join(dir, 'missing')), {
      code: 'ENOENT',
      message: `loop device for ${join(dir, 'missing')}: ENOENT`,
    });
    await assert.rejects(attachLoop(dir), { code: 'EISDIR' });
    const tied = (): string[] =>
      readdirSync('/sys/block').filter(
        (name) => name.startsWith('loop') && (backingFile(`/dev/${name}`) ?? '').startsWith(dir),
      );
    assert.deepEqual(tied(), []);
  },
);

test('many loop devices at once are different ones', { skip }, async (t) => {
  const file = image(t);
  const attach = async (): Promise<number> => {
    for (;;) {
      try {
        return await attachLoop(file, { readOnly: true });
      } catch (error) {
        if ((error as SysError).code !== 'EBUSY') throw error;
      }
    }
  };
  const fds = await Promise.all(Array.from({ length: 6 }, attach));
  try {
    assert.equal(new Set(fds.map((fd) => readlinkSync(`/proc/self/fd/${fd}`))).size, 6);
  } finally {
    for (const fd of fds) closeSync(fd);
  }
});

test('a user namespace has the maps it is given, and no process', { skip }, async () => {
  const fd = await makeUserNamespace('0 100000 1000\n2000 5000 1\n', '0 200000 1000\n');
  try {
    assert.match(readlinkSync(`/proc/self/fd/${fd}`), /^user:\[\d+\]$/);
    assert.notEqual(readlinkSync(`/proc/self/fd/${fd}`), readlinkSync('/proc/self/ns/user'));
    const maps = execFileSync(
      'nsenter',
      ['--user=/proc/self/fd/3', 'cat', '/proc/self/uid_map', '/proc/self/gid_map'],
      { stdio: ['ignore', 'pipe', 'inherit', fd], encoding: 'utf8' },
    );
    assert.deepEqual(
      maps
        .trim()
        .split('\n')
        .map((line) => line.trim().split(/\s+/)),
      [
        ['0', '100000', '1000'],
        ['2000', '5000', '1'],
        ['0', '200000', '1000'],
      ],
    );
  } finally {
    closeSync(fd);
  }
  await assert.rejects(makeUserNamespace('nonsense\n', '0 0 1\n'), { code: 'EINVAL', syscall: 'user namespace' });
});

test('a mount seen through a map has other owners; the files keep theirs', { skip }, async (t) => {
  const base = await tmpfs(t, 0, '');
  const [source, target] = [join(base, 'source'), join(base, 'target')];
  for (const path of [source, target]) mkdirSync(path);
  writeFileSync(join(source, 'root'), '');
  writeFileSync(join(source, 'seven'), '');
  chownSync(join(source, 'seven'), 7, 8);
  const userns = await makeUserNamespace('0 100000 1000\n', '0 200000 1000\n');
  const tree = await cloneMapped(source, userns, { readOnly: true });
  await attachMount(tree, target);
  closeSync(tree);
  closeSync(userns);
  try {
    const owners = (path: string): number[] => [statSync(path).uid, statSync(path).gid];
    assert.deepEqual(owners(join(target, 'root')), [100_000, 200_000]);
    assert.deepEqual(owners(join(target, 'seven')), [100_007, 200_008]);
    assert.deepEqual(owners(join(source, 'seven')), [7, 8]);
    assert.throws(() => writeFileSync(join(target, 'x'), ''), { code: 'EROFS' });
  } finally {
    await unmount(target, 0);
  }
});

test('what cannot be mapped is an error, and nothing stays open', { skip }, () =>
  leavesNothingOpen(async () => {
    const userns = await makeUserNamespace('0 100000 1000\n', '0 200000 1000\n');
    try {
      await assert.rejects(cloneMapped('/proc', userns), {
        code: 'EINVAL',
        syscall: 'mount_setattr',
        message: 'mount_setattr /proc: EINVAL',
      });
      await assert.rejects(cloneMapped('/nowhere', userns), { code: 'ENOENT' });
      await assert.rejects(attachMount(userns, '/tmp'), { syscall: 'move_mount' });
    } finally {
      closeSync(userns);
    }
  }),
);

test('the size of a page is the kernel’s', () => {
  assert.equal(pageSize(), Number(execFileSync('getconf', ['PAGESIZE'], { encoding: 'utf8' })));
});
