import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errdefs, isType, pack } from '../../src/api/index.js';
import { Code, TtrpcError } from '../../src/ttrpc/index.js';

// The contract's table (§3.2).
const classes = [
  [errdefs.invalidArgument, 3, 'invalid argument'],
  [errdefs.notFound, 5, 'not found'],
  [errdefs.alreadyExists, 6, 'already exists'],
  [errdefs.failedPrecondition, 9, 'failed precondition'],
  [errdefs.notImplemented, 12, 'not implemented'],
  [errdefs.unavailable, 14, 'unavailable'],
] as const;

for (const [make, code, suffix] of classes) {
  test(`code ${code} ends with ": ${suffix}"`, () => {
    const cause = new Error('why');
    const error = make('the subject', cause);
    assert.ok(error instanceof TtrpcError);
    assert.deepEqual([error.code, error.message, error.cause], [code, `the subject: ${suffix}`, cause]);
  });
}

test('an error of no class keeps its text', () => {
  const error = errdefs.unknown('cannot start a running process');
  assert.deepEqual([error.code, error.message], [Code.Unknown, 'cannot start a running process']);
  assert.equal(error.code, 2);
});

test('a type is known by its own name, and behind any slash', () => {
  const name = 'containerd.runc.v1.Options';
  for (const url of [name, `type.googleapis.com/${name}`, `a/b/${name}`, `/${name}`])
    assert.equal(isType({ type_url: url }, name), true, url);
  for (const url of ['', `x${name}`, `${name}x`, `${name}/`, 'containerd.runc.v1', `type.googleapis.com/x.${name}`])
    assert.equal(isType({ type_url: url }, name), false, url);
  assert.equal(isType({}, name), false);
  assert.equal(isType({ type_url: null }, name), false);
});

test('an Any is made under the bare name', () => {
  const any = pack('some.Type', { encode: (text: string) => ({ finish: () => Buffer.from(text) }) }, 'content');
  assert.deepEqual(any, { type_url: 'some.Type', value: Buffer.from('content') });
});
