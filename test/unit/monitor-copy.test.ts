/** The copies of monitor/copy.c without the addon, many of them in one process. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { bytesWaiting, makePipe, setNonblock, spawn } from '../../src/sys/index.js';
import { within } from '../support/eventually.js';
import { tempDir } from './fixtures/support.js';

const top = new URL('../..', import.meta.url).pathname;

function build(dir: string): string {
  const program = join(dir, 'copies');
  execFileSync('cc', ['-O1', '-o', program, 'test/unit/fixtures/copies.c', 'src/monitor/copy.c'], {
    cwd: top,
  });
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
