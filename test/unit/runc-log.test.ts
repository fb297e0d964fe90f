import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { LogTail } from '../../src/runc/index.js';
import { leavesNothingOpen, tempDir } from './fixtures/support.js';

const line = (level: string, msg: string): string =>
  `${JSON.stringify({ level, msg, time: '2024-01-01T00:00:00Z' })}\n`;

test('only what was logged since counts', (t) => {
  const file = join(tempDir(t), 'log.json');
  writeFileSync(file, line('error', 'of an earlier command'));
  const tail = new LogTail(file);
  assert.equal(tail.lastError(), undefined);
  appendFileSync(file, line('error', 'of this command'));
  assert.equal(tail.lastError(), 'of this command');
  assert.equal(new LogTail(file).lastError(), undefined);
});

test('the last error, trimmed, whatever else is logged', (t) => {
  const file = join(tempDir(t), 'log.json');
  const tail = new LogTail(file);
  writeFileSync(
    file,
    line('error', 'first') +
      line('warning', 'a warning') +
      line('error', '  second\n') +
      line('info', 'after') +
      line('debug', 'more'),
  );
  assert.equal(tail.lastError(), 'second');
});

test('lines that are no JSON are passed over, and a cut one too', (t) => {
  const file = join(tempDir(t), 'log.json');
  const tail = new LogTail(file);
  writeFileSync(
    file,
    `plain text\n{"level":\n{broken}\n[1]\nnull\n"error"\n${line('error', 'the one')}\n\n{"level":"error","msg":"cu`,
  );
  assert.equal(tail.lastError(), 'the one');
});

test('entries of an unexpected shape are no errors', (t) => {
  const file = join(tempDir(t), 'log.json');
  const tail = new LogTail(file);
  writeFileSync(file, '{"level":"error"}\n{"level":"error","msg":7}\n{"msg":"no level"}\n{"level":3,"msg":"x"}\n{}\n');
  assert.equal(tail.lastError(), undefined);
});

test('an entry does not take its level from the one before', (t) => {
  const file = join(tempDir(t), 'log.json');
  const tail = new LogTail(file);
  writeFileSync(file, `${line('error', 'real')}{"msg":"no level of its own"}\n`);
  assert.equal(tail.lastError(), 'real');
});

test('text beyond ASCII stays whole', (t) => {
  const file = join(tempDir(t), 'log.json');
  writeFileSync(file, 'ü');
  const tail = new LogTail(file);
  appendFileSync(file, `\n${line('error', 'größer als „erlaubt“ 🐳')}`);
  assert.equal(tail.lastError(), 'größer als „erlaubt“ 🐳');
});

test('a missing file has no errors, before or after', (t) => {
  const dir = tempDir(t);
  const tail = new LogTail(join(dir, 'never'));
  assert.equal(tail.lastError(), undefined);
  const later = new LogTail(join(dir, 'later'));
  writeFileSync(join(dir, 'later'), line('error', 'made by the command'));
  assert.equal(later.lastError(), 'made by the command');
});

test('a file that shrank has no new errors', (t) => {
  const file = join(tempDir(t), 'log.json');
  writeFileSync(file, line('error', 'old, and long enough to matter'));
  const tail = new LogTail(file);
  truncateSync(file, 3);
  assert.equal(tail.lastError(), undefined);
});

test('what cannot be read is an error', (t) => {
  const dir = join(tempDir(t), 'dir');
  const tail = new LogTail(join(dir, 'log.json'));
  mkdirSync(join(dir, 'log.json'), { recursive: true });
  assert.throws(() => tail.lastError(), { code: 'EISDIR' });
});

test('nothing stays open', (t) => {
  const file = join(tempDir(t), 'log.json');
  writeFileSync(file, 'x');
  return leavesNothingOpen(() => void new LogTail(file).lastError());
});
