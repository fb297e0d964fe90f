import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flagsOf, mountFlags, parseOptions } from '../../src/oci/mount-options.js';

// Flags of mount(2), from linux/mount.h.
const RDONLY = 0x1,
  NOSUID = 0x2,
  NODEV = 0x4,
  NOEXEC = 0x8,
  SYNC = 0x10,
  REMOUNT = 0x20,
  MANDLOCK = 0x40,
  DIRSYNC = 0x80,
  NOATIME = 0x400,
  NODIRATIME = 0x800,
  BIND = 0x1000,
  REC = 0x4000,
  RELATIME = 0x200000,
  STRICTATIME = 0x1000000;

// The contract's table (§6.7): a word, what it sets, what it clears.
const table: [string, number, number][] = [
  ['async', 0, SYNC],
  ['atime', 0, NOATIME],
  ['bind', BIND, 0],
  ['dev', 0, NODEV],
  ['diratime', 0, NODIRATIME],
  ['dirsync', DIRSYNC, 0],
  ['exec', 0, NOEXEC],
  ['mand', MANDLOCK, 0],
  ['noatime', NOATIME, 0],
  ['nodev', NODEV, 0],
  ['nodiratime', NODIRATIME, 0],
  ['noexec', NOEXEC, 0],
  ['nomand', 0, MANDLOCK],
  ['norelatime', 0, RELATIME],
  ['nostrictatime', 0, STRICTATIME],
  ['nosuid', NOSUID, 0],
  ['rbind', BIND | REC, 0],
  ['relatime', RELATIME, 0],
  ['remount', REMOUNT, 0],
  ['ro', RDONLY, 0],
  ['rw', 0, RDONLY],
  ['strictatime', STRICTATIME, 0],
  ['suid', 0, NOSUID],
  ['sync', SYNC, 0],
];

const ALL = [
  'bind',
  'dirsync',
  'mand',
  'noatime',
  'nodev',
  'nodiratime',
  'noexec',
  'nosuid',
  'rbind',
  'relatime',
  'remount',
  'ro',
  'strictatime',
  'sync',
];
const NOTHING = { set: 0, propagation: [], data: [], loop: false, directIo: false };
const ALL_FLAGS = table.reduce((all, [, sets]) => all | sets, 0);

for (const [word, sets, clears] of table) {
  test(`option ${word}`, () => {
    assert.deepEqual(parseOptions([word]), { ...NOTHING, set: sets });
    assert.deepEqual(parseOptions([...ALL, word]), { ...NOTHING, set: ALL_FLAGS & ~clears });
  });
}

test('the last of two that contradict each other wins', () => {
  assert.equal(parseOptions(['ro', 'rw']).set, 0);
  assert.equal(parseOptions(['rw', 'ro']).set, RDONLY);
  assert.equal(parseOptions(['rbind', 'ro', 'nosuid', 'suid']).set, BIND | REC | RDONLY);
});

test('everything else goes to the file system, in order', () => {
  assert.deepEqual(parseOptions(['lowerdir=/a:/b', 'ro', 'upperdir=/c', 'workdir=/d', 'index=off']), {
    ...NOTHING,
    set: RDONLY,
    data: ['lowerdir=/a:/b', 'upperdir=/c', 'workdir=/d', 'index=off'],
  });
  assert.deepEqual(parseOptions([]), NOTHING);
});

test("words in another case, with values, and other programs' own words are no flags", () => {
  const words = ['RO', 'ro=1', 'constructor', '__proto__', '', 'Private', 'loop=/dev/loop0', 'direct-io'];
  assert.deepEqual(parseOptions(words), { ...NOTHING, data: words });
});

test('the defaults are the defaults', () => {
  assert.deepEqual(parseOptions(['defaults']), NOTHING);
  assert.deepEqual(parseOptions(['ro', 'defaults']), { ...NOTHING, set: RDONLY });
});

test('propagation is apart from the other flags, in order', () => {
  const [UNBINDABLE, PRIVATE, SLAVE, SHARED] = [0x20000, 0x40000, 0x80000, 0x100000];
  const each: [string, number][] = [
    ['private', PRIVATE],
    ['rprivate', PRIVATE | REC],
    ['shared', SHARED],
    ['rshared', SHARED | REC],
    ['slave', SLAVE],
    ['rslave', SLAVE | REC],
    ['unbindable', UNBINDABLE],
    ['runbindable', UNBINDABLE | REC],
  ];
  for (const [word, flag] of each)
    assert.deepEqual(parseOptions(['bind', word]), { ...NOTHING, set: BIND, propagation: [flag] });
  assert.deepEqual(parseOptions(['slave', 'rbind', 'shared']), {
    ...NOTHING,
    set: BIND | REC,
    propagation: [SLAVE, SHARED],
  });
});

test('a loop device, and whether it passes by the cache', () => {
  assert.deepEqual(parseOptions(['loop', 'ro', 'noload']), { ...NOTHING, set: RDONLY, data: ['noload'], loop: true });
  assert.deepEqual(parseOptions(['direct-io', 'loop']), { ...NOTHING, loop: true, directIo: true });
});

test('maps of owners, both or none', () => {
  assert.deepEqual(parseOptions(['uidmap=0:1000:1', 'gidmap=0:2000:1,5:6:7', 'bind']).mapped, {
    uids: '0:1000:1',
    gids: '0:2000:1,5:6:7',
  });
  for (const option of ['uidmap=0:1000:1', 'gidmap=0:1000:1']) {
    assert.throws(() => parseOptions([option]), {
      message: 'mount options uidmap= and gidmap= go together: one of them is missing',
    });
  }
});

test('what the daemon should have taken is refused by name', () => {
  assert.throws(
    () => parseOptions(['ro', 'X-containerd.mkfs.fs=ext4']),
    /^Error: mount option X-containerd\.mkfs\.fs=ext4 is for the daemon's mount manager/,
  );
});

test('the flags of a mount that is there', () => {
  assert.equal(flagsOf('rw,nosuid,nodev,noexec,relatime'), NOSUID | NODEV | NOEXEC | RELATIME);
  assert.equal(flagsOf('ro,noatime,idmapped'), RDONLY | NOATIME);
  assert.equal(flagsOf(''), 0);
  assert.equal(mountFlags.RELATIME, RELATIME);
});
