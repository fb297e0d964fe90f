import assert from 'node:assert/strict';
import { closeSync, constants, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { keyedText, MAX_U64, parseU64, tryList, tryTextOnce } from '../../src/shim/cgroup/files.js';
import { cgroupsOf } from '../../src/shim/cgroup/paths.js';
import { processesIn } from '../../src/shim/cgroup/processes.js';
import { makeFifo } from '../../src/sys/index.js';
import { tempDir } from './fixtures/support.js';

test('numbers are whole to the last of 64 bits', () => {
  for (const text of [
    '0',
    '1',
    '9007199254740991',
    '9007199254740993',
    '9223372036854775807',
    '9223372036854775808',
    '18446744073709551614',
    '18446744073709551615',
  ]) {
    assert.equal(parseU64(text), BigInt(text));
    assert.equal(parseU64(` ${text}\n`), BigInt(text));
  }
});

test('no limit is the largest number; what is below zero counts as zero', () => {
  assert.equal(MAX_U64, 18446744073709551615n);
  assert.equal(parseU64('max\n'), MAX_U64);
  assert.equal(parseU64('-1'), 0n);
});

test('what is no number is none', () => {
  for (const text of [undefined, '', '\n', 'maximum', '1.5', '1e3', '0x10', '1 2', '--1', 'abc'])
    assert.equal(parseU64(text), undefined, text);
});

test('a file is read once where it may be gone by a second time', (t) => {
  const path = join(tempDir(t), 'fifo');
  makeFifo(path, 0o600);
  // Its end is not to be found: who reads on would be refused.
  const held = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  t.after(() => closeSync(held));
  writeSync(held, 'oom_kill 1\n');
  assert.equal(tryTextOnce(path), 'oom_kill 1\n');
  assert.equal(tryTextOnce(`${path}.gone`), undefined);
});

test('lines of key and value', () => {
  assert.deepEqual(
    [...keyedText('a 1\nb\t2\nc max\n\nno-value\nd x\ne 18446744073709551615 more\n')],
    [
      ['a', 1n],
      ['b', 2n],
      ['c', MAX_U64],
      ['e', MAX_U64],
    ],
  );
  assert.deepEqual([...keyedText(undefined)], []);
});

test('a missing file or directory is nothing, a real failure is an error', (t) => {
  const dir = tempDir(t);
  assert.equal(tryTextOnce(dir, 'missing'), undefined);
  assert.equal(tryTextOnce(dir, 'missing', 'deeper'), undefined);
  writeFileSync(join(dir, 'file'), '');
  assert.equal(tryTextOnce(dir, 'file', 'below'), undefined);
  assert.equal(tryTextOnce(dir, 'file'), '');
  assert.deepEqual(tryList(join(dir, 'missing')), []);
  assert.deepEqual(tryList(dir), ['file']);
  assert.throws(() => tryTextOnce(dir), { code: 'EISDIR' });
});

test('the processes of a v2 cgroup and of all below, once each', (t) => {
  const dir = tempDir(t);
  mkdirSync(join(dir, 'a', 'b'), { recursive: true });
  mkdirSync(join(dir, 'no-procs'));
  writeFileSync(join(dir, 'cgroup.procs'), '1\n22\n');
  writeFileSync(join(dir, 'a', 'cgroup.procs'), '');
  writeFileSync(join(dir, 'a', 'b', 'cgroup.procs'), '333\n22\n');
  assert.deepEqual(
    processesIn({ version: 2, dir }).sort((a, b) => a - b),
    [1, 22, 333],
  );
  assert.deepEqual(processesIn({ version: 2, dir: join(dir, 'missing') }), []);
});

test('the processes of a v1 cgroup come from the controller that is the container’s own', (t) => {
  const dir = tempDir(t);
  for (const [name, procs] of [
    ['devices', '1\n'],
    ['memory', '2\n'],
    ['cpu', '3\n'],
  ] as const) {
    mkdirSync(join(dir, name));
    writeFileSync(join(dir, name, 'cgroup.procs'), procs);
  }
  const of = (...names: string[]): number[] =>
    processesIn({ version: 1, controllers: Object.fromEntries(names.map((name) => [name, join(dir, name)])) });
  assert.deepEqual(of('cpu', 'memory', 'devices'), [1]);
  assert.deepEqual(of('cpu', 'memory'), [2]);
  assert.deepEqual(of('cpu'), [3]);
  assert.deepEqual(of(), []);
  assert.deepEqual(of('unheard-of'), []);
});

test('the cgroups of a process that is gone are an error', () => {
  assert.throws(() => cgroupsOf(4194305), { code: 'ENOENT' });
});
