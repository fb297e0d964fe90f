/** The copies of monitor/copy.c without the addon, many of them in one process. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { bytesWaiting, logEntries, makePipe, setNonblock, spawn } from '../../src/sys/index.js';
import { entriesIn } from '../support/entries.js';
import { within } from '../support/eventually.js';
import { tempDir } from './fixtures/support.js';

const top = new URL('../..', import.meta.url).pathname;

function build(dir: string): string {
  const program = join(dir, 'copies');
  execFileSync(
    'cc',
    ['-O1', '-o', program, 'test/unit/fixtures/copies.c', 'src/monitor/copy.c', 'src/monitor/entries.c'],
    {
      cwd: top,
    },
  );
  return program;
}

test('one process serves many copies: slow and fast ones, into pipes and files, one whose reader is gone', async (t) => {
  const dir = tempDir(t);
  const program = build(dir);
  const size = 1_000_000;
  const log = join(dir, 'log');
  writeFileSync(log, 'before\n');
  const [into, out, words] = [makePipe(), makePipe(), makePipe()];
  const appended = openSync(log, constants.O_WRONLY | constants.O_APPEND);
  const gone = makePipe();
  closeSync(gone.read);
  const sources = [makePipe(), makePipe(), makePipe()];
  for (const fd of [...sources.map(({ read }) => read), out.write, gone.write]) setNonblock(fd, true);
  const none = into.read;
  const shell = (script: string, stdio: number[]): Promise<number> =>
    spawn('/bin/sh', ['sh', '-c', script], { stdio }).exited;
  const writers = [
    shell(`for i in 1 2 3 4 5 6 7 8 9 10; do head -c ${size / 10} /dev/zero; sleep 0.02; done`, [
      none,
      sources[0]!.write,
      2,
    ]),
    shell(`head -c ${size} /dev/zero`, [none, sources[1]!.write, 2]),
    shell('echo nobody reads this', [none, sources[2]!.write, 2]),
  ];
  const reader = shell(`wc -c >${dir}/count`, [out.read, 2, 2]);
  // As 3 to 8 in the program.
  const copying = spawn(program, [program, '3', '4', '5', '6', '7', '8'], {
    stdio: [
      none,
      words.write,
      2,
      sources[0]!.read,
      out.write,
      sources[1]!.read,
      appended,
      sources[2]!.read,
      gone.write,
    ],
  }).exited;
  for (const fd of [into.write, ...sources.map(({ write }) => write), out.write, out.read, words.write]) closeSync(fd);
  await Promise.all(writers);
  assert.equal(await within('its end', copying), 0);
  await reader;
  assert.equal(readFileSync(words.read, 'utf8'), `${size} ${size} 0 `);
  assert.equal(readFileSync(join(dir, 'count'), 'utf8').trim(), String(size));
  assert.ok(readFileSync(log).equals(Buffer.concat([Buffer.from('before\n'), Buffer.alloc(size)])));
  for (const fd of [into.read, words.read, appended, gone.write, ...sources.map(({ read }) => read)]) closeSync(fd);
});

test('a copy with a bound takes as many bytes and no more, from a file into a file as from a pipe into a pipe', async (t) => {
  const dir = tempDir(t);
  const program = build(dir);
  const log = join(dir, 'log');
  writeFileSync(log, '');
  const [first, second, out, words] = [makePipe(), makePipe(), makePipe(), makePipe()];
  const appended = openSync(log, constants.O_WRONLY | constants.O_APPEND);
  for (const { write } of [first, second]) assert.equal(writeSync(write, Buffer.alloc(20_000, 'x')), 20_000);
  for (const fd of [first.read, second.read, out.write]) setNonblock(fd, true);
  const copying = spawn(program, [program, '3', '4', '5', '6'], {
    stdio: [first.read, words.write, 2, first.read, appended, second.read, out.write],
    env: { MOST: '12345' },
  }).exited;
  closeSync(words.write);
  assert.equal(await within('its end', copying), 0);
  assert.equal(readFileSync(words.read, 'utf8'), '12345 12345 ');
  assert.equal(statSync(log).size, 12_345);
  assert.deepEqual([first.read, second.read, out.read].map(bytesWaiting), [7655, 7655, 12_345]);
  for (const fd of [first.read, first.write, second.read, second.write, out.read, out.write, words.read, appended])
    closeSync(fd);
});

test('a copy into a log writes entries within its bound, gives back what it has made of the rest, and the dates are right', async (t) => {
  const dir = tempDir(t);
  const program = build(dir);
  const log = join(dir, 'log');
  writeFileSync(log, '');
  const [source, words] = [makePipe(), makePipe()];
  const appended = openSync(log, constants.O_WRONLY | constants.O_APPEND);
  writeSync(source.write, `one\n\n${'x'.repeat(50)}\nfour\n`);
  setNonblock(source.read, true);
  const before = new Date().toISOString();
  const copying = spawn(program, [program, '3', '4'], {
    stdio: [source.read, words.write, 2, source.read, appended],
    // Two entries, and not the third.
    env: { STREAM: '2', MOST: '100' },
  }).exited;
  closeSync(words.write);
  assert.equal(await within('its end', copying), 0);
  assert.equal(readFileSync(words.read, 'utf8'), '61 ', 'what it has taken of its source');
  const entries = entriesIn(readFileSync(log, 'latin1'));
  assert.deepEqual(
    entries.map(({ stream, tag, content }) => [stream, tag, content]),
    [
      ['stderr', 'F', 'one'],
      ['stderr', 'F', ''],
    ],
  );
  assert.ok(entries[0]!.time.slice(0, 23) >= before.slice(0, 23) && Date.parse(entries[0]!.time) <= Date.now());
  for (const fd of [source.read, source.write, words.read, appended]) closeSync(fd);

  // The addon's side, which takes as many as there is room for.
  const into = Buffer.alloc(100);
  assert.deepEqual(logEntries(Buffer.from('ab\ncd\nef'), 0, 8, 'stdout', into, 1), { taken: 6, put: 86 });
  assert.deepEqual(
    entriesIn(into.toString('latin1', 1, 87)).map(({ stream, tag, content }) => [stream, tag, content]),
    [
      ['stdout', 'F', 'ab'],
      ['stdout', 'F', 'cd'],
    ],
  );
});

test('the time of an entry is that of the calendar, on any day', (t) => {
  const dir = tempDir(t);
  const program = join(dir, 'times');
  writeFileSync(
    join(dir, 'times.c'),
    `#include <stdio.h>
#include <time.h>
static struct timespec pretended;
#define clock_gettime(clock, time) (*(time) = pretended)
#include "${top}/src/monitor/entries.c"
int main(void) {
  struct entry_heads heads;
  while (scanf("%ld", &pretended.tv_sec) == 1) {
    pretended.tv_nsec = pretended.tv_sec % 1000000000;
    entry_heads(&heads, STREAM_STDOUT);
    printf("%.30s\\n", heads.whole);
  }
}
`,
  );
  execFileSync('cc', ['-O1', '-o', program, join(dir, 'times.c')]);
  const days = Array.from({ length: 60_000 }, (_, day) => day * 86_400 + ((day * 7919) % 86_400));
  const seconds = [0, 951_782_399, 951_782_400, 4_107_542_399, ...days];
  const told = execFileSync(program, { input: seconds.join('\n'), encoding: 'utf8', maxBuffer: 1 << 24 });
  assert.equal(
    told,
    seconds
      .map((at) => `${new Date(at * 1000).toISOString().slice(0, 19)}.${String(at % 1e9).padStart(9, '0')}Z\n`)
      .join(''),
  );
});
