import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkIdentifier } from '../../src/api/identifier.js';
import { Code } from '../../src/ttrpc/index.js';

function refusal(id: string): string {
  try {
    checkIdentifier('exec id', id);
  } catch (error) {
    assert.equal((error as { code: Code }).code, Code.InvalidArgument);
    return (error as Error).message;
  }
  return '';
}

test('what containerd takes for an id', () => {
  for (const id of ['a', '0', 'abc', 'a-b', 'a.b_c-d', 'A1', 'x'.repeat(76), 'fd3e1f7a'.repeat(8), 'k8s.io', 'a.b.c'])
    assert.equal(refusal(id), '', id);
});

test('what would be a path, an option or nothing', () => {
  for (const id of [
    '.',
    '..',
    '../x',
    'a/b',
    '/a',
    '-a',
    '--force',
    'a-',
    '.a',
    'a.',
    '_a',
    'a--b',
    'a..b',
    'a._b',
    'a b',
    'a\n',
    '\na',
    'ä',
    'a:b',
    'a\0b',
    'a%2fb',
  ]) {
    assert.match(refusal(id), /^exec id .* must match .*: invalid argument$/s, JSON.stringify(id));
  }
});

test('empty and too long', () => {
  assert.equal(refusal(''), 'exec id must not be empty: invalid argument');
  assert.match(
    refusal('x'.repeat(77)),
    /^exec id "x+" greater than maximum length \(76 characters\): invalid argument$/,
  );
});

test('a long hostile id is refused quickly', () => {
  // The time that a backtracking pattern would take is beyond any test's patience.
  assert.notEqual(refusal(`${'a'.repeat(75)}!`), '');
});
