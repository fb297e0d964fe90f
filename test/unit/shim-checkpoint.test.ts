import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { describeAsPipes } from '../../src/shim/checkpoint/as-pipes.js';
import { Message, readImage, writeImage } from '../../src/shim/checkpoint/image-file.js';

function directory(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'hawser-images-'));
  t.after(() => rmSync(dir, { recursive: true }));
  return dir;
}

function image(dir: string, name: string, messages: Message[]): string {
  const file = join(dir, name);
  writeFileSync(file, 'magic!!!');
  writeImage(file, messages);
  return file;
}

const regular = (id: number, name: string): Message =>
  new Message()
    .setNumber(1, 1)
    .setNumber(2, id)
    .setBytes(
      3,
      new Message()
        .setNumber(1, id)
        .setNumber(2, 0o100001)
        .setBytes(5, Buffer.from([8, 0]))
        .setBytes(6, Buffer.from(name))
        .encode(),
    );
const fifo = (id: number, regularId?: number): Message => {
  const inner = new Message().setNumber(1, id).setNumber(2, 77);
  if (regularId !== undefined) inner.setNumber(3, regularId);
  return new Message().setNumber(1, 3).setNumber(2, id).setBytes(17, inner.encode());
};
const open = (id: number, type: number, fd: number): Message =>
  new Message().setNumber(1, id).setNumber(2, 0).setNumber(3, type).setNumber(4, fd);

test('an image is the same after it was read and written, fields of all kinds and unknown ones too', (t) => {
  const dir = directory(t);
  const bytes = Buffer.from(
    '08960110ffffffffffffffffff01' + '1a03616263' + '211122334455667788' + '2d11223344' + 'aa0600',
    'hex',
  );
  const file = image(dir, 'x.img', [Message.parse(bytes), new Message()]);
  const before = readFileSync(file);
  const [first] = readImage(file);
  assert.deepEqual([first!.number(1), first!.bytes(3)?.toString(), first!.number(99)], [150, 'abc', undefined]);
  writeImage(file, readImage(file));
  assert.deepEqual(readFileSync(file), before);
});

test('an image that is cut short is an error, not half an image', (t) => {
  const file = image(directory(t), 'x.img', [regular(1, '/x')]);
  const whole = readFileSync(file);
  for (const length of [9, 11, 13, whole.length - 1]) {
    writeFileSync(file, whole.subarray(0, length));
    assert.throws(() => readImage(file), /cut short/);
  }
});

for (const own of [true, false]) {
  test(`a client's FIFO becomes a pipe, its name an entry ${own ? 'of its own' : 'of the same id'}`, (t) => {
    const dir = directory(t);
    const files = image(dir, 'files.img', [
      regular(1, '/bin/busybox'),
      regular(own ? 3 : 2, 'file[1b:ff]'),
      fifo(2, own ? 3 : undefined),
      regular(9, '/tmp/own'),
    ]);
    const opened = image(dir, 'fdinfo-2.img', [open(9, 1, 0), open(2, 3, 1), open(2, 3, 2)]);
    writeFileSync(join(dir, 'descriptors.json'), JSON.stringify(['/dev/null', '/run/fifo/out', '/run/fifo/out']));
    describeAsPipes(dir, [{ key: 'file[1b:ff]', path: '/run/fifo/out', fds: [1, 2] }]);
    const entries = readImage(files);
    assert.deepEqual(
      entries.map((one) => [one.number(1), one.number(2)]),
      [
        [1, 1],
        [2, 2],
        [1, 9],
      ],
    );
    const pipe = entries[1]!.message(18)!;
    assert.deepEqual(
      [pipe.number(1), pipe.number(2), pipe.number(3), pipe.bytes(4)],
      [2, 0x7fffffff, 1, Buffer.from([8, 0])],
    );
    assert.deepEqual(
      readImage(opened).map((one) => one.number(3)),
      [1, 2, 2],
    );
    assert.deepEqual(JSON.parse(readFileSync(join(dir, 'descriptors.json'), 'utf8')), [
      '/dev/null',
      'pipe:[2147483647]',
      'pipe:[2147483647]',
    ]);
  });
}

test('a log file becomes a pipe, and no pipe of the container has its number', (t) => {
  const dir = directory(t);
  const taken = new Message()
    .setNumber(1, 2)
    .setNumber(2, 5)
    .setBytes(18, new Message().setNumber(1, 5).setNumber(2, 0x7fffffff).encode());
  const files = image(dir, 'files.img', [taken, regular(6, 'file[1b:aa]')]);
  writeFileSync(join(dir, 'descriptors.json'), JSON.stringify(['/dev/null', '/log (moved since)', '/dev/null']));
  describeAsPipes(dir, [{ key: 'file[1b:aa]', path: '/log.1', fds: [1] }]);
  assert.equal(readImage(files)[1]!.message(18)!.number(2), 0x7ffffffe);
  assert.deepEqual(JSON.parse(readFileSync(join(dir, 'descriptors.json'), 'utf8')), [
    '/dev/null',
    'pipe:[2147483646]',
    '/dev/null',
  ]);
});
