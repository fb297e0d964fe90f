import assert from 'node:assert/strict';
import { closeSync, existsSync, fstatSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { runCommand, runningCommands } from '../../src/runc/command.js';
import { eventually } from '../support/eventually.js';
import {
  captured,
  helper,
  leavesNothingOpen,
  openDescriptors,
  processState,
  script,
  tempDir,
} from './fixtures/support.js';

function inPath(t: TestContext, dir: string): void {
  const before = process.env.PATH;
  process.env.PATH = `${dir}${delimiter}${before}`;
  t.after(() => (process.env.PATH = before));
}

test('output of both streams is captured, in order, with the status', async (t) => {
  const file = script(tempDir(t), 'tool', 'echo out; echo err >&2; echo "$1,$2"; exit 3');
  assert.deepEqual(await runCommand(file, ['a b', '']), { status: 3, output: 'out\nerr\na b,\n' });
});

test('a signal is a status above 128', async (t) => {
  const file = script(tempDir(t), 'tool', 'kill -KILL $$');
  assert.deepEqual(await runCommand(file, []), { status: 137, output: '' });
});

test('output is bounded at 64 KiB', async (t) => {
  const dir = tempDir(t);
  const exact = script(dir, 'exact', 'head -c 65536 /dev/zero | tr "\\\\0" x');
  assert.equal((await runCommand(exact, [])).output, 'x'.repeat(65536));
  const more = script(dir, 'more', 'head -c 300000 /dev/zero | tr "\\\\0" x');
  const { status, output } = await runCommand(more, []);
  assert.equal(status, 0);
  assert.equal(output.length, 65536);
});

test('a process that holds the output and lives on delays nothing', async (t) => {
  const gate = join(tempDir(t), 'gate');
  writeFileSync(gate, '');
  assert.deepEqual(await runCommand(helper(), ['linger', gate]), { status: 0, output: 'done' });
  assert.ok(existsSync(gate), 'it still runs');
});

test('standard input is empty, or what is given, however long', async (t) => {
  const file = script(tempDir(t), 'tool', 'cat');
  assert.equal((await runCommand(file, [])).output, '');
  assert.equal((await runCommand(file, [], { input: Buffer.from('{"a":"ü"}') })).output, '{"a":"ü"}');
  assert.equal((await runCommand(file, [], { input: Buffer.alloc(0) })).output, '');
  const count = script(tempDir(t), 'count', 'wc -c');
  assert.equal((await runCommand(count, [], { input: Buffer.alloc(3_000_000, 'y') })).output.trim(), '3000000');
});

test('given descriptors are used as they are, and nothing is captured', async (t) => {
  const file = script(tempDir(t), 'tool', 'cat; echo out; echo err >&2');
  const zero = openSync('/dev/null', 'r');
  let result: unknown;
  const text = await captured(async (write) => {
    result = await runCommand(file, [], { stdio: [zero, write, write] });
  });
  closeSync(zero);
  assert.deepEqual(result, { status: 0, output: '' });
  assert.equal(text, 'out\nerr\n');
});

test('onSpawn comes while the command runs, and its descriptors may go then', async (t) => {
  const dir = tempDir(t);
  const gate = join(dir, 'gate');
  writeFileSync(gate, '');
  const file = script(dir, 'tool', `while [ -e ${gate} ]; do sleep 0.01; done; cat`);
  const input = join(dir, 'input');
  writeFileSync(input, 'still there');
  const fd = openSync(input, 'r');
  const text = await captured(async (write) => {
    await runCommand(file, [], {
      stdio: [fd, write, write],
      onSpawn: () => {
        closeSync(fd);
        rmSync(gate);
      },
    });
  });
  assert.equal(text, 'still there');
  assert.throws(() => fstatSync(fd), { code: 'EBADF' });
});

test('a name is looked up in PATH, and is the first argument as it was given', async (t) => {
  const dir = tempDir(t);
  script(dir, 'hawser-tool', 'tr "\\0" "\\n" </proc/$$/cmdline');
  inPath(t, dir);
  const { output } = await runCommand('hawser-tool', ['x']);
  assert.match(output, new RegExp(`${dir}/hawser-tool\nx\n$`));
});

test('a name that is nowhere in PATH: the text that clients know', async (t) => {
  inPath(t, tempDir(t));
  await assert.rejects(runCommand('no-such-runtime', []), {
    message: 'exec: "no-such-runtime": executable file not found in $PATH',
  });
});

test('a path that is missing or cannot be executed: the text that clients know', async (t) => {
  const dir = tempDir(t);
  const missing = join(dir, 'missing');
  await assert.rejects(runCommand(missing, []), { message: `fork/exec ${missing}: no such file or directory` });
  const plain = join(dir, 'plain');
  writeFileSync(plain, '', { mode: 0o644 });
  await assert.rejects(runCommand(plain, []), { message: `fork/exec ${plain}: permission denied` });
  await assert.rejects(runCommand(dir, []), { message: `fork/exec ${dir}: permission denied` });
});

test('a command that cannot be run never gets as far as onSpawn', async () => {
  let called = false;
  await assert.rejects(runCommand('/no/such/file', [], { onSpawn: () => (called = true) }));
  assert.equal(called, false);
});

test('systemd’s readiness socket is not handed on, everything else is', async (t) => {
  const file = script(tempDir(t), 'tool', 'env');
  process.env.NOTIFY_SOCKET = '/run/systemd/notify';
  process.env.HAWSER_TEST = 'kept';
  t.after(() => {
    delete process.env.NOTIFY_SOCKET;
    delete process.env.HAWSER_TEST;
  });
  const { output } = await runCommand(file, []);
  assert.match(output, /^HAWSER_TEST=kept$/m);
  assert.doesNotMatch(output, /NOTIFY_SOCKET/);
  assert.equal(process.env.NOTIFY_SOCKET, '/run/systemd/notify');
});

test('commands under way are listed, and no longer than that', async (t) => {
  const dir = tempDir(t);
  const gate = join(dir, 'gate');
  writeFileSync(gate, '');
  const before = Date.now();
  const running = runCommand(helper(), ['inspect']);
  const slow = runCommand(script(dir, 'slow', `while [ -e ${gate} ]; do sleep 0.01; done`), ['an argument']);
  await running;
  const listed = await eventually('only the slow one is left', () =>
    runningCommands().length === 1 ? runningCommands()[0] : undefined,
  );
  assert.deepEqual(listed.argv, [join(dir, 'slow'), 'an argument']);
  // The kernel lets the parent go on a moment before the arguments show.
  await eventually(
    'its command line shows',
    () => readFileSync(`/proc/${listed.pid}/cmdline`, 'latin1').includes('slow\0an argument') || undefined,
  );
  assert.ok(listed.startedAt >= before && listed.startedAt <= Date.now());
  rmSync(gate);
  await slow;
  assert.deepEqual(runningCommands(), []);
  await assert.rejects(runCommand('/no/such/file', []));
  assert.deepEqual(runningCommands(), []);
});

test('a command is killed when its signal aborts, and none stays listed', async (t) => {
  const over = new AbortController();
  const running = runCommand(script(tempDir(t), 'forever', 'exec sleep 1000'), [], { signal: over.signal });
  over.abort();
  assert.equal((await running).status, 137);
  assert.deepEqual(runningCommands(), []);
});

test('a script that opens /dev/stderr anew loses none of its output', async (t) => {
  const file = script(tempDir(t), 'tool', 'echo one; echo two >/dev/stderr; echo three');
  assert.equal((await runCommand(file, [])).output, 'one\ntwo\nthree\n');
});

test('one who inherited the output and lives on may go on writing to it', async (t) => {
  const dir = tempDir(t);
  const gate = join(dir, 'gate');
  writeFileSync(gate, '');
  const file = script(
    dir,
    'tool',
    `(while [ -e ${gate} ]; do sleep 0.01; done; echo late; echo fine >${dir}/fine) & echo $!`,
  );
  const hook = Number((await runCommand(file, [])).output);
  rmSync(gate);
  await eventually('the hook has ended', () => [undefined, 'Z'].includes(processState(hook)));
  assert.ok(existsSync(join(dir, 'fine')));
});

test('nothing stays open', (t) => {
  const file = script(tempDir(t), 'tool', 'cat; exit 1');
  assert.ok(Object.keys(openDescriptors()).length > 0);
  return leavesNothingOpen(async () => {
    await runCommand(file, [], { input: Buffer.from('x') });
    await runCommand(file, []);
    await assert.rejects(runCommand('/no/such/file', [], { input: Buffer.from('x') }));
  });
});
