/** Streams of the client's processes: every byte, and their ends. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { FailedPreconditionError, type Container, type Process } from '../../src/client/index.js';
import { ClientLab, sh } from '../support/client-lab.js';
import { eventually, rounds, within } from '../support/eventually.js';
import { sha256 } from '../support/fifo-client.js';

let lab: ClientLab;
let container: Container;

before(async () => {
  lab = await ClientLab.open();
  container = await lab.idle();
});
after(() => lab.close());

/** Gathers text from now on. */
function gather(process: Process): { text: string } {
  const seen = { text: '' };
  process.stdout.on('data', (chunk: Buffer) => (seen.text += chunk.toString()));
  return seen;
}

for (const kind of ['an exec', 'a container'] as const) {
  test(`a mebibyte through the input of ${kind} and back, and the end after it`, async () => {
    const data = randomBytes(1024 * 1024);
    const own = kind === 'a container' ? await lab.start(['cat'], {}, { stdin: 'pipe' }) : undefined;
    const process = own?.process ?? (await container.exec({ args: ['cat'], stdin: 'pipe' }));
    process.stdin.end(data);
    const { stdout, stderr, exitCode } = await within('cat to end', process.result({ encoding: 'buffer' }));
    assert.equal(sha256(stdout), sha256(data));
    assert.deepEqual([stderr.length, exitCode], [0, 0]);
    await own?.container.delete({ kill: true });
  });
}

test('half-close: the process answers after its input has ended', async () => {
  const process = await container.exec({ args: sh('wc -c; echo done; exit 4'), stdin: 'pipe' });
  process.stdin.write('12345');
  await process.closeStdin();
  assert.deepEqual(await within('wc to end', process.result()), { stdout: '5\ndone\n', stderr: '', exitCode: 4 });
});

test('an input that ends without a byte', async () => {
  const process = await container.exec({ args: ['wc', '-c'], stdin: 'pipe' });
  process.stdin.end();
  assert.equal((await within('wc to end', process.result())).stdout, '0\n');
});

test('output() gives what a command wrote, by stream, and its exit code', async () => {
  assert.deepEqual(await container.output(sh('echo out; echo err >&2; exit 3')), {
    stdout: 'out\n',
    stderr: 'err\n',
    exitCode: 3,
  });
  assert.deepEqual(await container.output(['true']), { stdout: '', stderr: '', exitCode: 0 });
  assert.equal((await container.output(sh('kill -9 $$'))).exitCode, 137);
  assert.equal((await container.output(['cat'], { input: 'given' })).stdout, 'given');
  assert.deepEqual(
    (await container.output(['cat'], { input: 'bytes', encoding: 'buffer' })).stdout,
    Buffer.from('bytes'),
  );
});

test('200 quick execs: the output of each is whole', async () => {
  const all = rounds(200);
  const numbers = Array.from({ length: all }, (_, n) => n);
  const seen: string[] = [];
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (let n = numbers.shift(); n !== undefined; n = numbers.shift()) {
        const { stdout, stderr, exitCode } = await container.output(
          sh(`echo out ${n}; echo err ${n} >&2; exit ${n % 100}`),
        );
        assert.deepEqual([stdout, stderr, exitCode], [`out ${n}\n`, `err ${n}\n`, n % 100]);
        seen.push(stdout);
      }
    }),
  );
  assert.equal(new Set(seen).size, all);
});

test('much output, read slowly: its last byte comes, and the end', async () => {
  const size = 8 * 1024 * 1024;
  const process = await container.exec({ args: sh(`head -c ${size} /dev/zero; echo end`) });
  let length = 0;
  let last = '';
  for await (const chunk of process.stdout as AsyncIterable<Buffer>) {
    if (length === 0) await delay(100);
    length += chunk.length;
    last = chunk.subarray(-4).toString();
  }
  assert.deepEqual([length, last], [size + 4, 'end\n']);
  assert.equal((await process.wait()).exitCode, 0);
});

test('what a process leaves behind unread does not hold up its end', async () => {
  const process = await container.exec({ args: sh('head -c 60000 /dev/zero; exit 5') });
  assert.equal((await within('the exit', process.wait())).exitCode, 5);
  assert.equal((await within('the end of the output', process.result())).stdout.length, 60_000);
});

test('an exec ends though a child of its own still has its output', async () => {
  const started = await within('the exec', container.output(sh('sleep 1000 & echo started')));
  assert.deepEqual(started, { stdout: 'started\n', stderr: '', exitCode: 0 });
  await container.output(sh('kill -9 $(pgrep sleep | tail -n 1) 2>/dev/null; true'));
});

test('output ends when the container is killed', async () => {
  const { container: other, process } = await lab.start(sh('echo before; sleep 1000'));
  const result = process.result();
  const seen = gather(process);
  await eventually('output', () => seen.text === 'before\n');
  await other.signalProcess('KILL');
  assert.equal((await process.wait()).exitCode, 137);
  assert.deepEqual(await within('the output to end', result), { stdout: 'before\n', stderr: '', exitCode: 137 });
  await other.delete({ kill: true });
});

