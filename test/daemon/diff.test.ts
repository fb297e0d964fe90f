/** Layers unpacked and made, on real file systems. Needs root. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { OverlayDriver } from '../../src/daemon/snapshots/overlay.js';
import { NativeDriver } from '../../src/daemon/snapshots/native.js';
import { Snapshots } from '../../src/daemon/snapshots/store.js';
import { WalkingDiffer } from '../../src/daemon/diff/walking.js';
import { withMounts } from '../../src/oci/temporary-mounts.js';
import { encodeHeader, END, padding, type Header } from '../../src/oci/tar-writer.js';
import { fromBytes, type ByteString } from '../../src/sys/byte-string.js';
import { getAttribute, setAttribute } from '../../src/sys/index.js';
import { mountsBelow } from '../support/daemons.js';
import { openRecords, recorder, workDirectory } from '../support/records.js';

/** Names as text, or as the bytes that they are. */
interface Part extends Partial<Omit<Header, 'name' | 'linkname' | 'attributes'>> {
  name: string | Buffer;
  linkname?: string | Buffer;
  attributes?: Map<string, Buffer>;
  data?: string;
}

const nameOf = (name: string | Buffer): ByteString => fromBytes(Buffer.from(name));

function layer(...parts: Part[]): Buffer {
  return Buffer.concat([
    ...parts.flatMap(({ data = '', name, linkname = '', attributes = new Map<string, Buffer>(), ...part }) => [
      encodeHeader({
        type: 'file',
        mode: 0o644,
        uid: 0,
        gid: 0,
        size: data.length,
        modified: { seconds: 1_600_000_000, nanos: 0 },
        ...part,
        name: nameOf(name),
        linkname: nameOf(linkname),
        attributes: new Map([...attributes].map(([key, value]) => [nameOf(key), value])),
      }),
      Buffer.from(data),
      padding(data.length),
    ]),
    END,
  ]);
}

async function setUp(t: TestContext, name: 'overlayfs' | 'native') {
  const dir = workDirectory();
  const records = openRecords(t, dir);
  const driver = name === 'native' ? new NativeDriver(join(dir, name)) : await OverlayDriver.open(join(dir, name));
  const snapshots = new Snapshots(name, driver, { ...records, publish: recorder().publish, changed: () => undefined });
  const warnings: string[] = [];
  const differ = new WalkingDiffer(records.content, {
    warn: (...args: unknown[]) => void warnings.push(String(args.at(-1))),
  });
  t.after(() => assert.deepEqual(mountsBelow(dir), []));
  /** Unpacks layers one on another; gives the mounts of one on top to write to. */
  const unpack = async (...layers: Buffer[]) => {
    let parent = '';
    for (const [n, data] of layers.entries()) {
      const { digest } = await records.content.put('ns', `layer${n}`, data);
      const key = `extract${n}`;
      await differ.apply('ns', { digest, size: data.length }, await snapshots.prepare('ns', key, parent, {}));
      await snapshots.commit('ns', `layer${n}`, key, {});
      parent = `layer${n}`;
    }
    return snapshots.prepare('ns', 'top', parent, {});
  };
  return { dir, ...records, snapshots, differ, warnings, unpack };
}

