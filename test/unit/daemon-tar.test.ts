import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { execa } from 'execa';
import { decompressed } from '../../src/oci/decompress.js';
import { encodeHeader, END, padding, type Header } from '../../src/oci/tar-writer.js';
import { fromText } from '../../src/sys/byte-string.js';
import { pieces, readAll } from '../support/archives.js';
import { failure, workDirectory } from '../support/records.js';

const plain: Header = {
  name: fromText('a'),
  type: 'file',
  mode: 0o644,
  uid: 1,
  gid: 2,
  size: 0,
  modified: { seconds: 5, nanos: 0 },
};

test('what is written is read', async () => {
  const headers: Header[] = [
    plain,
    {
      ...plain,
      name: fromText(`${'long/'.repeat(60)}näme`),
      mode: 0o4755,
      uid: 5_000_000,
      gid: 3_000_000_000,
      modified: { seconds: 1_600_000_000, nanos: 120_000_000 },
    },
    { ...plain, name: fromText('dir'), type: 'directory' },
    { ...plain, name: fromText('early'), modified: { seconds: -2, nanos: 500_000_000 } },
    { ...plain, name: fromText('link'), type: 'symlink', linkname: fromText('x'.repeat(150)) },
    { ...plain, name: fromText('dev'), type: 'block', major: 8, minor: 300 },
    {
      ...plain,
      name: fromText('attributes'),
      attributes: new Map([
        [fromText('security.capability'), Buffer.from([1, 0, 255, 10, 61])],
        [fromText('user.a=b'), Buffer.from('x')],
      ]),
    },
  ];
  const read = await readAll(Buffer.concat([...headers.map((header) => encodeHeader(header)), END]));
  assert.deepEqual(
    read.map(({ name }) => name),
    headers.map(({ name, type }) => (type === 'directory' ? `${name}/` : name)),
  );
  for (const [n, header] of headers.entries()) {
    assert.deepEqual(read[n]!.modified, header.modified);
    assert.deepEqual(
      [read[n]!.mode, read[n]!.uid, read[n]!.gid, read[n]!.type],
      [header.mode, header.uid, header.gid, header.type],
    );
    assert.equal(read[n]!.linkname, header.linkname ?? '');
  }
  assert.deepEqual([read[5]!.major, read[5]!.minor], [8, 300]);
  assert.deepEqual(read[6]!.attributes.get(fromText('security.capability')), Buffer.from([1, 0, 255, 10, 61]));
});

test('what tar writes is read, in all its formats', async () => {
  const dir = workDirectory();
  const name = `${'deep'.repeat(30)}/${'n'.repeat(120)}`;
  await execa(
    'sh',
    ['-c', 'mkdir -p "$(dirname "$1")" && printf content >"$1" && ln -s "$1" link && ln "$1" hard', 'sh', name],
    { cwd: dir },
  );
  for (const format of ['gnu', 'pax', 'posix']) {
    const { stdout } = await execa('tar', [`--format=${format}`, '-cf', '-', name, 'link', 'hard'], {
      cwd: dir,
      encoding: 'buffer',
    });
    const read = await readAll(Buffer.from(stdout));
    assert.deepEqual(
      read.map(({ name: found, type, linkname, data }) => [found, type, linkname, data.toString()]),
      [
        [name, 'file', '', 'content'],
        ['link', 'symlink', name, ''],
        ['hard', 'link', name, ''],
      ],
      format,
    );
  }
});

test('damage is told', async () => {
  const body = Buffer.from('hello');
  const good = Buffer.concat([encodeHeader({ ...plain, size: 5 }), body, padding(5), END]);
  assert.equal((await readAll(good))[0]!.data.toString(), 'hello');
  await assert.rejects(
    readAll(good.subarray(0, 514)),
    failure('the tar archive ends in the middle of an entry: invalid argument'),
  );
  const bad = Buffer.from(good);
  bad[0] = 120;
  await assert.rejects(
    readAll(bad),
    failure("this is no tar archive, or it is damaged: a header's check sum is wrong: invalid argument"),
  );
  await assert.rejects(
    readAll(Buffer.from('x'.repeat(1000))),
    failure("this is no tar archive, or it is damaged: a header's check sum is wrong: invalid argument"),
  );
  assert.deepEqual(
    await readAll(good.subarray(0, 1024), 1024).then((all) => all.length),
    1,
    'an end without its blocks is fine',
  );
});

test('a stream is decompressed by what it is, not by what it is called', async () => {
  const data = Buffer.from('hawser '.repeat(100_000));
  const whole = async (given: Buffer): Promise<Buffer> => {
    const chunks = [];
    for await (const chunk of decompressed(pieces(given, 1000))) chunks.push(Buffer.from(chunk));
    return Buffer.concat(chunks);
  };
  assert.ok((await whole(data)).equals(data));
  assert.ok((await whole(gzipSync(data))).equals(data));
  assert.ok(
    (await whole(Buffer.concat([gzipSync('a'), gzipSync('b')]))).equals(Buffer.from('ab')),
    'a gzip stream may have several members',
  );
  const zstd = Buffer.from('KLUv/SQFKQAAaGVsbG+jbZ+I', 'base64');
  assert.equal((await whole(zstd)).toString(), 'hello');
  assert.equal((await whole(Buffer.alloc(0))).length, 0);
  await assert.rejects(
    whole(gzipSync(data).subarray(0, 100)),
    /^TtrpcError: the gzip stream cannot be read: .*: invalid argument$/,
  );
});
