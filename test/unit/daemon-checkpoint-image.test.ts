import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { encodeHeader, END, padding, type Header } from '../../src/oci/tar-writer.js';
import { tarOf, untar } from '../../src/daemon/tasks/checkpoint-image.js';
import { fromText } from '../../src/sys/byte-string.js';
import { paxHeader } from '../support/archives.js';
import { workDirectory } from '../support/records.js';

type Blob = Parameters<typeof untar>[0];

function blobOf(data: Buffer): Blob {
  return {
    size: data.length,
    read: (at: number, length: number) => Promise.resolve(data.subarray(at, at + length)),
    close: () => Promise.resolve(),
  };
}

const entry = (name: string, more: Partial<Header> = {}, data = ''): Buffer =>
  Buffer.concat([
    encodeHeader({
      name: fromText(name),
      type: 'file',
      mode: 0o640,
      uid: 0,
      gid: 0,
      size: data.length,
      modified: { seconds: 0, nanos: 0 },
      ...more,
    }),
    Buffer.from(data),
    padding(data.length),
  ]);

test('a checkpoint is unpacked as it was, sparse files too', async () => {
  const dir = workDirectory();
  const source = join(dir, 'source');
  mkdirSync(join(source, 'sub'), { recursive: true });
  writeFileSync(join(source, 'pages-1.img'), 'pages');
  truncateSync(join(source, 'pages-1.img'), 1 << 20);
  writeFileSync(join(source, 'sub/core.img'), 'core', { mode: 0o600 });
  const chunks = [];
  for await (const chunk of tarOf(source)) chunks.push(chunk);
  const archives = [
    Buffer.concat(chunks),
    ...['--format=gnu', '--format=posix'].map((format) =>
      execFileSync('tar', ['-S', format, '-C', source, '-cf', '-', '.'], { maxBuffer: 1 << 22 }),
    ),
  ];
  for (const [n, archive] of archives.entries()) {
    const target = join(dir, `target${n}`);
    await untar(blobOf(archive), target);
    execFileSync('diff', ['-r', source, target]);
    assert.equal(statSync(join(target, 'sub/core.img')).mode & 0o777, 0o600);
  }
  await untar(
    blobOf(Buffer.concat([paxHeader([['path', 'elsewhere']], 'g'), entry('inner/file', {}, 'x'), END])),
    join(dir, 'global'),
  );
  assert.equal(readFileSync(join(dir, 'global/inner/file'), 'utf8'), 'x');
});

test('a checkpoint with anything but files and directories below its own is refused', async () => {
  const dir = workDirectory();
  const unpack = (...parts: Buffer[]): Promise<void> => untar(blobOf(Buffer.concat([...parts, END])), join(dir, 'x'));
  await assert.rejects(unpack(entry('../out')), {
    message: 'the checkpoint holds "../out", which is not below its directory: invalid argument',
  });
  await assert.rejects(unpack(entry('/etc/passwd')), /not below its directory/);
  await assert.rejects(unpack(entry('l', { type: 'symlink', linkname: fromText('/etc') })), {
    message: 'the checkpoint holds "l", a symlink: only files and directories belong there: invalid argument',
  });
});
