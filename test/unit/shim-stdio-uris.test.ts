/** Output URIs, and what may be said in their queries. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loggerSettings, logFileSettings, unknownFileKeys } from '../../src/shim/stdio/log/settings.js';
import { checkTargets } from '../../src/shim/stdio/target.js';
import { parseOutput } from '../../src/shim/stdio/uri.js';
import { Code } from '../../src/ttrpc/index.js';

const refused = (text: RegExp) => (error: Error & { code?: Code }) => {
  assert.match(error.message, text);
  assert.equal(error.code, Code.InvalidArgument);
  return true;
};

test('a path is what it is, whatever is in it', () => {
  for (const path of ['', '/run/fifo', '/a?b=c#d%zz', 'relative/path'])
    assert.deepEqual(parseOutput(path), { scheme: 'fifo', path, query: [] });
});

test('a URI is taken apart as Go does it', () => {
  assert.deepEqual(parseOutput('binary:///opt/my%20logger?b=2&a=1&flag&b=3#part'), {
    scheme: 'binary',
    path: '/opt/my logger',
    query: [
      ['b', '2'],
      ['a', '1'],
      ['flag', ''],
    ],
  });
  assert.deepEqual(parseOutput('FILE://host/x.log'), { scheme: 'file', path: '/x.log', query: [] });
  assert.deepEqual(parseOutput('file:/x.log'), { scheme: 'file', path: '/x.log', query: [] });
  assert.deepEqual(parseOutput('binary:///l?a=x=y&&c=1+2%2b3&bad=%zz&semi;colon=1&=empty').query, [
    ['a', 'x=y'],
    ['c', '1 2+3'],
    ['', 'empty'],
  ]);
  assert.equal(parseOutput('binary:///a/../b').path, '/a/../b');
});

test('an escape that is none is refused in a path', () => {
  assert.throws(
    () => parseOutput('file:///a%zz'),
    refused(/^unable to parse stdout uri: .*invalid URL escape: invalid argument$/),
  );
});

test('a logger gets its arguments, without what is for the shim', () => {
  const uri = parseOutput('binary-v2:///l?x=1&hawser.on-death=spill:/s%20p&y&hawser.ready-timeout=2m');
  assert.deepEqual(loggerSettings(uri, 'drop'), {
    file: '/l',
    args: ['x', '1', 'y', ''],
    mustSignal: true,
    readyMs: 120_000,
    onDeath: { kind: 'spill', path: '/s p' },
  });
  assert.deepEqual(loggerSettings(parseOutput('binary:///l'), ''), {
    file: '/l',
    args: [],
    mustSignal: false,
    readyMs: 60_000,
    onDeath: { kind: 'block' },
  });
  assert.deepEqual(loggerSettings(parseOutput('binary:///l'), 'spill:/s').onDeath, { kind: 'spill', path: '/s' });
});

test('sizes are powers of 1024', () => {
  const size = (text: string): number | undefined =>
    logFileSettings(parseOutput(`file:///x?max-size=${text}`), '').maxSize;
  assert.deepEqual(['7', '7k', '7K', '7m', '7g'].map(size), [7, 7 << 10, 7 << 10, 7 << 20, 7 * 2 ** 30]);
  for (const text of ['', '0', '0k', '-1', '1.5k', '1kb', 'k', '999999999999g'])
    assert.throws(() => size(text), refused(/^max-size=/), text);
});

test('a file grows without end unless its query says otherwise; the annotation says what happens when it cannot be written', () => {
  const plain = (query: string, annotation: string): unknown => {
    const { path, maxSize, onDeath } = logFileSettings(parseOutput(`file:///x${query}`), annotation);
    return { path, maxSize, onDeath: onDeath.kind };
  };
  assert.deepEqual(plain('', 'drop'), { path: '/x', maxSize: undefined, onDeath: 'drop' });
  assert.deepEqual(plain('?other=1', ''), { path: '/x', maxSize: undefined, onDeath: 'block' });
  // It may be meant for the logging binary of another stream.
  assert.deepEqual(plain('', 'restart'), { path: '/x', maxSize: undefined, onDeath: 'block' });
  assert.deepEqual(logFileSettings(parseOutput('file:///x?max-size=1k'), 'drop'), {
    path: '/x',
    maxSize: 1024,
    maxFiles: 5,
    onDeath: { kind: 'drop' },
  });
  assert.deepEqual(logFileSettings(parseOutput('file:///x?hawser.on-death=drop'), ''), {
    path: '/x',
    maxSize: undefined,
    maxFiles: 5,
    onDeath: { kind: 'drop' },
  });
  assert.deepEqual(unknownFileKeys(parseOutput('file:///x?max-size=1k&max-files=2&maxsize=1&hawser.on-death=drop')), [
    'maxsize',
  ]);
});

test('all of it is checked before anything is opened', () => {
  checkTargets({ stdout: '/fifo', stderr: '', onDeath: 'explode' });
  checkTargets({ stdout: 'gopher://x', stderr: '', onDeath: '' });
  assert.throws(
    () => checkTargets({ stdout: '', stderr: 'file:///x?max-files=2', onDeath: '' }),
    refused(/max-files=2 says nothing without a max-size/),
  );
  assert.throws(
    () => checkTargets({ stdout: 'binary:///l', stderr: '', onDeath: 'explode' }),
    refused(/^io\.hawser\.log\.on-death=explode: /),
  );
});
