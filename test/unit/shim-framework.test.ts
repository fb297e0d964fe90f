import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { isatty } from 'node:tty';
import { ConsoleSocket } from '../../src/runc/index.js';
import { killInit, writeInit } from '../../src/shim/framework/init-file.js';
import { holdProcess, signalProcess, startProcess, type TaskProcess } from '../../src/shim/index.js';
import { makePipe, sendTerminal, setNonblock, tryRead, tryWrite } from '../../src/sys/index.js';
import { Code, TtrpcError } from '../../src/ttrpc/index.js';
import { eventually } from '../support/eventually.js';
import { isAlive } from '../support/machine.js';
import { leavesNothingOpen, tempDir } from './fixtures/support.js';

/** A process that writes into a pipe of ours. */
function task(t: TestContext): { task: TaskProcess; output: () => Promise<string> } {
  const { read, write } = makePipe();
  const nowhere = openSync('/dev/null', 'r');
  t.after(() => {
    closeSync(read);
    closeSync(nowhere);
  });
  return {
    task: { id: 'x', stdio: [nowhere, write, write], terminal: false, consoleSocket: undefined, pid: 0 },
    async output() {
      closeSync(write);
      setNonblock(read, true);
      const buffer = Buffer.alloc(4096);
      let text = '';
      await eventually('the end of the output', () => {
        const n = tryRead(read, buffer);
        text += buffer.toString('utf8', 0, n ?? 0);
        return n === 0;
      });
      return text;
    },
  };
}

test('a held process has a pid, and runs its command when it is released', async (t) => {
  const { task: one, output } = task(t);
  const held = holdProcess(one, ['sh', '-c', 'echo "$0 $GREETING"; exit 3', 'name'], {
    env: ['GREETING=ahoy', 'PATH=/bin:/usr/bin'],
  });
  assert.ok(held.pid > 0);
  held.release();
  held.release();
  assert.equal(await held.exited, 3);
  assert.equal(await output(), 'name ahoy\n');
});

test('a held process that is killed has never run its command', async (t) => {
  const { task: one, output } = task(t);
  const held = holdProcess(one, ['/bin/echo', 'too early']);
  signalProcess(held.pid, 9);
  assert.equal(await held.exited, 137);
  held.release();
  assert.equal(await output(), '');
});

test('a program that is not there is named before anything is made', () =>
  leavesNothingOpen(() => {
    const nothing: TaskProcess = { id: 'x', stdio: [], terminal: false, consoleSocket: undefined, pid: 0 };
    assert.throws(
      () => holdProcess(nothing, ['no-such-program']),
      /exec: "no-such-program": executable file not found in \$PATH/,
    );
    assert.throws(
      () => startProcess(nothing, ['/no/such/program']),
      /fork\/exec \/no\/such\/program: no such file or directory/,
    );
    assert.throws(() => startProcess(nothing, []), /there is no command to run/);
  }));

test('a signal to a process that has ended is NotFound, and one for all reaches the group', async (t) => {
  const { task: one, output } = task(t);
  const child = startProcess(one, ['sh', '-c', 'sleep 1000 & echo $!; wait']);
  const { pid } = child;
  await eventually('the second process', () => readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1') !== '');
  signalProcess(pid, 9, { all: true });
  assert.equal(await child.exited, 137);
  const second = Number(await output());
  await eventually('the group to end', () => !isAlive(second));
  assert.throws(
    () => signalProcess(pid, 15),
    (error) => error instanceof TtrpcError && error.code === Code.NotFound,
  );
});

test('a terminal of our own making: the master goes to the socket, the slave is a terminal', async () => {
  const socket = new ConsoleSocket();
  try {
    const received = socket.receive(5000);
    const slave = sendTerminal(socket.path);
    const master = await received;
    assert.ok(isatty(slave));
    setNonblock(master, true);
    tryWrite(slave, Buffer.from('from the slave\n'));
    const buffer = Buffer.alloc(100);
    const n = await eventually('what was written', () => tryRead(master, buffer));
    assert.equal(buffer.toString('utf8', 0, n), 'from the slave\r\n');
    closeSync(slave);
    closeSync(master);
  } finally {
    socket.close();
  }
  assert.throws(() => sendTerminal('/no/such/socket'), /ENOENT/);
});

test('the init is killed by whoever cleans up, and never another process that has its pid', async (t) => {
  const dir = tempDir(t);
  assert.equal(killInit(dir), 0);
  const { task: one } = task(t);
  const child = startProcess(one, ['sleep', '1000']);
  writeInit(dir, child.pid);
  const file = join(dir, 'init.json');
  const text = readFileSync(file, 'utf8');
  writeFileSync(file, text.replace(/"started":"\d+"/, '"started":"1"'));
  assert.equal(killInit(dir), child.pid);
  assert.ok(isAlive(child.pid));
  writeFileSync(file, text);
  killInit(dir);
  assert.equal(await child.exited, 137);
});