for (const name of ['overlayfs', 'native'] as const) {
  test(`${name}: files come out of a layer with all that they have`, async (t) => {
    const { unpack } = await setUp(t, name);
    const mounts = await unpack(
      layer(
        { name: './', type: 'directory', mode: 0o711 },
        { name: 'bin/', type: 'directory', mode: 0o1777, modified: { seconds: 1_500_000_000, nanos: 0 } },
        {
          name: 'bin/su',
          mode: 0o4755,
          uid: 5,
          gid: 6,
          data: 'set-id',
          modified: { seconds: 1_500_000_001, nanos: 123_456_789 },
        },
        {
          name: 'bin/ping',
          data: 'x',
          attributes: new Map([
            ['security.capability', Buffer.from('0100000200200000000000000000000000000000', 'hex')],
            ['user.test', Buffer.from([0, 255])],
          ]),
          uid: 7,
        },
        { name: 'bin/hard', type: 'link', linkname: 'bin/su' },
        { name: '/bin/soft', type: 'symlink', linkname: '/etc/nowhere', uid: 9, modified: { seconds: 1, nanos: 0 } },
        { name: 'dev/null', type: 'character', mode: 0o666, major: 1, minor: 3 },
        { name: 'dev/pipe', type: 'fifo', mode: 0o600 },
        { name: `${'d'.repeat(90)}/${'f'.repeat(120)}`, data: 'long' },
      ),
    );
    await withMounts(mounts, async (root) => {
      const stat = (path: string) => lstatSync(join(root, path), { bigint: true });
      assert.equal(Number(stat('.').mode & 0o7777n), 0o711);
      assert.equal(Number(stat('bin').mode & 0o7777n), 0o1777);
      assert.equal(stat('bin').mtimeNs, 1_500_000_000n * 10n ** 9n);
      assert.deepEqual(
        [Number(stat('bin/su').mode & 0o7777n), stat('bin/su').uid, stat('bin/su').gid, stat('bin/su').nlink],
        [0o4755, 5n, 6n, 2n],
      );
      assert.equal(stat('bin/su').mtimeNs, 1_500_000_001_123_456_789n);
      assert.equal(
        getAttribute(join(root, 'bin/ping'), 'security.capability')!.toString('hex'),
        '0100000200200000000000000000000000000000',
      );
      assert.deepEqual(getAttribute(join(root, 'bin/ping'), 'user.test'), Buffer.from([0, 255]));
      assert.equal(readlinkSync(join(root, 'bin/soft')), '/etc/nowhere');
      assert.deepEqual([stat('bin/soft').uid, stat('bin/soft').mtimeNs], [9n, 10n ** 9n]);
      assert.deepEqual(
        [stat('dev/null').isCharacterDevice(), stat('dev/null').rdev, Number(stat('dev/null').mode & 0o777n)],
        [true, 0x103n, 0o666],
      );
      assert.ok(stat('dev/pipe').isFIFO());
      assert.equal(readFileSync(join(root, `${'d'.repeat(90)}/${'f'.repeat(120)}`), 'utf8'), 'long');
      await Promise.resolve();
    });
  });

  test(`${name}: layers delete and replace what is below them`, async (t) => {
    const { unpack } = await setUp(t, name);
    const mounts = await unpack(
      layer(
        { name: 'gone', data: 'x' },
        { name: 'dir', type: 'directory', mode: 0o700, uid: 3 },
        { name: 'dir/old', data: 'x' },
        { name: 'dir/deep/old', data: 'x' },
        { name: 'opaque/old', data: 'x' },
        { name: 'file', data: 'file' },
        { name: 'tree/inner', data: 'x' },
        { name: 'kept/file', data: 'x' },
        { name: 'anew/old', data: 'x' },
      ),
      layer(
        { name: '.wh.gone' },
        { name: 'dir/.wh.old' },
        { name: 'dir/new', data: 'new' },
        { name: 'opaque/', type: 'directory', mode: 0o755 },
        { name: 'opaque/new', data: 'n' },
        { name: 'opaque/.wh..wh..opq' },
        { name: 'file/', type: 'directory', mode: 0o755 },
        { name: 'file/below', data: 'b' },
        { name: 'tree', data: 'now a file' },
        { name: 'both', data: 'made' },
        { name: '.wh.both' },
        { name: '.wh..wh.aufs', data: '' },
        { name: '.wh.anew' },
        { name: 'anew', type: 'directory', mode: 0o755 },
      ),
    );
    await withMounts(mounts, async (root) => {
      assert.deepEqual(readdirSync(root).sort(), ['anew', 'both', 'dir', 'file', 'kept', 'opaque', 'tree']);
      assert.deepEqual(readdirSync(join(root, 'dir')).sort(), ['deep', 'new']);
      assert.deepEqual(
        [lstatSync(join(root, 'dir')).uid, lstatSync(join(root, 'dir')).mode & 0o777],
        [3, 0o700],
        'a directory only passed through stays as it was',
      );
      assert.deepEqual(readdirSync(join(root, 'opaque')), ['new']);
      assert.deepEqual(readdirSync(join(root, 'file')), ['below']);
      assert.deepEqual(readdirSync(join(root, 'anew')), []);
      assert.equal(readFileSync(join(root, 'tree'), 'utf8'), 'now a file');
      await Promise.resolve();
    });
  });

  test(`${name}: what differs between two snapshots is a layer that makes the one from the other`, async (t) => {
    const { unpack, snapshots, differ, content } = await setUp(t, name);
    const base = layer(
      { name: 'a', data: 'a' },
      { name: 'dir/b', data: 'b' },
      { name: 'dir/c', data: 'c' },
      { name: 'same/x', data: 'x' },
      { name: 'turn', data: 'file' },
    );
    const mounts = await unpack(base);
    await withMounts(mounts, async (root) => {
      execFileSync(
        'sh',
        [
          '-c',
          'echo changed >a; rm dir/b; mkdir new; echo n >new/n; ln new/n new/hard; ln -s x new/soft; chmod 4711 dir/c; rm turn; mkdir turn; mknod new/dev c 1 5; mkfifo new/pipe',
        ],
        { cwd: root },
      );
      setAttribute(join(root, 'new/n'), 'user.test', Buffer.from([1, 0]));
      await Promise.resolve();
    });
    const lower = await snapshots.view('ns', 'lower', 'layer0', {});
    const diff = await differ.compare('ns', lower, mounts, { labels: { 'containerd.io/gc.root': 'x' } });
    assert.equal(diff.mediaType, 'application/vnd.oci.image.layer.v1.tar+gzip');
    assert.ok(content.info('ns', diff.digest!).labels!['containerd.io/uncompressed']);
    const list = execFileSync('tar', ['-tzf', '-'], { input: await blobOf(content, diff.digest!) })
      .toString()
      .split('\n')
      .filter(Boolean);
    assert.deepEqual(
      list.filter((entry) => !entry.startsWith('new/')).sort(),
      ['a', 'dir/', 'dir/.wh.b', 'dir/c', 'turn/'].sort(),
    );
    const target = await snapshots.prepare('ns', 'target', 'layer0', {});
    const applied = await differ.apply('ns', diff, target);
    assert.equal(applied.digest, content.info('ns', diff.digest!).labels!['containerd.io/uncompressed']);
    await withMounts(target, async (root) => {
      assert.equal(readFileSync(join(root, 'a'), 'utf8'), 'changed\n');
      assert.deepEqual(readdirSync(join(root, 'dir')), ['c']);
      assert.equal(lstatSync(join(root, 'dir/c')).mode & 0o7777, 0o4711);
      assert.equal(lstatSync(join(root, 'new/n')).ino, lstatSync(join(root, 'new/hard')).ino);
      assert.deepEqual(getAttribute(join(root, 'new/n'), 'user.test'), Buffer.from([1, 0]));
      assert.ok(lstatSync(join(root, 'new/dev')).isCharacterDevice() && lstatSync(join(root, 'new/pipe')).isFIFO());
      assert.ok(lstatSync(join(root, 'turn')).isDirectory());
      await Promise.resolve();
    });
    const nothing = await differ.compare('ns', mounts, target, { mediaType: 'application/vnd.oci.image.layer.v1.tar' });
    assert.equal(Number(nothing.size), 1024, 'and then nothing differs');
    await assert.rejects(differ.compare('ns', lower, mounts, { mediaType: 'text/plain' }), {
      message: 'unsupported diff media type: text/plain: not implemented',
    });
  });
}

