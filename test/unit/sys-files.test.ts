import assert from 'node:assert/strict';
import { lstatSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { getAttribute, listAttributes, mknod, setAttribute, setTimes, syncFileSystem } from '../../src/sys/index.js';

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
