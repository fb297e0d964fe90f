/** Layers of names that are not UTF-8, of sparse files, and of paths that are long, through all that reads and writes them. Needs root. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { archive } from '../../src/oci/layer-archive.js';
import { copyTree } from '../../src/oci/copy-tree.js';
import { extract } from '../../src/oci/extract.js';
import { removeTree } from '../../src/oci/remove-tree.js';
import { encodeHeader, END, padding, type Header } from '../../src/oci/tar-writer.js';
import { WalkingDiffer } from '../../src/daemon/diff/walking.js';
import { NativeDriver } from '../../src/daemon/snapshots/native.js';
import { OverlayDriver } from '../../src/daemon/snapshots/overlay.js';
import { Snapshots } from '../../src/daemon/snapshots/store.js';
import { diskUsage } from '../../src/daemon/snapshots/usage.js';
import { importArchive } from '../../src/daemon/transfer/import.js';
import { Documents } from '../../src/daemon/transfer/oci.js';
import { withMounts } from '../../src/oci/temporary-mounts.js';
import { fromBytes, inside, toBytes, type ByteString } from '../../src/sys/byte-string.js';
import { getAttribute } from '../../src/sys/index.js';
import { blocks, paxHeader, pieces, rawHeader } from '../support/archives.js';
import { openRecords, recorder, workDirectory } from '../support/records.js';
import { treeOf } from '../support/trees.js';

/** Names are bytes, a character for each. */
interface Part extends Partial<Omit<Header, 'name' | 'linkname'>> {
  name: string;
  linkname?: string;
  data?: Buffer | string;
}

function layer(...parts: Part[]): Buffer {
  return Buffer.concat([
    ...parts.flatMap(({ data = '', ...part }) => [
      encodeHeader({
        type: 'file',
        mode: 0o644,
        uid: 0,
        gid: 0,
        size: data.length,
        modified: { seconds: 1_600_000_000, nanos: 0 },
        ...part,
      } as Header),
      Buffer.from(data),
      padding(data.length),
    ]),
    END,
  ]);
}

const at = (root: string, path: string): Buffer =>
  Buffer.concat([Buffer.from(`${root}/`), toBytes(path as ByteString)]);
const list = (root: string, path = ''): string[] => readdirSync(at(root, path), 'latin1').sort();

async function setUp(t: TestContext, name: 'overlayfs' | 'native') {
  const dir = workDirectory();
  const records = openRecords(t, dir);
  const driver = name === 'native' ? new NativeDriver(join(dir, name)) : await OverlayDriver.open(join(dir, name));
  const snapshots = new Snapshots(name, driver, { ...records, publish: recorder().publish, changed: () => undefined });
  const differ = new WalkingDiffer(records.content, { warn: () => undefined });
  const unpack = async (...layers: Buffer[]) => {
    let parent = '';
    for (const [n, data] of layers.entries()) {
      const { digest } = await records.content.put('ns', `layer${n}`, data);
      await differ.apply('ns', { digest, size: data.length }, await snapshots.prepare('ns', `extract${n}`, parent, {}));
      await snapshots.commit('ns', `layer${n}`, `extract${n}`, {});
      parent = `layer${n}`;
    }
    return snapshots.prepare('ns', 'top', parent, {});
  };
  return { dir, content: records.content, snapshots, differ, unpack, layers: join(dir, name, 'snapshots') };
}

