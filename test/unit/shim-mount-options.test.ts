import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseOptions } from '../../src/shim/mount-options.js';

// Flags of mount(2), from linux/mount.h.
const RDONLY = 0x1, NOSUID = 0x2, NODEV = 0x4, NOEXEC = 0x8, SYNC = 0x10, REMOUNT = 0x20, MANDLOCK = 0x40, DIRSYNC = 0x80, NOATIME = 0x400,
  NODIRATIME = 0x800, BIND = 0x1000, REC = 0x4000, RELATIME = 0x200000, STRICTATIME = 0x1000000;

// The contract's table (§6.7): a word, what it sets, what it clears.
const table: [string, number, number][] = [
  ['async', 0, SYNC], ['atime', 0, NOATIME], ['bind', BIND, 0], ['dev', 0, NODEV], ['diratime', 0, NODIRATIME], ['dirsync', DIRSYNC, 0],
  ['exec', 0, NOEXEC], ['mand', MANDLOCK, 0], ['noatime', NOATIME, 0], ['nodev', NODEV, 0], ['nodiratime', NODIRATIME, 0], ['noexec', NOEXEC, 0],
  ['nomand', 0, MANDLOCK], ['norelatime', 0, RELATIME], ['nostrictatime', 0, STRICTATIME], ['nosuid', NOSUID, 0], ['rbind', BIND | REC, 0],
  ['relatime', RELATIME, 0], ['remount', REMOUNT, 0], ['ro', RDONLY, 0], ['rw', 0, RDONLY], ['strictatime', STRICTATIME, 0], ['suid', 0, NOSUID],
  ['sync', SYNC, 0],
];

const ALL = ['bind', 'dirsync', 'mand', 'noatime', 'nodev', 'nodiratime', 'noexec', 'nosuid', 'rbind', 'relatime', 'remount', 'ro', 'strictatime', 'sync'];
const ALL_FLAGS = table.reduce((all, [, sets]) => all | sets, 0);

for (const [word, sets, clears] of table) {
  test(`option ${word}`, () => {
    assert.deepEqual(parseOptions([word]), { set: sets, data: [] });
    assert.deepEqual(parseOptions([...ALL, word]), { set: ALL_FLAGS & ~clears, data: [] });
  });
}

test('the last of two that contradict each other wins', () => {
  assert.equal(parseOptions(['ro', 'rw']).set, 0);
  assert.equal(parseOptions(['rw', 'ro']).set, RDONLY);
  assert.equal(parseOptions(['rbind', 'ro', 'nosuid', 'suid']).set, BIND | REC | RDONLY);
});

test('everything else goes to the file system, in order', () => {
  assert.deepEqual(parseOptions(['lowerdir=/a:/b', 'ro', 'upperdir=/c', 'workdir=/d', 'index=off']),
    { set: RDONLY, data: ['lowerdir=/a:/b', 'upperdir=/c', 'workdir=/d', 'index=off'] });
  assert.deepEqual(parseOptions([]), { set: 0, data: [] });
});

test('propagation, defaults and words in another case are no flags', () => {
  const words = ['rprivate', 'private', 'rshared', 'shared', 'slave', 'rslave', 'defaults', 'RO', 'ro=1', 'constructor', '__proto__', ''];
  assert.deepEqual(parseOptions(words), { set: 0, data: words });
});

test('what needs more than mount(2) is refused by name', () => {
  for (const option of ['loop', 'uidmap=0:1000:1', 'gidmap=0:1000:1', 'X-containerd.mkfs.fs=ext4']) {
    assert.throws(() => parseOptions(['ro', option]), { message: `mount option ${option} is not supported` });
  }
});
