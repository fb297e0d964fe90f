import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { mount, SysError, unmount } from '../../src/sys/index.js';
import { mountFlags } from '../../src/shim/mount-options.js';
import { leavesNothingOpen, tempDir } from './fixtures/support.js';

/** Some sandboxes let nobody mount. */
const skip = process.getuid!() !== 0 ? 'needs root' : false;

function mountOptions(target: string): string | undefined {
  const line = readFileSync('/proc/self/mountinfo', 'utf8').split('\n').find((text) => text.split(' ')[4] === target);
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
  const target = await tmpfs(t, mountFlags.NOSUID | mountFlags.NODEV | mountFlags.NOEXEC | mountFlags.NOATIME, 'size=64k,mode=701');
  assert.deepEqual(mountOptions(target)!.split(',').sort(), ['noatime', 'nodev', 'noexec', 'nosuid', 'rw']);
  assert.match(readFileSync('/proc/self/mounts', 'utf8').split('\n').find((line) => line.includes(target))!, /size=64k/);
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

test('a relative path in the data is taken from the given directory, and this process stays where it is', { skip }, async (t) => {
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
    await assert.rejects(mount('overlay', target, 'overlay', 0, 'lowerdir=one:two', join(base, 'missing')), { code: 'ENOENT' });
  } finally {
    await unmount(target, 0);
  }
});

test('errors say which call, where and why', { skip }, async (t) => {
  const dir = tempDir(t);
  const missing = join(dir, 'missing');
  await assert.rejects(mount('tmpfs', missing, 'tmpfs', 0, ''), (error) => {
    assert.ok(error instanceof SysError);
    assert.deepEqual([error.code, error.errno, error.syscall, error.message], ['ENOENT', -2, 'mount', `mount ${missing}: ENOENT`]);
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
