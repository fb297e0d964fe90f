import assert from 'node:assert/strict';
import { closeSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import {
  connectUnix,
  listenUnix,
  makePipe,
  peerCredentials,
  setNonblock,
  tryAccept,
  tryReceiveDescriptor,
  tryWrite,
} from '../../src/sys/index.js';
import { eventually } from '../support/eventually.js';
import { helperUntilEnd, leavesNothingOpen, openDescriptors, readSome, tempDir } from './fixtures/support.js';

/** A connection from the helper, which does this until it is told to end. */
async function connection(
  path: string,
  listener: number,
  ...args: string[]
): Promise<{ socket: number; pid: number; end: () => Promise<number> }> {
  const { pid, end } = helperUntilEnd(...args);
  const socket = await eventually(`a connection to ${path}`, () => tryAccept(listener));
  return { socket, pid, end };
}

function listening(t: TestContext): { path: string; listener: number } {
  const path = join(tempDir(t), 's');
  const listener = listenUnix(path);
  t.after(() => closeSync(listener));
  return { path, listener };
}

test('listens at a path, and accepts when somebody connects', async (t) => {
  const { path, listener } = listening(t);
  assert.ok(statSync(path).isSocket());
  assert.equal(tryAccept(listener), undefined);
  const { socket, end } = await connection(path, listener, 'connect', path);
  assert.ok(socket > 2);
  assert.equal(tryReceiveDescriptor(socket), undefined, 'nothing is there yet, and the connection does not block');
  assert.equal(tryAccept(listener), undefined);
  closeSync(socket);
  assert.equal(await end(), 0);
});

test('connects to who listens, without waiting for anybody', (t) => {
  const { path, listener } = listening(t);
  const before = Object.keys(openDescriptors()).length;
  const ours = connectUnix(path);
  const theirs = tryAccept(listener)!;
  assert.equal(peerCredentials(theirs).pid, process.pid);
  assert.equal(tryReceiveDescriptor(ours), undefined, 'it does not block');
  tryWrite(theirs, Buffer.from('x'));
  assert.equal(readSome(ours), 'x');
  closeSync(ours);
  closeSync(theirs);
  assert.throws(() => connectUnix(`${path}-missing`), { code: 'ENOENT', syscall: 'connect' });
  assert.throws(() => connectUnix(`/${'x'.repeat(107)}`), { code: 'ENAMETOOLONG' });
  assert.equal(Object.keys(openDescriptors()).length, before);
});

test('a path that is taken, missing or too long is an error, and leaves no descriptor', (t) => {
  const { path } = listening(t);
  const before = Object.keys(openDescriptors()).length;
  assert.throws(() => listenUnix(path), { code: 'EADDRINUSE', syscall: 'listen' });
  assert.throws(() => listenUnix(join(path, '..', 'missing', 's')), { code: 'ENOENT' });
  assert.throws(() => listenUnix(`/${'x'.repeat(107)}`), { code: 'ENAMETOOLONG' });
  assert.throws(() => listenUnix(''), { code: 'EINVAL' });
  assert.equal(Object.keys(openDescriptors()).length, before);
});

test('a path of 107 bytes is the longest', (t) => {
  const dir = tempDir(t);
  const path = join(dir, 'x'.repeat(107 - dir.length - 1));
  assert.equal(Buffer.byteLength(path), 107);
  closeSync(listenUnix(path));
  assert.ok(statSync(path).isSocket());
});

test('who is at the other end', async (t) => {
  const { path, listener } = listening(t);
  const { socket, pid, end } = await connection(path, listener, 'connect', path);
  assert.deepEqual(peerCredentials(socket), { pid, uid: process.getuid!(), gid: process.getgid!() });
  await end();
  assert.deepEqual(peerCredentials(socket).pid, pid, 'as of connect time');
  closeSync(socket);
  const { read, write } = makePipe();
  assert.throws(() => peerCredentials(read), { code: 'ENOTSOCK', syscall: 'getsockopt' });
  closeSync(read);
  closeSync(write);
});

test('one descriptor arrives, close-on-exec', async (t) => {
  const { path, listener } = listening(t);
  const { socket, end } = await connection(path, listener, 'send', path, '1');
  const fd = await eventually('a message', () => tryReceiveDescriptor(socket));
  assert.equal(openDescriptors()[fd], '/dev/null');
  assert.match(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'), /^flags:\s*02/m);
  assert.equal(tryReceiveDescriptor(socket), undefined);
  closeSync(fd);
  closeSync(socket);
  assert.equal(await end(), 0);
});

for (const count of [0, 2, 3, 8, 12]) {
  test(`a message with ${count} descriptors is EBADMSG, and none of them is kept`, async (t) => {
    const { path, listener } = listening(t);
    const { socket, end } = await connection(path, listener, 'send', path, String(count));
    const before = openDescriptors();
    await assert.rejects(
      eventually('a message', () => tryReceiveDescriptor(socket)),
      (error: NodeJS.ErrnoException) => {
        assert.deepEqual([error.errno, error.syscall], [-74, 'recvmsg']);
        return true;
      },
    );
    assert.deepEqual(openDescriptors(), before);
    closeSync(socket);
    assert.equal(await end(), 0);
  });
}

test('EBADMSG is so called', async (t) => {
  const { path, listener } = listening(t);
  const { socket, end } = await connection(path, listener, 'send', path, '0');
  t.after(() => closeSync(socket));
  await assert.rejects(
    eventually('a message', () => tryReceiveDescriptor(socket)),
    { code: 'EBADMSG' },
  );
  await end();
});

test('a peer that ends without a word is an error too, not a wait for ever', async (t) => {
  const { path, listener } = listening(t);
  const { socket, end } = await connection(path, listener, 'connect', path);
  assert.equal(await end(), 0);
  assert.throws(() => tryReceiveDescriptor(socket), { errno: -74 });
  closeSync(socket);
});

test('what was received works', async (t) => {
  const { path, listener } = listening(t);
  const { socket, end } = await connection(path, listener, 'send', path, '1', 'pty');
  const master = await eventually('a message', () => tryReceiveDescriptor(socket));
  setNonblock(master, true);
  assert.equal(readSome(master), '');
  assert.equal(tryWrite(master, Buffer.from('x')), 1);
  closeSync(master);
  closeSync(socket);
  await end();
});

test('nothing stays open', (t) => {
  const dir = tempDir(t);
  let count = 0;
  return leavesNothingOpen(async () => {
    const path = join(dir, String(count++));
    const listener = listenUnix(path);
    const { socket, end } = await connection(path, listener, 'send', path, '1');
    closeSync(await eventually('a message', () => tryReceiveDescriptor(socket)));
    for (const fd of [socket, listener]) closeSync(fd);
    await end();
  });
});
