import assert from 'node:assert/strict';
import { closeSync, existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { isatty } from 'node:tty';
import { ConsoleSocket } from '../../src/runc/index.js';
import { openTerminalPeer } from '../../src/sys/index.js';
import { helperUntilEnd, leavesNothingOpen, tempDir } from './fixtures/support.js';

test('the master of a terminal arrives', async () => {
  const console = new ConsoleSocket();
  const sender = helperUntilEnd('send', console.path, '1', 'pty');
  const master = await console.receive(60_000);
  console.close();
  const peer = openTerminalPeer(master);
  assert.ok(isatty(peer));
  closeSync(peer);
  closeSync(master);
  assert.equal(await sender.end(), 0);
});

test('it arrives also when the runtime sent it, and ended, before anybody asked', async () => {
  const console = new ConsoleSocket();
  const sender = helperUntilEnd('send', console.path, '1', 'pty');
  assert.equal(await sender.end(), 0);
  const master = await console.receive(60_000);
  console.close();
  closeSync(openTerminalPeer(master));
  closeSync(master);
});

for (const [what, args] of [
  ['no descriptor', ['send', '0']],
  ['two descriptors', ['send', '2']],
] as const) {
  test(`${what} is an error`, async () => {
    const console = new ConsoleSocket();
    const sender = helperUntilEnd(args[0], console.path, args[1]);
    await assert.rejects(console.receive(60_000), { errno: -74, syscall: 'recvmsg' });
    console.close();
    assert.equal(await sender.end(), 0);
  });
}

test('a runtime that connects and ends without a word is an error', async () => {
  const console = new ConsoleSocket();
  const sender = helperUntilEnd('connect', console.path);
  const refused = assert.rejects(console.receive(60_000), { errno: -74 });
  assert.equal(await sender.end(), 0);
  await refused;
  console.close();
});

test('nobody connects in time', async () => {
  const console = new ConsoleSocket();
  await assert.rejects(console.receive(20), { message: 'the runtime sent no terminal within 0.02 s' });
  console.close();
});

test('somebody connects, but sends nothing in time', async () => {
  const console = new ConsoleSocket();
  const silent = helperUntilEnd('connect', console.path);
  await assert.rejects(console.receive(300), { message: 'the runtime sent no terminal within 0.3 s' });
  console.close();
  assert.equal(await silent.end(), 0);
});

test('closing it ends a wait, and removes the socket with its directory', async () => {
  const console = new ConsoleSocket();
  assert.ok(existsSync(console.path));
  const received = console.receive(60_000);
  console.close();
  await assert.rejects(received, { message: 'the console socket was closed before the runtime sent a terminal' });
  assert.equal(existsSync(dirname(console.path)), false);
  console.close();
});

test('asking a closed one is an error', async () => {
  const console = new ConsoleSocket();
  console.close();
  await assert.rejects(console.receive(60_000));
});

test('XDG_RUNTIME_DIR is where it is made, when there is one', (t) => {
  const dir = tempDir(t);
  const before = process.env.XDG_RUNTIME_DIR;
  t.after(() => {
    if (before === undefined) delete process.env.XDG_RUNTIME_DIR;
    else process.env.XDG_RUNTIME_DIR = before;
  });
  process.env.XDG_RUNTIME_DIR = dir;
  const console = new ConsoleSocket();
  assert.match(console.path, new RegExp(`^${dir}/pty[^/]+/pty\\.sock$`));
  console.close();
});

test('a directory that is not there is an error, and one too deep leaves nothing', (t) => {
  const before = process.env.XDG_RUNTIME_DIR;
  t.after(() => {
    if (before === undefined) delete process.env.XDG_RUNTIME_DIR;
    else process.env.XDG_RUNTIME_DIR = before;
  });
  process.env.XDG_RUNTIME_DIR = '/no/such/dir';
  assert.throws(() => new ConsoleSocket(), { code: 'ENOENT' });
});

test('nothing stays open', () =>
  leavesNothingOpen(async () => {
    const good = new ConsoleSocket();
    const sender = helperUntilEnd('send', good.path, '1', 'pty');
    closeSync(await good.receive(60_000));
    good.close();
    await sender.end();
    const bad = new ConsoleSocket();
    const garbage = helperUntilEnd('send', bad.path, '2');
    await assert.rejects(bad.receive(60_000));
    bad.close();
    await garbage.end();
    const late = new ConsoleSocket();
    await assert.rejects(late.receive(1));
    late.close();
  }));