test('a terminal: one stream, its size, and resizing', async () => {
  const script = sh(
    'stty size; tty; echo err >&2; trap "stty size; exit 6" WINCH; echo ready; while :; do sleep 0.05; done',
  );
  const process = await container.exec({
    args: script,
    terminal: true,
    size: { columns: 91, rows: 17 },
    stdin: 'pipe',
  });
  const seen = gather(process);
  await eventually('the terminal', () => seen.text.includes('ready'));
  assert.match(seen.text, /^17 91\r\n\/dev\/pts\/\d+\r\nerr\r\nready/);
  await process.resize({ columns: 40, rows: 12 });
  assert.equal((await within('the end', process.wait())).exitCode, 6);
  await eventually('the last output', () => seen.text.includes('12 40\r\n'));
});

test("a container's terminal, typed into", async () => {
  const { container: other, process } = await lab.start(
    sh('read line; echo "got $line"; stty size'),
    { terminal: true },
    { stdin: 'pipe', size: { columns: 33, rows: 22 } },
  );
  assert.equal(process.terminal, true);
  process.stdin.write('hello\r');
  const { stdout, exitCode } = await within('the end', process.result());
  assert.equal(stdout, 'hello\r\ngot hello\r\n22 33\r\n');
  assert.equal(exitCode, 0);
  await other.delete({ kill: true });
});

test('the end of the input at a terminal is typed, whether or not a line has begun', async () => {
  for (const [written, read] of [
    ['', ''],
    ['a line\n', 'a line'],
    ['typed\r', 'typed'],
    ['no line', 'no line'],
  ] as const) {
    const process = await container.exec({
      args: sh('stty -echo; echo ready; x=$(cat); echo "<$x>"; exit 3'),
      terminal: true,
      stdin: 'pipe',
    });
    const seen = gather(process);
    await eventually('the terminal', () => seen.text.includes('ready'));
    process.stdin.end(written);
    assert.equal((await within('its end', process.wait())).exitCode, 3, JSON.stringify(written));
    await eventually('what it has read', () => seen.text.endsWith(`ready\r\n<${read}>\r\n`));
  }
});

test('a duplex has the output, ends the input, and ends with the process', async () => {
  const process = await container.exec({ args: sh('cat; echo last'), stdin: 'pipe' });
  const { duplex } = process;
  assert.equal(process.duplex, duplex);
  const large = Buffer.alloc(1 << 20, 'x');
  duplex.write('first\n');
  duplex.end(large);
  const chunks: Buffer[] = [];
  for await (const chunk of duplex as AsyncIterable<Buffer>) chunks.push(chunk);
  const all = Buffer.concat(chunks);
  assert.equal(all.subarray(0, 6).toString(), 'first\n');
  assert.equal(all.length, 6 + large.length + 5);
  assert.equal((await process.wait()).exitCode, 0);

  const ended = await container.exec({ args: ['true'], stdin: 'pipe' });
  const late = ended.duplex;
  late.resume();
  await ended.wait();
  await new Promise<void>((resolve) => late.write('nobody reads this', () => resolve()));
  const left = await container.exec({ args: ['cat'], stdin: 'pipe' });
  left.duplex.destroy();
  assert.ok(left.stdin.destroyed && left.stdout.destroyed);
  await left.kill('SIGKILL');
});

test('a client that comes back finds the streams', async () => {
  const { container: first, process } = await lab.start(
    sh('while read line; do echo "got $line"; done; exit 8'),
    {},
    { stdin: 'pipe' },
  );
  const before = gather(process);
  process.stdin.write('one\n');
  await eventually('the first line', () => before.text === 'got one\n');
  process.detach();
  await assert.rejects(process.wait());

  const again = await lab.client.load(first.id, { attach: true });
  assert.equal(again.process?.pid, process.pid);
  const result = again.process.result();
  again.process.stdin.write('two\n');
  await again.process.closeStdin();
  assert.deepEqual(await within('the end', result), { stdout: 'got two\n', stderr: '', exitCode: 8 });
  await again.delete({ kill: true });
});

test('output to a file by URI, and nowhere', async () => {
  const log = join(lab.daemon.dir, 'out.log');
  const { container: other, process } = await lab.start(
    sh('echo logged; exit 2'),
    {},
    { stdout: `file://${log}`, stderr: `file://${log}` },
  );
  assert.deepEqual(await process.result(), { stdout: '', stderr: '', exitCode: 2 });
  await other.deleteTask();
  assert.equal(readFileSync(log, 'utf8'), 'logged\n');
  await other.delete();
});

test("an input that was not asked for can't be written to", async () => {
  const process = await container.exec({ args: ['true'] });
  const failed = new Promise((resolve) => process.stdin.once('error', resolve));
  process.stdin.write('x');
  assert.ok((await failed) instanceof FailedPreconditionError);
  await process.result();
});

test('writing to a process that has ended is no crash', async () => {
  const process = await container.exec({ args: ['true'], stdin: 'pipe' });
  await process.result();
  process.stdin.write('too late', () => undefined);
  await eventually('the stream to be given up', () => process.stdin.destroyed);
});

test('nothing is left', async () => {
  await container.delete({ kill: true });
  await lab.nothingLeft();
});
