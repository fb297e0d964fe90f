import assert from 'node:assert/strict';
import { closeSync, constants, fstatSync, openSync, readFileSync, readSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import {
  copyDescriptor,
  duplicate,
  isHungUp,
  makeEventfd,
  makeFifo,
  makeMemfd,
  makePipe,
  setNonblock,
  SysError,
  tryRead,
  tryWrite,
} from '../../src/sys/index.js';
import { leavesNothingOpen, openDescriptors, tempDir } from './fixtures/support.js';

const FD_CLOEXEC_FLAG = 0o2000000;

function flagsOf(fd: number): number {
  return parseInt(/^flags:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))![1]!, 8);
}

function own(t: TestContext, ...fds: number[]): void {
  t.after(() => {
    for (const fd of fds) closeSync(fd);
  });
}

test('a SysError has the fields of Node’s own', () => {
  let error: unknown;
  try {
    tryRead(999_999, Buffer.alloc(1));
  } catch (thrown) {
    error = thrown;
  }
  assert.ok(error instanceof SysError && error instanceof Error);
  assert.deepEqual(
    { name: error.name, code: error.code, errno: error.errno, syscall: error.syscall, message: error.message },
    { name: 'SysError', code: 'EBADF', errno: -9, syscall: 'read', message: 'read 999999: EBADF' },
  );
  assert.equal(new SysError(-2, 'mkfifo', '/x').message, 'mkfifo /x: ENOENT');
  assert.equal(new SysError(-2, 'pipe2').message, 'pipe2: ENOENT');
});

test('a pipe carries bytes one way; its ends block and are close-on-exec', (t) => {
  const { read, write } = makePipe();
  own(t, read, write);
  writeSync(write, 'hello');
  const buffer = Buffer.alloc(10);
  assert.equal(readSync(read, buffer), 5);
  assert.equal(buffer.toString('utf8', 0, 5), 'hello');
  for (const fd of [read, write]) {
    assert.equal(flagsOf(fd) & constants.O_NONBLOCK, 0);
    assert.notEqual(flagsOf(fd) & FD_CLOEXEC_FLAG, 0);
  }
});

test('tryRead and tryWrite say undefined where a call would block, and 0 at the end', (t) => {
  const { read, write } = makePipe();
  own(t, read);
  setNonblock(read, true);
  setNonblock(write, true);
  const chunk = Buffer.alloc(65536, 'a');
  assert.equal(tryRead(read, chunk), undefined);
  let total = 0;
  for (let n = tryWrite(write, chunk); n !== undefined; n = tryWrite(write, chunk)) total += n;
  assert.ok(total >= 4096);
  let back = 0;
  for (let n = tryRead(read, chunk); n !== undefined; n = tryRead(read, chunk)) back += n;
  assert.equal(back, total);
  closeSync(write);
  assert.equal(tryRead(read, chunk), 0);
});

test('tryWrite writes the part it is told to', (t) => {
  const { read, write } = makePipe();
  own(t, read, write);
  assert.equal(tryWrite(write, Buffer.from('0123456789'), 2, 5), 3);
  const buffer = Buffer.alloc(10);
  assert.equal(tryRead(read, buffer), 3);
  assert.equal(buffer.toString('utf8', 0, 3), '234');
  for (const [from, to] of [
    [5, 2],
    [0, 11],
    [11, 11],
  ] as const)
    assert.throws(() => tryWrite(write, Buffer.from('0123456789'), from, to), TypeError);
});

test('writing to a pipe that nobody reads is EPIPE and no signal', (t) => {
  const { read, write } = makePipe();
  own(t, write);
  closeSync(read);
  assert.throws(() => tryWrite(write, Buffer.from('x')), { code: 'EPIPE', syscall: 'write' });
});

test('a memfd is a file of its own', (t) => {
  const fd = makeMemfd('a name');
  own(t, fd);
  writeSync(fd, 'content');
  assert.equal(fstatSync(fd).size, 7);
  assert.equal(openDescriptors()[fd], '/memfd:a name (deleted)');
  assert.notEqual(flagsOf(fd) & FD_CLOEXEC_FLAG, 0);
});