async function archiveOf(from: string, to: string): Promise<Buffer> {
  const chunks = [];
  for await (const chunk of archive(from, to)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

for (const driver of ['overlayfs', 'native'] as const) {
  test(`${driver}: names that are not UTF-8 are what they are in layers, snapshots and diffs`, async (t) => {
    const { unpack, snapshots, differ, layers } = await setUp(t, driver);
    const mounts = await unpack(
      layer(
        { name: 'd\xe4/', type: 'directory', mode: 0o750, uid: 3 },
        { name: 'd\xe4/f-\xe4', data: 'ae', attributes: new Map([['user.\xe4' as ByteString, Buffer.from([255, 0])]]) },
        { name: 'd\xe4/f-\xf6', data: 'oe' },
        { name: 'd\xe4/f-\xfc', data: 'ue' },
        { name: 'd\xe4/l', type: 'symlink', linkname: 'f-\xe4' },
        { name: 'd\xe4/h', type: 'link', linkname: 'd\xe4/f-\xf6' },
        { name: 'd\xc3\xa4', data: 'another, in UTF-8' },
        { name: 'o\xe4/old\xe4', data: 'x' },
        { name: 'o\xe4/old\xf6', data: 'x' },
        { name: 's\xe4', type: 'symlink', linkname: '/o\xe4' },
        { name: 'gone\xff/deep\xfe', data: 'x' },
      ),
      layer(
        { name: 'd\xe4/.wh.f-\xfc' },
        { name: 'd\xe4/new\xdf', data: 'new' },
        { name: 'o\xe4/.wh..wh..opq' },
        { name: 's\xf6', type: 'symlink', linkname: '/o\xe4' },
        { name: 's\xf6/through\xe9', data: 'by the link' },
        { name: '.wh.gone\xff' },
        { name: `${'\xfc'.repeat(251)}/${'\xf6'.repeat(255)}`, data: 'long' },
      ),
    );
    const expected = ['d\xc3\xa4', 'd\xe4', 'o\xe4', 's\xe4', 's\xf6', '\xfc'.repeat(251)].sort();
    await withMounts(mounts, async (root) => {
      assert.deepEqual(list(root), expected);
      assert.deepEqual(list(root, 'd\xe4'), ['f-\xe4', 'f-\xf6', 'h', 'l', 'new\xdf']);
      assert.equal(lstatSync(at(root, 'd\xe4')).mode & 0o777, 0o750);
      assert.deepEqual(
        [
          readFileSync(at(root, 'd\xe4/f-\xe4'), 'latin1'),
          readFileSync(at(root, 'd\xe4/h'), 'latin1'),
          readlinkSync(at(root, 'd\xe4/l'), 'latin1'),
        ],
        ['ae', 'oe', 'f-\xe4'],
      );
      assert.equal(lstatSync(at(root, 'd\xe4/h')).ino, lstatSync(at(root, 'd\xe4/f-\xf6')).ino);
      assert.deepEqual(getAttribute(at(root, 'd\xe4/f-\xe4'), 'user.\xe4'), Buffer.from([255, 0]));
      assert.deepEqual(list(root, 'o\xe4'), ['through\xe9']);
      rmSync(at(root, 'd\xe4/f-\xf6'));
      writeFileSync(at(root, 'd\xe4/f-\xe4'), 'changed');
      writeFileSync(at(root, 'added\xe4'), 'added');
      rmSync(at(root, 'd\xe4/l'));
      symlinkSync(toBytes('to-\xe9' as ByteString), at(root, 'd\xe4/l'));
      await Promise.resolve();
    });
    const lower = await snapshots.view('ns', 'lower', 'layer1', {});
    const diff = await differ.compare('ns', lower, mounts, { mediaType: 'application/vnd.oci.image.layer.v1.tar' });
    const target = await snapshots.prepare('ns', 'target', 'layer1', {});
    await differ.apply('ns', diff, target);
    await withMounts(target, async (one) =>
      withMounts(mounts, async (other) => {
        assert.deepEqual(treeOf(one), treeOf(other));
        await Promise.resolve();
      }),
    );
    assert.equal(
      Number(
        (await differ.compare('ns', mounts, target, { mediaType: 'application/vnd.oci.image.layer.v1.tar' })).size,
      ),
      1024,
      'and then nothing differs',
    );
    assert.ok((await snapshots.usage('ns', 'layer0')).inodes >= 8);
    for (const key of ['target', 'lower', 'top', 'layer1', 'layer0']) await snapshots.remove('ns', key);
    assert.deepEqual(readdirSync(layers), [], 'nothing is left of them');
  });

  test(`${driver}: a sparse file has its contents, and its holes, in every snapshot of it`, async (t) => {
    const { dir, unpack } = await setUp(t, driver);
    const size = 40 << 20;
    const source = join(dir, 'source');
    mkdirSync(source);
    const name = `sparse-\xe4${'n'.repeat(200)}`;
    const made = `import os, sys
f = os.open(sys.argv[1].encode('latin-1'), os.O_CREAT | os.O_WRONLY)
for n in range(30): os.pwrite(f, b'%d' % n, n << 20)
os.ftruncate(f, ${size})`;
    execFileSync('python3', ['-c', made, join(source, name)], { env: { ...process.env, PYTHONIOENCODING: 'latin-1' } });
    execFileSync('python3', [
      '-c',
      'import os, sys; os.link(sys.argv[1].encode("latin-1"), sys.argv[2].encode())',
      join(source, name),
      join(source, 'hard'),
    ]);
    writeFileSync(join(source, 'after'), 'after');
    const inUtf8 = readdirSync(source, 'latin1').find((one) => one.startsWith('sparse'))!;
    for (const version of ['0.0', '0.1', '1.0', '']) {
      const format = version === '' ? ['--format=gnu'] : ['--format=posix', `--sparse-version=${version}`];
      const root = mkdtempSync(join(dir, 'unpacked-'));
      const tar = execFileSync('tar', ['-S', ...format, '--sort=name', '-C', source, '-cf', '-', '.'], {
        maxBuffer: 1 << 28,
      });
      await extract(pieces(tar, 60_000), root);
      assert.deepEqual(list(root), ['after', 'hard', inUtf8]);
      assert.equal(readFileSync(join(root, 'after'), 'latin1'), 'after');
      const stat = lstatSync(at(root, inUtf8));
      assert.deepEqual([stat.size, stat.nlink, stat.ino], [size, 2, lstatSync(join(root, 'hard')).ino]);
      assert.ok(stat.blocks * 512 < size / 5, 'holes take no room');
      execFileSync('cmp', [join(source, 'hard'), join(root, 'hard')]);
    }
    const tar = execFileSync('tar', ['-S', '--format=posix', '-C', source, '-cf', '-', '.'], { maxBuffer: 1 << 28 });
    await withMounts(
      await unpack(layer({ name: 'first', data: '1' }), tar, layer({ name: 'last', data: '2' })),
      async (root) => {
        assert.deepEqual(list(root), ['after', 'first', 'hard', 'last', inUtf8]);
        execFileSync('cmp', [join(source, 'hard'), join(root, 'hard')]);
        assert.ok(lstatSync(join(root, 'hard')).blocks * 512 < size / 5);
        await Promise.resolve();
      },
    );
  });
}

test('any names, targets and attributes: archive, disk, diff, archive and disk again are the same', async () => {
  const dir = workDirectory();
  const name = fc
    .uint8Array({ min: 1, max: 255, minLength: 1, maxLength: 255 })
    .map((data) => fromBytes(data.map((byte) => (byte === 0x2f ? 0x5f : byte))))
    .filter((one) => one !== '.' && one !== '..' && !one.startsWith('.wh.'));
  const time = fc.record({
    seconds: fc.integer({ min: -1_000_000, max: 2_000_000_000 }),
    nanos: fc.integer({ min: 0, max: 999_999_999 }),
  });
  const attributes = fc
    .array(
      fc.tuple(
        name.map((one) => `user.${one.slice(0, 200)}` as ByteString),
        fc.uint8Array({ maxLength: 30 }).map((value) => Buffer.from(value)),
      ),
      { maxLength: 2 },
    )
    .map((all) => new Map(all));
  const entry = fc.record({
    dirs: fc.array(name, { maxLength: 2 }),
    name,
    target: name,
    modified: time,
    uid: fc.integer({ min: 0, max: 2 ** 31 }),
    data: fc.uint8Array({ maxLength: 600 }),
    type: fc.constantFrom('file', 'symlink', 'fifo', 'directory', 'character', 'link' as const),
    attributes,
  });
  let run = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(entry, { minLength: 1, maxLength: 6 }), async (entries) => {
      const paths: ByteString[] = [];
      const parts: Part[] = [];
      for (const { dirs, name: last, target, type: given, modified, uid, data, attributes: own } of entries) {
        const path = [...dirs, last].reduce((above, one) => inside(above, one), '' as ByteString);
        // What is a directory to one is a file to none.
        if (
          [...paths, ...parts.map((part) => part.name)].some(
            (other) => other === path || other.startsWith(`${path}/`) || path.startsWith(`${other}/`),
          )
        )
          continue;
        const first = paths[0];
        const type = given === 'link' && first === undefined ? 'file' : given;
        if (type === 'file') paths.push(path);
        parts.push({
          name: path,
          type,
          mode: 0o644,
          uid,
          gid: 5,
          modified,
          ...(type === 'file' ? { data: Buffer.from(data), size: data.length } : {}),
          ...(type === 'symlink' ? { linkname: target } : type === 'link' ? { linkname: first! } : {}),
          ...(type === 'character' ? { major: 1, minor: 3 } : {}),
          ...(type === 'file' || type === 'directory' ? { attributes: own } : {}),
        });
      }
      const place = (what: string): string => {
        const made = join(dir, `${what}${run}`);
        mkdirSync(made);
        return made;
      };
      const [nothing, one, two, copy] = [place('nothing'), place('one'), place('two'), place('copy')];
      run++;
      await extract(pieces(layer(...parts), 1000), one);
      const tree = treeOf(one);
      for (const { name: path } of parts) assert.ok(tree.has(path as ByteString));
      const made = await archiveOf(nothing, one);
      await extract(pieces(made, 1000), two);
      assert.deepEqual(treeOf(two), tree);
      assert.ok((await archiveOf(nothing, two)).equals(made));
      await copyTree(one, copy);
      assert.deepEqual(treeOf(copy), tree);
      assert.equal((await archiveOf(one, two)).length, 1024);
      assert.ok((await diskUsage(one)).inodes > 1);
      for (const root of [nothing, one, two, copy]) {
        await removeTree(root);
        assert.ok(!existsSync(root));
      }
    }),
    { numRuns: 30 },
  );
});

