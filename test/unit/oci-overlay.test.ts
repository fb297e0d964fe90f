import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { fitLowers, PAGE, splitLowers } from '../../src/oci/overlay.js';
import { mount, unmount } from '../../src/sys/index.js';
import { tempDir } from './fixtures/support.js';

const skip = process.getuid!() !== 0 ? 'needs root' : false;

/** What the data comes to, and what is there while mounting; `end` undoes it. */
function fit(
  t: TestContext,
  data: string[],
): { cwd: string | undefined; data: string[]; end: () => void; scratch: string } {
  const scratch = tempDir(t);
  const undo: (() => void)[] = [];
  return {
    cwd: undefined,
    ...fitLowers(data, join(scratch, 'x-'), undo),
    scratch,
    end: () => undo.reverse().forEach((work) => work()),
  };
}

const layers = (n: number, path: (n: number) => string): string[] => Array.from({ length: n }, (_, k) => path(k));

test('layers are told apart at colons, not at escaped ones, and what stands between is kept', () => {
  const { at, dirs, join: joined } = splitLowers(['upperdir=/u', 'lowerdir=/a:/b\\:c:/d::/data', 'x']);
  assert.equal(at, 1);
  assert.deepEqual(dirs, ['/a', '/b\\:c', '/d', '/data']);
  assert.deepEqual(joined(['0', '1', '2', '3']), ['upperdir=/u', 'lowerdir=0:1:2::3', 'x']);
  assert.deepEqual(splitLowers(['ro']).dirs, []);
});

test('what is short stays as it is', (t) => {
  const data = [`lowerdir=${layers(20, (n) => `/var/lib/x/snapshots/${n}/fs`).join(':')}`, 'upperdir=/u', 'workdir=/w'];
  const { cwd, data: fitted, scratch } = fit(t, data);
  assert.deepEqual({ cwd, fitted }, { cwd: undefined, fitted: data });
  assert.deepEqual(readdirSync(scratch), []);
});

test('what is long is named from the common parent', (t) => {
  const dirs = layers(120, (n) => `/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/${n}/fs`);
  const { cwd, data, scratch } = fit(t, ['index=off', `lowerdir=${dirs.join(':')}`, 'upperdir=/u']);
  assert.equal(cwd, '/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots');
  assert.deepEqual(data, ['index=off', `lowerdir=${layers(120, (n) => `${n}/fs`).join(':')}`, 'upperdir=/u']);
  assert.deepEqual(readdirSync(scratch), []);
});

test('a layer that is the common parent of others is named from above it', (t) => {
  const long = 'x'.repeat(200);
  const { cwd, data } = fit(t, [`lowerdir=${['/a/b', ...layers(30, (n) => `/a/b/${long}${n}`)].join(':')}`]);
  if (data[0]!.includes(long)) assert.equal(cwd, '/a');
  else assert.ok(data.join(',').length < PAGE);
});

test('two slashes at the parent do not make a name absolute', (t) => {
  const long = 'x'.repeat(1000);
  const { cwd, data } = fit(t, [`lowerdir=/${long}/a:/${long}//b:/${long}/c:/${long}/d`]);
  assert.equal(cwd, `/${long}`);
  assert.equal(data[0], 'lowerdir=a:b:c:d');
});

test('layers with nothing in common are named by links, which go when all is done', (t) => {
  const dirs = layers(400, (n) => `/root-${n % 7}/${'deep/'.repeat(30)}${n}`);
  const { cwd, data, end, scratch } = fit(t, [`lowerdir=${dirs.join(':')}`, 'userxattr']);
  assert.deepEqual(data, [`lowerdir=${layers(400, String).join(':')}`, 'userxattr']);
  assert.ok(data.join(',').length < PAGE);
  assert.equal(readdirSync(cwd!).length, 400);
  end();
  assert.deepEqual(readdirSync(scratch), []);
});

test('layers whose common parent does not shorten them enough are named by links too', (t) => {
  const { data } = fit(t, [`lowerdir=${layers(100, (n) => `/a/b/${String(n).padStart(60, 'x')}/fs`).join(':')}`]);
  assert.deepEqual(data, [`lowerdir=${layers(100, String).join(':')}`]);
});

test('names that are not absolute, or one alone, are left to the kernel', (t) => {
  const relative = [`lowerdir=${layers(300, (n) => `some/where/${n}`).join(':')}`];
  assert.deepEqual(fit(t, relative).data, relative);
  const one = [`lowerdir=/${'x'.repeat(5000)}`];
  assert.deepEqual(fit(t, one).data, one);
});

test(
  'an overlay by links shows every layer, with colons in their names too, and lives on without the links',
  { skip },
  async (t) => {
    const dir = tempDir(t);
    const dirs = layers(60, (n) => join(dir, 'layers', 'a:b', 'x'.repeat(90), `${n}`));
    for (const [n, layer] of dirs.entries()) {
      mkdirSync(layer, { recursive: true });
      writeFileSync(join(layer, `file-${n}`), '');
    }
    const data = [`lowerdir=${dirs.map((layer) => layer.replaceAll(':', '\\:')).join(':')}`];
    const undo: (() => void)[] = [];
    const lowers = fitLowers(data, join(dir, 'scratch-'), undo);
    const target = join(dir, 'merged');
    mkdirSync(target);
    await mount('overlay', target, 'overlay', 0, lowers.data.join(','), lowers.cwd);
    try {
      for (const work of undo.reverse()) work();
      assert.deepEqual(readdirSync(dir).sort(), ['layers', 'merged']);
      assert.equal(readdirSync(target).length, 60);
      assert.equal(readFileSync(join(target, 'file-59'), 'utf8'), '');
    } finally {
      await unmount(target, 0);
    }
    assert.ok(!existsSync(join(target, 'file-0')));
    rmSync(target, { recursive: true });
  },
);
