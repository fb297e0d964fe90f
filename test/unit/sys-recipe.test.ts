/** Messages made of the kernel's small files (src/sys/recipe.ts, src/monitor/recipe.c), read back by field number. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { cook, Recipe } from '../../src/sys/index.js';
import { tempDir } from './fixtures/support.js';
import { double, fields, integer, message, messages, text, type Fields } from './fixtures/wire.js';

const MAX = 2n ** 64n - 1n;

/** What the steps make where there is one file, `f`; none where there is no text. */
function made(t: TestContext, content: string | undefined, put: (recipe: Recipe) => Recipe): Fields {
  const dir = tempDir(t);
  if (content !== undefined) writeFileSync(join(dir, 'f'), content);
  return fields(cook(put(new Recipe().in(dir)).bytes()));
}

const numberOf = (t: TestContext, content: string | undefined): bigint =>
  integer(
    made(t, content, (recipe) => recipe.number(3, 'f')),
    3,
  );

test('numbers are whole to the last of 64 bits', (t) => {
  for (const number of ['1', '9007199254740993', '9223372036854775808', '18446744073709551615']) {
    assert.equal(numberOf(t, number), BigInt(number));
    assert.equal(numberOf(t, ` ${number}\n`), BigInt(number));
  }
});

test('no limit is the largest number, or none where that is asked for; what is below zero is zero, and zero is left out', (t) => {
  assert.equal(numberOf(t, 'max\n'), MAX);
  const digits = (content: string): Fields => made(t, content, (recipe) => recipe.digits(3, 'f'));
  assert.deepEqual([digits('max\n').has(3), integer(digits('7\n'), 3)], [false, 7n]);
  for (const content of ['-1\n', '0\n'])
    assert.equal(made(t, content, (recipe) => recipe.number(3, 'f')).size, 0, content);
});

test('what is no number is none', (t) => {
  for (const content of [undefined, '', '\n', 'maximum', '1.5', '1e3', '0x10', '1 2', '--1', '-', 'abc'])
    assert.equal(numberOf(t, content), 0n, content);
});

test('the number behind a word, times something', (t) => {
  const content = 'a 1\nab 2\nb\t3\nc max\n\nno-value\nd x\ne 18446744073709551615 more\n g 5';
  const found = made(t, content, (recipe) =>
    recipe
      .file('f')
      .values({ a: 1, b: 2, c: 3, 'no-value': 4, d: 5, e: 6, missing: 7 })
      .value(8, 'ab', 10_000_000)
      .value(9, 'g'),
  );
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6, 7, 8, 9].map((field) => integer(found, field)),
    [1n, 3n, MAX, 0n, 0n, MAX, 0n, 20_000_000n, 5n],
  );
});

test('messages within messages, of any length, and fields beyond 15', (t) => {
  const long = 'x'.repeat(300);
  const found = made(t, '7', (recipe) =>
    recipe.message(1, (outer) =>
      outer
        .text(2000, long)
        .message(2, (inner) => inner.number(16, 'f').text(1, 'é'))
        .message(3, () => undefined),
    ),
  );
  const outer = message(found, 1);
  assert.equal(text(outer, 2000), long);
  assert.equal(integer(message(outer, 2), 16), 7n);
  assert.equal(text(message(outer, 2), 1), 'é');
  assert.equal(message(outer, 3).size, 0, 'there, though empty');
});

test('a file from the root on, whatever the directory', (t) => {
  const path = join(tempDir(t), 'g');
  writeFileSync(path, '5');
  assert.equal(
    integer(
      made(t, undefined, (recipe) => recipe.number(1, path)),
      1,
    ),
    5n,
  );
});

test('only when there is something in the file', (t) => {
  const of = (content: string | undefined): boolean =>
    made(t, content, (recipe) => recipe.file('f').ifText((inner) => inner.text(1, 'is there'))).has(1);
  assert.deepEqual([undefined, '', '\n'].map(of), [false, false, true]);
});

test('one thing or another, by whether the file is about devices', (t) => {
  const of = (content: string): string =>
    text(
      made(t, content, (recipe) =>
        recipe
          .file('f')
          .ifDevices(
            (inner) => inner.text(1, 'devices'),
            (other) => other.text(1, 'none'),
          )
          .text(2, 'after'),
      ),
      1,
    );
  assert.deepEqual(['8:0 Read 1\n', '8:0 1\n', 'Total 0\n', '8:0 Read\n', '8:0 a b 1\n', ''].map(of), [
    'devices',
    'devices',
    'none',
    'none',
    'none',
    'none',
  ]);
});