test('what is written is read by GNU tar and by Python, whatever its names', async () => {
  const dir = workDirectory();
  const [nothing, source, byTar] = ['nothing', 'source', 'tar'].map((name) => join(dir, name)) as [
    string,
    string,
    string,
  ];
  for (const one of [nothing, source, byTar]) mkdirSync(one);
  const long = Array.from({ length: 20 }, () => '\xe4'.repeat(200)).join('/');
  await extract(
    pieces(
      layer(
        { name: 'f-\xe4', data: 'ae', modified: { seconds: 5, nanos: 250_000_000 } },
        { name: 'f-\xf6', data: 'oe' },
        { name: 'h-\xfc', type: 'link', linkname: 'f-\xf6' },
        { name: 'l-\xdf', type: 'symlink', linkname: 'f-\xe4' },
        ...[99, 100, 101, 155, 156, 255].flatMap((n): Part[] => [
          { name: `n${'a'.repeat(n - 1)}`, data: 'x' },
          { name: `\xe4${'b'.repeat(n - 1)}`, data: 'y' },
          { name: `p${n}/${'q'.repeat(99)}`, data: 'z' },
          { name: `p${n}/l`, type: 'symlink', linkname: '\xf6'.repeat(n) },
        ]),
        { name: `${long}/file`, data: 'deep' },
        { name: 'dir\xe4/', type: 'directory', mode: 0o700, modified: { seconds: 7, nanos: 0 } },
        { name: 'dev\xe4', type: 'block', major: 7, minor: 300 },
        { name: 'fifo\xe4', type: 'fifo', modified: { seconds: -5, nanos: 0 } },
      ),
      1000,
    ),
    source,
  );
  const made = await archiveOf(nothing, source);
  for (const locale of ['C', 'C.UTF-8']) {
    execFileSync('tar', ['--xattrs', '-C', byTar, '-xpf', '-'], {
      input: made,
      env: { ...process.env, LC_ALL: locale },
    });
    assert.deepEqual(treeOf(byTar), treeOf(source));
    await removeTree(byTar);
    mkdirSync(byTar);
  }
  const script =
    'import sys, tarfile\nfor m in tarfile.open(fileobj=sys.stdin.buffer, mode="r|"): sys.stdout.buffer.write((m.name + "|" + m.linkname).encode("utf-8", "surrogateescape") + b"\\n")';
  const names = fromBytes(execFileSync('python3', ['-X', 'utf8', '-c', script], { input: made }))
    .split('\n')
    .filter(Boolean);
  const tree = treeOf(source);
  assert.deepEqual(
    names.map((line) => line.split('|')[0]).sort(),
    [...tree.keys()].filter((path) => path !== '').sort(),
  );
  assert.ok(names.includes('h-\xfc|f-\xf6') && names.includes('l-\xdf|f-\xe4'));
});

