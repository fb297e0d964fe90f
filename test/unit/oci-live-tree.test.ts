/** Trees that somebody changes while they are worked on: nothing outside is read or written. */
import assert from 'node:assert/strict';
import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { extract } from '../../src/oci/extract.js';
import { archiveTree } from '../../src/oci/layer-archive.js';
import { LiveTree } from '../../src/oci/live-tree.js';
import { TarReader } from '../../src/oci/tar-reader.js';
import { encodeHeader, END, padding } from '../../src/oci/tar-writer.js';
import { EMPTY, fromText, type ByteString } from '../../src/sys/byte-string.js';

let dir: string;
let outside: string;
let root: number;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hawser-live-'));
  outside = join(dir, 'outside');
  mkdirSync(join(dir, 'root/a/b'), { recursive: true });
  mkdirSync(join(outside, 'b'), { recursive: true });
  writeFileSync(join(dir, 'root/a/b/file'), 'inside');
  writeFileSync(join(outside, 'b/file'), 'secret');
  root = openSync(join(dir, 'root'), 0o10000000);
});
afterEach(() => {
  closeSync(root);
  rmSync(dir, { recursive: true });
});

/** A directory becomes a link that leads out. */
function swap(): void {
  renameSync(join(dir, 'root/a'), join(dir, 'root/was'));
  symlinkSync(outside, join(dir, 'root/a'));
}

function bytes(name: string): ByteString {
  return fromText(name);
}

async function namesOf(chunks: AsyncIterable<Uint8Array>, seen?: (name: string) => void): Promise<string[]> {
  const reader = new TarReader(chunks);
  const names: string[] = [];
  for (let entry = await reader.next(); entry !== undefined; entry = await reader.next()) {
    names.push(entry.name);
    seen?.(entry.name);
  }
  return names;
}

test('a path through a link is none, whenever the link came there', () => {
  const tree = new LiveTree(root);
  assert.equal(readFileSync(tree.on(bytes('a/b/file')), 'utf8'), 'inside');
  swap();
  // What was opened before is what it was.
  assert.equal(readFileSync(tree.on(bytes('a/b/file')), 'utf8'), 'inside');
  tree.close();
  assert.throws(() => tree.on(bytes('a/b/file')), { code: 'ENOTDIR' });
  assert.equal(tree.stat(bytes('a/b/file')), undefined);
  assert.ok(tree.stat(bytes('a'))?.isSymbolicLink());
  assert.ok(tree.stat(EMPTY)?.isDirectory());
  tree.close();
});

test('an archive does not follow what is swapped for a link while it is read', async () => {
  for (const when of ['a/', 'a/b/']) {
    const tree = new LiveTree(root);
    const all: Buffer[] = [];
    const seen = await namesOf(
      (async function* () {
        for await (const chunk of archiveTree(tree, EMPTY, EMPTY)) {
          all.push(chunk);
          yield chunk;
        }
      })(),
      (name) => {
        if (name !== when) return;
        swap();
        tree.close();
      },
    );
    assert.ok(!Buffer.concat(all).includes('secret'));
    assert.ok(seen.includes(when), seen.join());
    tree.close();
    rmSync(join(dir, 'root/a'));
    renameSync(join(dir, 'root/was'), join(dir, 'root/a'));
  }
});

test('what is unpacked where a link came meanwhile is not written to what it leads to', async () => {
  const header = (name: string, type: 'file' | 'directory', size = 0): Buffer =>
    encodeHeader({
      name: bytes(name),
      type,
      mode: type === 'file' ? 0o644 : 0o777,
      uid: 0,
      gid: 0,
      size,
      modified: { seconds: 1, nanos: 0 },
    });
  const tree = new LiveTree(root);
  // eslint-disable-next-line @typescript-eslint/require-await -- a stream of what is there
  async function* archive(): AsyncGenerator<Buffer> {
    yield header('a/b/', 'directory');
    yield header('a/b/first', 'file', 1);
    yield Buffer.from('1');
    yield padding(1);
    yield header('a/b/file', 'file', 2);
    yield Buffer.from('2');
    swap();
    yield Buffer.from('2');
    yield padding(2);
    yield END;
  }
  await extract(archive(), tree, { plain: true });
  tree.close();
  assert.deepEqual(readdirSync(join(outside, 'b')), ['file']);
  assert.equal(readFileSync(join(outside, 'b/file'), 'utf8'), 'secret');
  assert.ok(lstatSync(join(outside, 'b/file')).mtimeMs > 1000);
  assert.deepEqual(
    ['first', 'file'].map((name) => readFileSync(join(dir, 'root/was/b', name), 'utf8')),
    ['1', '22'],
  );
});

test('what is mounted lies where it is from', async () => {
  writeFileSync(join(dir, 'single'), 'one file');
  writeFileSync(join(dir, 'root/hosts'), '');
  const tree = new LiveTree(
    root,
    new Map([
      [bytes('a/b'), join(outside, 'b')],
      [bytes('hosts'), join(dir, 'single')],
    ]),
  );
  assert.equal(readFileSync(tree.on(bytes('a/b/file')), 'utf8'), 'secret');
  assert.equal(readFileSync(tree.on(bytes('hosts')), 'utf8'), 'one file');
  assert.deepEqual(await namesOf(archiveTree(tree, bytes('a'), bytes('called'))), [
    'called/',
    'called/b/',
    'called/b/file',
  ]);
  tree.close();
});

test('an archive whose reader gives up, at whatever chunk, leaves no file open', async () => {
  const open = (): number => readdirSync('/proc/self/fd').length;
  const before = open();
  for (let chunks = 1; chunks < 8; chunks++) {
    const tree = new LiveTree(root);
    const archive = archiveTree(tree, EMPTY, EMPTY);
    for (let n = 0; n < chunks; n++) await archive.next();
    await archive.return(undefined);
    tree.close();
    assert.equal(open(), before, `after ${chunks}`);
  }
});

test('a plain archive: names of layers mean nothing, kinds stay, owners are chosen', async () => {
  const file = (name: string, type: 'file' | 'directory' = 'file'): Buffer =>
    encodeHeader({ name: bytes(name), type, mode: 0o644, uid: 7, gid: 8, size: 0, modified: { seconds: 1, nanos: 0 } });
  const put = (...entries: Buffer[]): AsyncIterable<Buffer> =>
    // eslint-disable-next-line @typescript-eslint/require-await -- a stream of what is there
    (async function* () {
      yield* entries;
      yield END;
    })();
  const options = { plain: true, sameKinds: true, below: bytes('a'), owner: { uid: 1, gid: 2 } };
  await extract(put(file('./', 'directory'), file('./.wh.b')), join(dir, 'root'), options);
  assert.ok(existsSync(join(dir, 'root/a/b/file')));
  assert.deepEqual(
    [
      lstatSync(join(dir, 'root/a/.wh.b')).uid,
      lstatSync(join(dir, 'root/a/.wh.b')).gid,
      lstatSync(join(dir, 'root/a')).uid,
    ],
    [1, 2, process.getuid!()],
  );
  await assert.rejects(
    extract(put(file('b')), join(dir, 'root'), options),
    /a file cannot take the place of a directory/,
  );
  await assert.rejects(
    extract(put(file('.wh.b', 'directory')), join(dir, 'root'), options),
    /a directory cannot take the place of what is none/,
  );
});