test('a message for each line, of lines that are what is asked for', (t) => {
  const content = 'some avg10=1.25 total=5\n\nfull avg10=0.01 total=max\nother avg10=x\nsome avg10= total\n';
  const some = messages(
    made(t, content, (recipe) =>
      recipe.file('f').each(4, { called: 'some' }, (line) => line.name(1).decimal(2, 'avg10').pair(3, 'total')),
    ),
    4,
  );
  assert.deepEqual(
    some.map((one) => [text(one, 1), double(one, 2), integer(one, 3)]),
    [
      ['some', 1.25, 5n],
      ['some', 0, 0n],
    ],
  );
  const all = messages(
    made(t, content, (recipe) => recipe.file('f').each(4, 'named', (line) => line.name(1).pair(2, 'total', 32))),
    4,
  );
  assert.deepEqual(
    all.map((one) => [text(one, 1), integer(one, 2)]),
    [
      ['some', 5n],
      ['full', 2n ** 32n - 1n],
      ['other', 0n],
      ['some', 0n],
    ],
  );
});

test('all numbers of a file, packed, zeros with them; none without a number', (t) => {
  const packed = (content: string): unknown =>
    made(t, content, (recipe) => recipe.file('f').packed(4).text(1, 'after')).get(4)?.[0];
  assert.deepEqual(packed('1 0 300\n'), Buffer.from([1, 0, 0xac, 2]));
  assert.equal(packed('\n'), undefined);
});

test('what is long is whole: a file of many lines, and what is made of it', (t) => {
  const lines = Array.from({ length: 9000 }, (_, index) => `8:${index} Read ${index + 1}`);
  const found = messages(
    made(t, `${lines.join('\n')}\n`, (recipe) =>
      recipe.file('f').each(1, 'ofDevicesWithNumber', (line) => line.between(1).device(3, 4).last(5)),
    ),
    1,
  );
  assert.equal(found.length, 9000);
  assert.deepEqual(
    [text(found[8999]!, 1), ...[3, 4, 5].map((field) => integer(found[8999]!, field))],
    ['Read', 8n, 8999n, 9000n],
  );
});

test('what cannot be read, though it is there, is an error; so are steps that make no sense', (t) => {
  const dir = tempDir(t);
  mkdirSync(join(dir, 'd'));
  assert.throws(() => cook(new Recipe().in(dir).number(1, 'd').bytes()), {
    code: 'EISDIR',
    message: `read ${join(dir, 'd')}: EISDIR`,
  });
  const whole = [
    ...new Recipe()
      .in(dir)
      .message(1, (inner) => inner.number(1, 'f').text(2, 'x'))
      .bytes(),
  ];
  for (let length = 1; length < whole.length; length++) {
    const part = Buffer.from(whole.slice(0, length));
    // What ends between two steps is a message that has no end, but for the directory.
    if (length === 3 + dir.length) assert.equal(cook(part).length, 0);
    else assert.throws(() => cook(part), { code: 'EINVAL' }, String(length));
  }
  for (const steps of [[0], [1], [99], [12, 1, 0, 1, 0, 0, 1, 0, 99]]) {
    // The last is about a line, of which there has to be one.
    writeFileSync(join(dir, 'f'), 'a\n');
    assert.throws(() => cook(Buffer.concat([new Recipe().in(dir).file('f').bytes(), Buffer.from(steps)])), {
      code: 'EINVAL',
    });
  }
  assert.throws(() => new Recipe().file('x'.repeat(70_000)), RangeError);
});

test('random steps, about random files, end as a message or an error', (t) => {
  const dir = tempDir(t);
  const random = (below: number): number => Math.floor(Math.random() * below);
  const words = ['a', '8:1', '12', 'x=1', 'x=1.5', '-4', 'max', '', 'Total', ':', '8:', '=', '\t'];
  const steps = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 32, 33, 34, 35, 36, 37, 38, 39, 200];
  for (let round = 0; round < 3000; round++) {
    const lines = Array.from({ length: random(5) }, () =>
      Array.from({ length: random(5) }, () => words[random(words.length)]).join(' '),
    );
    writeFileSync(join(dir, 'f'), lines.join('\n'));
    const bytes = Array.from({ length: random(60) }, () => (random(2) ? random(13) : steps[random(steps.length)]!));
    const recipe = Buffer.concat([new Recipe().in(dir).file('f').bytes(), Buffer.from(bytes)]);
    try {
      cook(recipe);
    } catch (error) {
      assert.match(
        (error as NodeJS.ErrnoException).code ?? '',
        /^(EINVAL|ENAMETOOLONG|EISDIR)$/,
        recipe.toString('hex'),
      );
    }
  }
});

test('no descriptor and no memory is kept', (t) => {
  const dir = tempDir(t);
  writeFileSync(join(dir, 'f'), '1 2 3\n');
  const recipe = new Recipe().in(dir).file('f').packed(1).bytes();
  const count = (what: string): number => Number(execFileSync('sh', ['-c', `${what} | wc -l`], { encoding: 'utf8' }));
  const open = `ls /proc/${process.pid}/fd`;
  const before = count(open);
  const maps = count(`cat /proc/${process.pid}/maps`);
  for (let time = 0; time < 1000; time++) cook(recipe);
  // Each time one of them, it would be a thousand; what else the process has open comes and goes.
  assert.ok(count(open) < before + 500);
  assert.ok(count(`cat /proc/${process.pid}/maps`) < maps + 500);
});