test('a tree is walked, unpacked and removed, however deep it is', async () => {
  const dir = workDirectory();
  const [nothing, one, two, copy] = ['nothing', 'one', 'two', 'copy'].map((name) => join(dir, name)) as [
    string,
    string,
    string,
    string,
  ];
  for (const root of [nothing, one, two, copy]) mkdirSync(root);
  const path = Array.from({ length: 60 }, (_, n) => `${n}-${'\xe4'.repeat(200)}`).join('/');
  await extract(
    pieces(
      layer(
        { name: `${path}/file`, data: 'deep' },
        { name: `${path}/hard`, type: 'link', linkname: `${path}/file` },
        { name: `${path}/gone`, data: 'x' },
        { name: `${path}/.wh.none` },
      ),
      1000,
    ),
    one,
  );
  assert.equal(
    execFileSync('find', ['.', '-type', 'f', '-links', '2'], { cwd: one, maxBuffer: 1 << 20 })
      .toString('latin1')
      .split('\n')
      .filter(Boolean).length,
    2,
  );
  await extract(pieces(await archiveOf(nothing, one), 1000), two);
  await copyTree(one, copy);
  assert.equal((await archiveOf(one, two)).length, 1024);
  assert.equal((await archiveOf(one, copy)).length, 1024);
  assert.equal((await diskUsage(one)).inodes, 1 + 60 + 2);
  for (const root of [one, two, copy]) {
    await removeTree(root);
    assert.ok(!existsSync(root));
  }
  await assert.rejects(
    extract(pieces(layer({ name: `${'n'.repeat(256)}/x`, data: 'x' })), nothing),
    /^Error: entry "n+\/x": ENAMETOOLONG/,
  );
  await assert.rejects(
    extract(pieces(layer({ name: 'd/'.repeat(9000), data: 'x' })), nothing),
    /has 18000 bytes, which is more than the 16384 that are followed/,
  );
  // As a container makes one, far beyond what an archive could name.
  execFileSync(
    'python3',
    ['-c', 'import os\nfor n in range(600): os.mkdir("n" * 200); os.chdir("n" * 200)\nopen("file", "w")'],
    { cwd: nothing },
  );
  await removeTree(nothing);
  assert.ok(!existsSync(nothing));
});