test('an eventfd counts, and does not block', (t) => {
  const fd = makeEventfd();
  own(t, fd);
  const counter = Buffer.alloc(8);
  assert.equal(tryRead(fd, counter), undefined);
  for (const add of [2n, 3n]) {
    counter.writeBigUInt64LE(add);
    tryWrite(fd, counter);
  }
  assert.equal(tryRead(fd, counter), 8);
  assert.equal(counter.readBigUInt64LE(), 5n);
  assert.equal(tryRead(fd, counter), undefined);
});

test('a FIFO is made with its mode, less the umask', (t) => {
  const path = join(tempDir(t), 'fifo');
  const umask = process.umask(0o027);
  try {
    makeFifo(path, 0o766);
  } finally {
    process.umask(umask);
  }
  assert.ok(statSync(path).isFIFO());
  assert.equal(statSync(path).mode & 0o777, 0o740);
  assert.throws(() => makeFifo(path, 0o600), { code: 'EEXIST', syscall: 'mkfifo', message: `mkfifo ${path}: EEXIST` });
  assert.throws(() => makeFifo(join(path, 'below'), 0o600), { code: 'ENOTDIR' });
});

test('setNonblock belongs to the open file, and can be taken back', (t) => {
  const { read, write } = makePipe();
  own(t, read, write);
  const copy = copyDescriptor(read);
  own(t, copy);
  setNonblock(read, true);
  assert.notEqual(flagsOf(copy) & constants.O_NONBLOCK, 0);
  setNonblock(copy, false);
  assert.equal(flagsOf(read) & constants.O_NONBLOCK, 0);
  assert.throws(() => setNonblock(999_999, true), { code: 'EBADF' });
});

test('copyDescriptor gives another number for the same file, close-on-exec, above the standard ones', (t) => {
  const fd = makeMemfd('x');
  const copy = copyDescriptor(fd);
  own(t, fd, copy);
  assert.notEqual(copy, fd);
  assert.ok(copy > 2);
  assert.equal(fstatSync(copy).ino, fstatSync(fd).ino);
  assert.notEqual(flagsOf(copy) & FD_CLOEXEC_FLAG, 0);
  assert.throws(() => copyDescriptor(999_999), { code: 'EBADF' });
});

test('duplicate replaces what a number stands for', (t) => {
  const one = makeMemfd('one');
  const two = makeMemfd('two');
  own(t, one, two);
  duplicate(one, two);
  assert.equal(openDescriptors()[two], '/memfd:one (deleted)');
  assert.notEqual(flagsOf(two) & FD_CLOEXEC_FLAG, 0);
  assert.throws(() => duplicate(999_999, two), { code: 'EBADF' });
  assert.throws(() => duplicate(one, one), { code: 'EINVAL' });
});

test('a standard descriptor that is replaced stays open across exec', (t) => {
  const saved = copyDescriptor(0);
  const fd = makeMemfd('zero');
  own(t, saved, fd);
  try {
    duplicate(fd, 0);
    assert.equal(flagsOf(0) & FD_CLOEXEC_FLAG, 0);
  } finally {
    duplicate(saved, 0);
  }
});

test('isHungUp: the last writer of a FIFO is gone', (t) => {
  const path = join(tempDir(t), 'fifo');
  makeFifo(path, 0o600);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  own(t, reader);
  const first = openSync(path, constants.O_WRONLY);
  const second = openSync(path, constants.O_WRONLY);
  assert.equal(isHungUp(reader), false);
  closeSync(first);
  assert.equal(isHungUp(reader), false);
  writeSync(second, 'left behind');
  closeSync(second);
  assert.equal(isHungUp(reader), true, 'what was written and not read does not matter');
  const third = openSync(path, constants.O_WRONLY);
  assert.equal(isHungUp(reader), false);
  closeSync(third);
});

test('nothing stays open', (t) => {
  const dir = tempDir(t);
  let count = 0;
  return leavesNothingOpen(() => {
    const { read, write } = makePipe();
    const others = [makeMemfd('x'), makeEventfd(), copyDescriptor(read)];
    makeFifo(join(dir, String(count++)), 0o600);
    for (const fd of [read, write, ...others]) closeSync(fd);
  });
});
