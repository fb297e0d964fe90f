import assert from 'node:assert/strict';
import { closeSync, constants, mkdirSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { openInput, openKeeper, openOutput, openRest } from '../../src/shim/stdio/fifo.js';
import { isHungUp, makeFifo, setNonblock, tryRead, tryWrite } from '../../src/sys/index.js';
import { isPending } from '../support/eventually.js';
import { leavesNothingOpen, openDescriptors, tempDir } from './fixtures/support.js';

const { O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;

function fifo(t: TestContext): string {
  const path = join(tempDir(t), 'fifo');
  makeFifo(path, 0o600);
  return path;
}

function nonblocking(fd: number): boolean {
  return (
    (parseInt(/^flags:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))![1]!, 8) & O_NONBLOCK) !== 0
  );
}

test('output waits for its reader, however late, and blocks nothing meanwhile', async (t) => {
  const path = fifo(t);
  const opening = openOutput(path);
  assert.ok(await isPending(opening));
  const reader = openSync(path, O_RDONLY | O_NONBLOCK);
  const { fd, isFifo } = await opening;
  assert.deepEqual([isFifo, nonblocking(fd)], [true, true]);
  tryWrite(fd, Buffer.from('x'));
  assert.equal(tryRead(reader, Buffer.alloc(10)), 1);
  for (const each of [reader, fd]) closeSync(each);
});

test('output that nobody reads in time is an error that does not look like a missing command', async (t) => {
  const path = fifo(t);
  await assert.rejects(openOutput(path, 20), (error: Error) => {
    assert.equal(
      error.message,
      `containerd-shim: opening w/o fifo ${JSON.stringify(path)} failed: nobody opened it for reading within 0.02 s`,
    );
    return true;
  });
});

test('a client that goes away costs no EPIPE, and finds what was written when it comes back', async (t) => {
  const path = fifo(t);
  const first = openSync(path, O_RDONLY | O_NONBLOCK);
  const { fd } = await openOutput(path);
  closeSync(first);
  assert.equal(tryWrite(fd, Buffer.from('meanwhile')), 9);
  const rest = openRest(fd);
  closeSync(fd);
  const second = openSync(path, O_RDONLY | O_NONBLOCK);
  const buffer = Buffer.alloc(20);
  assert.equal(buffer.toString('utf8', 0, tryRead(second, buffer)), 'meanwhile');
  assert.equal(tryRead(second, buffer), 0, 'what is left of ours is no writer');
  assert.ok(nonblocking(rest));
  for (const each of [second, rest]) closeSync(each);
});

test('a plain file is appended to, and must be there', async (t) => {
  const file = join(tempDir(t), 'file');
  await assert.rejects(openOutput(file), (error: Error) =>
    error.message.startsWith(`containerd-shim: opening w/o fifo ${JSON.stringify(file)} failed: ENOENT`),
  );
  writeFileSync(file, 'before ');
  const { fd, isFifo } = await openOutput(file);
  assert.equal(isFifo, false);
  writeSync(fd, 'after');
  closeSync(fd);
  assert.equal(readFileSync(file, 'utf8'), 'before after');
});

test('a FIFO that is removed while we wait is still the one', async (t) => {
  const path = fifo(t);
  const held = openSync(path, constants.O_RDWR);
  const [handle] = Object.entries(openDescriptors()).find(([, target]) => target === path)!;
  closeSync(openSync(`/proc/self/fd/${handle}`, O_WRONLY | O_NONBLOCK));
  const opening = openOutput(path);
  rmSync(path);
  mkdirSync(path);
  const { fd } = await opening;
  tryWrite(fd, Buffer.from('x'));
  setNonblock(held, true);
  assert.equal(tryRead(held, Buffer.alloc(10)), 1);
  for (const each of [held, fd]) closeSync(each);
});

test('input waits for nobody, and has no end before our own writer goes', async (t) => {
  const path = fifo(t);
  const reader = await openInput(path);
  const keeper = openKeeper(reader);
  const buffer = Buffer.alloc(20);
  assert.equal(tryRead(reader, buffer), undefined, 'no end, though no client has come');
  const client = openSync(path, O_WRONLY);
  writeSync(client, 'typed');
  closeSync(client);
  assert.equal(buffer.toString('utf8', 0, tryRead(reader, buffer)), 'typed');
  assert.equal(tryRead(reader, buffer), undefined, 'no end, though the client is gone');
  closeSync(keeper);
  assert.equal(tryRead(reader, buffer), 0);
  for (const fd of [reader]) closeSync(fd);
});

test('no end of an input ever blocks', async (t) => {
  const reader = await openInput(fifo(t));
  const keeper = openKeeper(reader);
  assert.deepEqual([reader, keeper].map(nonblocking), [true, true]);
  for (const fd of [reader, keeper]) closeSync(fd);
});

test('an input is hung up when a client has been there and has left, and not before', async (t) => {
  const path = fifo(t);
  const reader = await openInput(path);
  assert.equal(isHungUp(reader), false, 'nobody has come');
  const client = openSync(path, O_WRONLY);
  assert.equal(isHungUp(reader), false);
  closeSync(client);
  assert.equal(isHungUp(reader), true);
  const keeper = openKeeper(reader);
  assert.equal(isHungUp(reader), false);
  for (const fd of [reader, keeper]) closeSync(fd);
});

test('input that is missing', async (t) => {
  const path = join(tempDir(t), 'missing');
  await assert.rejects(openInput(path), (error: Error) =>
    error.message.startsWith(`containerd-shim: opening r/o fifo ${JSON.stringify(path)} failed: ENOENT`),
  );
});

test('nothing stays open', (t) => {
  const path = fifo(t);
  const missing = join(path, '..', 'missing');
  return leavesNothingOpen(async () => {
    await assert.rejects(openOutput(path, 0));
    await assert.rejects(openOutput(missing));
    await assert.rejects(openInput(missing));
    const reader = await openInput(path);
    const output = await openOutput(path);
    for (const fd of [reader, openKeeper(reader), output.fd]) closeSync(fd);
  });
});