test('paths are checked as bytes: none leads out of the root', async () => {
  const dir = workDirectory();
  const outside = join(dir, 'outside');
  mkdirSync(outside);
  let count = 0;
  const apply = async (...parts: Part[]): Promise<string> => {
    const root = join(dir, `root${count++}`);
    mkdirSync(root);
    await extract(pieces(layer(...parts)), root);
    return root;
  };
  await assert.rejects(
    apply({ name: '\xe4/../../x', data: 'x' }),
    /^TtrpcError: entry "\\xe4\/..\/..\/x": "\\xe4\/..\/..\/x" leads out of the root file system/,
  );
  await assert.rejects(
    apply({ name: 'h', type: 'link', linkname: '\xe4/../../../etc/passwd' }),
    /leads out of the root file system/,
  );
  const root = await apply(
    { name: 'd\xe4/', type: 'directory', mode: 0o755 },
    { name: 'd\xe4', type: 'symlink', linkname: `${outside}/\xe4` },
    { name: 'd\xe4/file', data: 'x' },
    { name: '/abs\xe4', data: 'x' },
    { name: 'a//b\xe4/./c', data: 'x' },
  );
  assert.deepEqual(readdirSync(outside), []);
  assert.equal(
    readFileSync(at(root, `${outside}/\xe4/file`), 'latin1'),
    'x',
    'a link is followed as inside the container',
  );
  assert.ok(existsSync(at(root, 'abs\xe4')) && existsSync(at(root, 'a/b\xe4/c')));
  const nul = paxHeader([
    ['SCHILY.xattr.user.x', 'y'],
    ['path', Buffer.from('a\0b')],
  ]);
  await assert.rejects(
    extract(pieces(Buffer.concat([nul, rawHeader(), blocks('')])), root),
    /has a NUL in its PAX record "path"/,
  );
});

