import assert from 'node:assert/strict';
import { closeSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { isatty } from 'node:tty';
import {
  listenUnix,
  makePipe,
  openTerminalPeer,
  setNonblock,
  setWindowSize,
  spawn,
  tryAccept,
  tryRead,
  tryReceiveDescriptor,
  tryWrite,
} from '../../src/sys/index.js';
import { eventually } from '../support/eventually.js';
import { captured, helper, leavesNothingOpen, openDescriptors, tempDir } from './fixtures/support.js';

/** The master of a new, unlocked terminal, as a runtime would send it. */
async function newMaster(path: string): Promise<number> {
  const listener = listenUnix(path);
  const { read, write } = makePipe();
  const child = spawn(helper(), ['helper', 'send', path, '1', 'pty'], { stdio: [read, 2, 2] });
  const socket = await eventually('a connection', () => tryAccept(listener));
  const master = await eventually('a message', () => tryReceiveDescriptor(socket));
  for (const fd of [listener, read, write, socket]) closeSync(fd);
  assert.equal(await child.exited, 0);
  setNonblock(master, true);
  return master;
}

async function terminal(t: TestContext): Promise<number> {
  const master = await newMaster(join(tempDir(t), 's'));
  t.after(() => closeSync(master));
  return master;
}

async function readAll(fd: number, length: number): Promise<string> {
  let text = '';
  const buffer = Buffer.alloc(4096);
  await eventually(`${length} characters`, () => {
    const n = tryRead(fd, buffer);
    if (n !== undefined) text += buffer.toString('utf8', 0, n);
    return text.length >= length;
  });
  return text;
}

test('the peer of a master is its terminal', async (t) => {
  const master = await terminal(t);
  const peer = openTerminalPeer(master);
  t.after(() => closeSync(peer));
  assert.ok(isatty(peer));
  assert.match(openDescriptors()[peer]!, /^\/dev\/pts\/\d+$/);
  assert.equal(tryWrite(peer, Buffer.from('out\n')), 4);
  assert.equal(await readAll(master, 5), 'out\r\n', 'as a terminal has it');
  assert.equal(tryWrite(master, Buffer.from('in\n')), 3);
  setNonblock(peer, true);
  assert.equal(await readAll(peer, 3), 'in\n');
});

test('the peer does not become this process’s controlling terminal', async (t) => {
  const master = await terminal(t);
  closeSync(openTerminalPeer(master));
  assert.notEqual(openDescriptors()[0], '/dev/tty');
  assert.throws(
    () => {
      closeSync(openTerminalPeer(-1));
    },
    { code: 'EBADF', syscall: 'ioctl' },
  );
});

test('the size is what the process in the terminal sees, columns and rows not mixed up', async (t) => {
  const master = await terminal(t);
  setWindowSize(master, 132, 43);
  const peer = openTerminalPeer(master);
  t.after(() => closeSync(peer));
  const size = await captured((write) => spawn('/usr/bin/stty', ['stty', 'size'], { stdio: [peer, write, 2] }).exited);
  assert.equal(size, '43 132\n');
});

test('what is no terminal has no size and no peer', (t) => {
  const { read, write } = makePipe();
  t.after(() => [read, write].forEach((fd) => closeSync(fd)));
  assert.throws(() => setWindowSize(read, 80, 24), {
    code: 'ENOTTY',
    syscall: 'ioctl',
    message: 'ioctl TIOCSWINSZ: ENOTTY',
  });
  assert.throws(() => openTerminalPeer(read), { code: 'ENOTTY', message: 'ioctl TIOCGPTPEER: ENOTTY' });
});

test('a master whose peers are all closed reads as EIO', async (t) => {
  const master = await terminal(t);
  const peer = openTerminalPeer(master);
  assert.equal(tryRead(master, Buffer.alloc(10)), undefined, 'somebody has it open');
  closeSync(peer);
  assert.throws(() => tryRead(master, Buffer.alloc(10)), { code: 'EIO' });
});

test('nothing stays open', (t) => {
  const dir = tempDir(t);
  let count = 0;
  return leavesNothingOpen(async () => {
    const master = await newMaster(join(dir, String(count++)));
    closeSync(openTerminalPeer(master));
    closeSync(master);
  });
});
