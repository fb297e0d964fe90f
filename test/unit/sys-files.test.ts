import assert from 'node:assert/strict';
import {
  closeSync,
  ftruncateSync,
  lstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import {
  getAttribute,
  listAttributes,
  mknod,
  nextData,
  setAttribute,
  setTimes,
  syncFileSystem,
} from '../../src/sys/index.js';

test('files get what Node cannot give them', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'hawser-files-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const file = join(dir, 'file');
  const link = join(dir, 'link');
  writeFileSync(file, '');
  symlinkSync('nowhere', link);
  setTimes(link, { seconds: 1, nanos: 5 }, { seconds: 1_600_000_000, nanos: 123_456_789 });
  assert.equal(lstatSync(link, { bigint: true }).mtimeNs, 1_600_000_000_123_456_789n);
  assert.equal(getAttribute(file, 'user.none'), undefined);
  setAttribute(file, 'user.some', Buffer.from([0, 255]));
  assert.deepEqual(getAttribute(file, 'user.some'), Buffer.from([0, 255]));
  setAttribute(file, 'user.empty', Buffer.alloc(0));
  assert.deepEqual(getAttribute(file, 'user.empty'), Buffer.alloc(0));
  assert.deepEqual(listAttributes(file).sort(), ['user.empty', 'user.some']);
  assert.throws(() => setAttribute(file, 'nonsense', Buffer.from('x')), { code: 'ENOTSUP' });
  mknod(join(dir, 'fifo'), 0o010600, 0, 0);
  assert.ok(statSync(join(dir, 'fifo')).isFIFO());
  if (process.getuid!() === 0) {
    mknod(join(dir, 'null'), 0o020644, 1, 3);
    assert.equal(statSync(join(dir, 'null')).rdev, (1 << 8) | 3);
  }
  assert.throws(() => mknod(file, 0o010600, 0, 0), { code: 'EEXIST' });
  await syncFileSystem(dir);
  await assert.rejects(syncFileSystem(join(dir, 'none')), { code: 'ENOENT' });
});

test('paths and names of attributes are bytes, and none of them has a NUL', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'hawser-files-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const file = Buffer.concat([Buffer.from(`${dir}/`), Buffer.from([0xe4])]);
  mknod(file, 0o100600, 0, 0);
  assert.deepEqual(readdirSync(dir, 'latin1'), ['\xe4']);
  setAttribute(file, 'user.\xe4', Buffer.from('x'));
  setTimes(file, { seconds: 1, nanos: 0 }, { seconds: 2, nanos: 0 });
  assert.deepEqual(
    [listAttributes(file), getAttribute(file, 'user.\xe4'), lstatSync(file).mtimeMs],
    [['user.\xe4'], Buffer.from('x'), 2000],
  );
  assert.throws(() => setAttribute(file, 'user.a\0b', Buffer.alloc(0)), { code: 'EINVAL' });
  assert.throws(() => setAttribute(`${dir}\0x`, 'user.a', Buffer.alloc(0)), { code: 'EINVAL' });
});

test('what is no hole in a file is found', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'hawser-files-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const fd = openSync(join(dir, 'sparse'), 'w+');
  t.after(() => closeSync(fd));
  assert.equal(nextData(fd, 0), undefined);
  ftruncateSync(fd, 3 << 20);
  assert.equal(nextData(fd, 0), undefined);
  writeSync(fd, 'x', 1 << 20);
  const { start, end } = nextData(fd, 0)!;
  assert.ok(start > 0 && start <= 1 << 20 && end > 1 << 20 && end < 2 << 20);
  assert.equal(nextData(fd, end), undefined);
  assert.throws(() => nextData(-1, 0), { code: 'EBADF' });
});