test('the last of several entries of one name holds, and attributes that a file cannot have are passed over', async () => {
  const root = workDirectory();
  const warnings: string[] = [];
  const user = new Map([['user.\xe4' as ByteString, Buffer.from('x')]]);
  await extract(
    pieces(
      layer(
        { name: 'f\xe4', data: 'one' },
        { name: 'f\xe4', data: 'two!' },
        { name: 'f\xe4', type: 'directory', mode: 0o755 },
        { name: 'f\xe4/inner', data: 'x' },
        { name: 'f\xe4', data: 'three' },
        { name: 'late', type: 'symlink', linkname: 'f\xe4', attributes: user },
        { name: 'fifo', type: 'fifo', attributes: user },
      ),
    ),
    root,
    { warn: (text) => warnings.push(text) },
  );
  assert.equal(readFileSync(at(root, 'f\xe4'), 'latin1'), 'three');
  assert.deepEqual(warnings, [
    '"late": this symlink has no extended attribute "user.\\xe4"',
    '"fifo": this fifo has no extended attribute "user.\\xe4"',
  ]);
});

test('files in an archive of images are told apart by their bytes, and may be links or sparse', async (t) => {
  const dir = workDirectory();
  const { content } = openRecords(t, dir);
  const documents = new Documents(content, 'ns', undefined);
  const inside = layer({ name: 'f', data: 'content' });
  mkdirSync(join(dir, 'image'));
  for (const [name, data] of [
    ['l\xe4', inside],
    ['l\xf6', layer({ name: 'g' })],
    ['config', '{"os":"linux","architecture":"amd64"}'],
    ['zero', inside],
  ] as const)
    writeFileSync(at(join(dir, 'image'), name), data);
  execFileSync(
    'python3',
    ['-c', 'import os; os.link(b"l\\xe4", "hard"); os.symlink("hard", "soft"); os.truncate("zero", 1 << 20)'],
    { cwd: join(dir, 'image') },
  );
  writeFileSync(
    join(dir, 'image/manifest.json'),
    JSON.stringify([{ Config: 'config', RepoTags: ['x:1'], Layers: ['hard', 'soft', 'zero'] }]),
  );
  const archived = execFileSync(
    'tar',
    ['-S', '--format=posix', '--sort=name', '-C', join(dir, 'image'), '-cf', '-', '.'],
    { maxBuffer: 1 << 25 },
  );
  assert.ok(archived.length < 1 << 20);
  const index = await importArchive(documents, pieces(archived, 10_000), false);
  const [manifest] = await documents.children(index);
  const [, ...layers] = await documents.children(manifest!);
  const digestOf = (data: Buffer): string => `sha256:${createHash('sha256').update(data).digest('hex')}`;
  assert.deepEqual(
    layers.map(({ digest, size }) => [digest, size]),
    [
      [digestOf(inside), inside.length],
      [digestOf(inside), inside.length],
      [digestOf(readFileSync(join(dir, 'image/zero'))), 1 << 20],
    ],
  );
});