async function blobOf(
  content: {
    open(
      namespace: string,
      digest: string,
    ): Promise<{ size: number; read(at: number, length: number): Promise<Uint8Array>; close(): Promise<void> }>;
  },
  digest: string,
): Promise<Buffer> {
  const blob = await content.open('ns', digest);
  const data = await blob.read(0, blob.size);
  await blob.close();
  return Buffer.from(data);
}

test('a layer cannot write outside of its root', async (t) => {
  const { unpack, dir, differ, content, snapshots } = await setUp(t, 'overlayfs');
  const outside = join(dir, 'outside');
  mkdirSync(outside);
  const mounts = await unpack(
    layer(
      { name: 'escape', type: 'symlink', linkname: outside },
      { name: 'up', type: 'symlink', linkname: '../../../../../../..' },
      { name: 'loop', type: 'symlink', linkname: 'loop' },
      { name: 'real/', type: 'directory', mode: 0o755 },
      { name: 'to', type: 'symlink', linkname: '/real' },
    ),
  );
  await withMounts(mounts, (root) => Promise.resolve(assert.equal(readlinkSync(join(root, 'escape')), outside)));
  const apply = async (key: string, ...parts: Part[]) => {
    const { digest } = await content.put('ns', key, layer(...parts));
    const into = await snapshots.prepare('ns', key, '', {});
    await differ.apply('ns', { digest }, into);
    return into[0]!.source!;
  };
  const link: Part = { name: 'escape', type: 'symlink', linkname: outside };
  const real: Part = { name: 'real/', type: 'directory', mode: 0o755 };
  const root = await apply('k1', link, { name: 'escape/file', data: 'x' });
  assert.deepEqual(readdirSync(outside), []);
  assert.equal(readFileSync(join(root, outside, 'file'), 'utf8'), 'x', 'a link is followed as inside the container');
  await assert.rejects(apply('k2', { name: '../../x', data: 'x' }), /leads out of the root file system/);
  await assert.rejects(
    apply('k3', { name: 'hard', type: 'link', linkname: '../../../etc/passwd' }),
    /leads out of the root file system/,
  );
  await assert.rejects(apply('k4', link, { name: 'hard', type: 'link', linkname: 'escape/none' }), /ENOENT/);
  await assert.rejects(
    apply('k5', { name: 'loop', type: 'symlink', linkname: 'loop' }, { name: 'loop/x', data: 'x' }),
    /too many levels of symbolic links/,
  );
  const other = await apply(
    'k6',
    real,
    { name: 'to', type: 'symlink', linkname: '../../real' },
    { name: 'to/x', data: 'x' },
  );
  assert.equal(readFileSync(join(other, 'real/x'), 'utf8'), 'x');
  symlinkSync('/', join(outside, 'root'));
  const swapped = await apply(
    'k7',
    { name: 'd/', type: 'directory', mode: 0o755 },
    { name: 'd/a', data: 'a' },
    { name: 'd', type: 'symlink', linkname: outside },
    { name: 'd/b', data: 'b' },
  );
  assert.ok(
    !existsSync(join(outside, 'b')) && existsSync(join(swapped, outside, 'b')),
    'a directory that became a link is one',
  );
});

test('a layer of 100 MB is unpacked in seconds, and the event loop goes round meanwhile', async (t) => {
  const { unpack } = await setUp(t, 'overlayfs');
  const big = 'x'.repeat(30_000);
  const parts: Part[] = [];
  for (let n = 0; n < 3500; n++) parts.push({ name: `d${n % 50}/f${n}`, data: big });
  const data = gzipSync(layer(...parts), { level: 1 });
  let longest = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  }, 5);
  const began = performance.now();
  await unpack(data);
  clearInterval(timer);
  t.diagnostic(
    `${Math.round(performance.now() - began)} ms for 105 MB in 3500 files, at most ${Math.round(longest)} ms without a turn of the event loop`,
  );
});
