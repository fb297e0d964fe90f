/** Stdio without a terminal: pipes, and copies between them and what is the client's. */
import assert from 'node:assert/strict';
import { spawn as spawnClient } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Observations } from '../../src/shim/observe/observations.js';
import { PlainStdio } from '../../src/shim/stdio/plain.js';
import type { StdioRequest } from '../../src/shim/stdio/types.js';
import { makeFifo, spawn } from '../../src/sys/index.js';
import { leavesNothingOpen, tempDir } from './fixtures/support.js';

function request(dir: string, streams: ('stdin' | 'stdout' | 'stderr')[]): StdioRequest {
  const path = (name: 'stdin' | 'stdout' | 'stderr'): string => (streams.includes(name) ? join(dir, name) : '');
  for (const name of streams) makeFifo(join(dir, name), 0o600);
  return {
    stdin: path('stdin'),
    stdout: path('stdout'),
    stderr: path('stderr'),
    terminal: false,

    uid: 0,
    gid: 0,
    init: undefined,
    id: 'c',
    namespace: 'n',
    onDeath: '',
  };
}

/** Reads a FIFO to its end. */
async function contents(path: string): Promise<string> {
  const client = spawnClient('cat', [path], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  client.stdout.setEncoding('utf8').on('data', (data: string) => (text += data));
  await once(client, 'close');
  return text;
}

/** Runs a shell command with the stdio as a container's process would be. */
async function run(stdio: PlainStdio, command: string): Promise<number> {
  stdio.beforeStart();
  const child = spawn('/bin/sh', ['sh', '-c', command], { stdio: stdio.given });
  stdio.handedOver();
  await stdio.attach();
  const status = await child.exited;
  stdio.processExited(false);
  return status;
}

async function copies(t: TestContext): Promise<void> {
  const req = request(tempDir(t), ['stdin', 'stdout', 'stderr']);
  const [out, err] = [contents(req.stdout), contents(req.stderr)];
  const stdio = await PlainStdio.open(req, assert.fail, new Observations());
  const writer = spawnClient('sh', ['-c', `exec >"${req.stdin}"; head -c 300000 /dev/zero | tr '\\0' x`], {
    stdio: 'ignore',
  });
  void once(writer, 'exit').then(() => stdio.closeStdin());
  const status = await run(stdio, 'wc -c; echo problem >&2; head -c 200000 /dev/zero | tr "\\0" y; exit 3');
  assert.equal(status, 3);
  assert.equal(await stdio.drained(20_000), true);
  assert.equal(await out, `300000\n${'y'.repeat(200_000)}`);
  assert.equal(await err, 'problem\n');
  await stdio.close();
}

test('input, output and errors are copied whole; each client finds its end before the process is deleted', copies);

test('nothing stays open', (t) => leavesNothingOpen(() => copies(t)));

test('a CloseIO that comes before the start leaves what the client wrote, and the end', async (t) => {
  const req = request(tempDir(t), ['stdin', 'stdout']);
  const out = contents(req.stdout);
  const stdio = await PlainStdio.open(req, assert.fail, new Observations());
  await once(spawnClient('sh', ['-c', `echo early > "${req.stdin}"`], { stdio: 'ignore' }), 'exit');
  stdio.closeStdin();
  assert.equal(await run(stdio, 'cat'), 0);
  assert.equal(await out, 'early\n');
  await stdio.close();
});

test('no streams at all: the process finds an empty input, and may write', async () => {
  const stdio = await PlainStdio.open(
    {
      stdin: '',
      stdout: '',
      stderr: '',
      terminal: false,

      uid: 0,
      gid: 0,
      init: undefined,
      id: 'c',
      namespace: 'n',
      onDeath: '',
    },
    assert.fail,
    new Observations(),
  );
  assert.equal(await run(stdio, 'cat && echo something && echo else >&2'), 0);
  await stdio.close();
});

test('one who goes on writing after the process has ended holds drained() up no longer than allowed', async (t) => {
  const req = request(tempDir(t), ['stdout']);
  const reader = openSync(req.stdout, constants.O_RDONLY | constants.O_NONBLOCK);
  const stdio = await PlainStdio.open(req, assert.fail, new Observations());
  const pidFile = join(tempDir(t), 'pid');
  assert.equal(await run(stdio, `sleep 1000 & echo $! > ${pidFile}`), 0);
  const pid = Number(readFileSync(pidFile, 'utf8'));
  t.after(() => process.kill(pid));
  assert.equal(await stdio.drained(50), false);
  await stdio.close();
  assert.equal(await stdio.drained(20_000), true);
  closeSync(reader);
});
