import assert from 'node:assert/strict';
import { appendFileSync, existsSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { CommandLog } from '../../src/runc/command-log.js';
import { CommandTotals, Runtime, type RuntimeError } from '../../src/runc/index.js';
import { leavesNothingOpen, script, tempDir } from './fixtures/support.js';

const line = (msg: string, level = 'error'): string =>
  `${JSON.stringify({ level, msg, time: '2024-01-01T00:00:00Z' })}\n`;

/** What a command does that fails: a line into the log that it was told. */
function fail(log: CommandLog, msg: string): void {
  appendFileSync(log.file, line(msg));
}

test('commands that fail at the same moment each get their own words', async (t) => {
  const dir = tempDir(t);
  const log = join(dir, 'log.json');
  // Each waits until all have begun; then all fail at once, the last argument in their words.
  const binary = script(
    dir,
    'runc',
    `while [ "$1" != --log ]; do shift; done
for last; do :; done
touch ${dir}/begun-$last
while [ $(ls ${dir} | grep -c begun-) -lt 8 ]; do sleep 0.01; done
echo "{\\"level\\":\\"error\\",\\"msg\\":\\"words of $last\\"}" >>"$2"; exit 1`,
  );
  const runtime = new Runtime({ binary, log });
  await Promise.all(
    Array.from({ length: 8 }, (_, n) =>
      assert.rejects(runtime.start(`c${n}`), (error: RuntimeError) => {
        assert.equal(error.logged, `words of c${n}`);
        return true;
      }),
    ),
  );
  assert.deepEqual(
    readdirSync(dir).filter((name) => name.startsWith('log')),
    ['log.json'],
  );
  const words = [...readFileSync(log, 'utf8').matchAll(/words of (c\d)/g)].map(([, id]) => id).sort();
  assert.deepEqual(words, ['c0', 'c1', 'c2', 'c3', 'c4', 'c5', 'c6', 'c7'], 'all are kept for people to read');
});

test("a command that runs alone logs to the container's own file", (t) => {
  const path = join(tempDir(t), 'log.json');
  const log = new CommandLog(path);
  assert.equal(log.file, path);
  log.release();
  const [first, second] = [new CommandLog(path), new CommandLog(path)];
  assert.deepEqual([first.file, second.file], [path, path.replace('log.json', 'log.1.json')]);
  first.release();
  const third = new CommandLog(path);
  assert.equal(third.file, path);
  second.release();
  third.release();
});

test("the words of another command come into the container's file when it is free, and not before", (t) => {
  const path = join(tempDir(t), 'log.json');
  const [first, second] = [new CommandLog(path), new CommandLog(path)];
  fail(second, 'of the second');
  assert.equal(second.lastError(), 'of the second');
  second.release();
  assert.equal(existsSync(second.file), false);
  assert.equal(first.lastError(), undefined);
  fail(first, 'of the first');
  first.release();
  assert.deepEqual(readFileSync(path, 'utf8'), line('of the first') + line('of the second'));
});

test("after 1,000 commands the log is short, and ends with the last one's words", (t) => {
  const dir = tempDir(t);
  const path = join(dir, 'log.json');
  let largest = 0;
  for (let n = 0; n < 1000; n++) {
    const logs = [new CommandLog(path), new CommandLog(path)];
    for (const [at, log] of logs.entries()) {
      fail(log, `${n} of ${at}: ${'x'.repeat(400)}`);
      assert.match(log.lastError() ?? '', new RegExp(`^${n} of ${at}: `));
    }
    for (const log of logs) log.release();
    largest = Math.max(largest, statSync(path).size);
  }
  assert.ok(largest < 80 * 1024, `${largest} bytes`);
  assert.deepEqual(readdirSync(dir), ['log.json']);
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  assert.match(lines.at(-1)!, /"999 of 1: /);
  for (const one of lines) assert.equal(typeof JSON.parse(one), 'object', 'cut between lines');
});

test("one that has the container's file for long bounds what is kept of the others", (t) => {
  const path = join(tempDir(t), 'log.json');
  const long = new CommandLog(path);
  for (let n = 0; n < 100; n++) {
    const log = new CommandLog(path);
    fail(log, `${n} ${'x'.repeat(20_000)}`);
    fail(log, `${n} ${'y'.repeat(10_000)}`);
    log.release();
  }
  long.release();
  assert.ok(statSync(path).size < 80 * 1024, `${statSync(path).size} bytes`);
  assert.match(readFileSync(path, 'utf8'), /"99 y/);
});

test("what a shim before left under a name is not taken for a command's words", (t) => {
  const dir = tempDir(t);
  writeFileSync(join(dir, 'log.1.json'), line('old'));
  const [first, second] = [new CommandLog(join(dir, 'log.json')), new CommandLog(join(dir, 'log.json'))];
  assert.equal(second.lastError(), undefined);
  second.release();
  first.release();
});

test('a log that goes mad is not read whole', (t) => {
  const path = join(tempDir(t), 'log.json');
  const log = new CommandLog(path);
  appendFileSync(path, `${line('early')}${'x'.repeat(3_000_000)}\n${line('late')}`);
  assert.equal(log.lastError(), 'late');
  log.release();
});

test("a log that cannot be read doesn't hide the failure (contract §6.4)", async (t) => {
  const dir = tempDir(t);
  symlinkSync('log.json', join(dir, 'log.json'));
  const binary = script(dir, 'runc', 'echo printed; exit 3');
  await assert.rejects(new Runtime({ binary, log: join(dir, 'log.json') }).start('c'), {
    message: `unable to retrieve OCI runtime error (ELOOP): ${binary} did not terminate successfully: exit status 3: printed`,
    status: 3,
    logged: undefined,
  });
});

test('a bundle that is gone is no error', (t) => {
  const log = new CommandLog(join(tempDir(t), 'gone', 'log.json'));
  const other = new CommandLog(log.path);
  assert.equal(log.lastError(), undefined);
  other.release();
  log.release();
});

test('commands are counted by name', async (t) => {
  const dir = tempDir(t);
  const phases: string[] = [];
  const observer = new CommandTotals((phase, name) => phases.push(`${name} ${phase}`));
  const good = new Runtime({ binary: script(dir, 'good', 'sleep 0.02'), observer });
  await good.resume('c');
  assert.deepEqual(phases, ['resume begins', 'resume ended']);
  await assert.rejects(new Runtime({ binary: script(dir, 'bad', 'exit 1'), observer }).resume('c'));
  await assert.rejects(new Runtime({ binary: '/no/such/runtime', observer }).resume('c'));
  await new Runtime({ binary: script(dir, 'unseen', 'exit 0') }).resume('c');
  const { count, failed, totalMs } = observer.byName().get('resume')!;
  assert.deepEqual([count, failed], [3, 2], 'and not what another runtime ran');
  assert.ok(totalMs >= 20);
});

test('nothing stays open', (t) => {
  const path = join(tempDir(t), 'log.json');
  return leavesNothingOpen(() => {
    const logs = [new CommandLog(path), new CommandLog(path)];
    for (const log of logs) fail(log, 'x'.repeat(100_000));
    for (const log of logs) log.lastError();
    for (const log of logs) log.release();
    new CommandLog(path).release();
  });
});
