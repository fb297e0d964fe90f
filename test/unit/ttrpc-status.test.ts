import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { Code, Metadata, TtrpcError } from '../../src/ttrpc/index.js';

function errno(code: string): Error {
  return Object.assign(new Error(`${code}: as it was, word for word`), { code });
}

test('system errors get the codes that the Go server gives them, and keep their text', () => {
  const expected: Record<string, Code> = {
    ENOENT: Code.NotFound,
    EEXIST: Code.AlreadyExists,
    EACCES: Code.PermissionDenied,
    EPERM: Code.PermissionDenied,
    EINVAL: Code.InvalidArgument,
    EPIPE: Code.FailedPrecondition,
    EOF: Code.OutOfRange,
    EBUSY: Code.Unknown,
  };
  for (const [name, code] of Object.entries(expected)) {
    const thrown = errno(name);
    const error = TtrpcError.from(thrown);
    assert.deepEqual([error.code, error.message, error.cause], [code, thrown.message, thrown], name);
  }
});

test('a real system error', async () => {
  const error = TtrpcError.from(await readFile('/nonexistent/file').catch((thrown: unknown) => thrown));
  assert.equal(error.codeName, 'NotFound');
  assert.match(error.message, /^ENOENT: no such file/);
});

test('only what was thrown itself decides, not its cause', () => {
  assert.equal(TtrpcError.from(new Error('mount: no such file', { cause: errno('ENOENT') })).code, Code.Unknown);
});

test('aborts and timeouts are told apart', () => {
  assert.equal(TtrpcError.from(AbortSignal.abort().reason).code, Code.Canceled);
  assert.equal(TtrpcError.from(new DOMException('too late', 'TimeoutError')).code, Code.DeadlineExceeded);
});

test('bugs are Internal, and things that are no errors Unknown', () => {
  assert.equal(TtrpcError.from(new TypeError('x is not a function')).code, Code.Internal);
  assert.equal(TtrpcError.from(new assert.AssertionError({ message: 'never' })).code, Code.Internal);
  for (const thrown of ['text', undefined, null, 5]) {
    assert.deepEqual([TtrpcError.from(thrown).code, TtrpcError.from(thrown).message], [Code.Unknown, String(thrown)]);
  }
});

test('a TtrpcError comes back as it is, also from another copy of the package', async () => {
  const error = new TtrpcError(Code.Aborted, 'no');
  assert.equal(TtrpcError.from(error), error);
  const again = '../../src/ttrpc/status.js?copy';
  const copy = (await import(again)) as typeof import('../../src/ttrpc/status.js');
  const foreign = new copy.TtrpcError(copy.Code.NotFound, 'not here');
  assert.notEqual(copy.TtrpcError, TtrpcError);
  assert.ok(foreign instanceof TtrpcError);
  assert.equal(TtrpcError.from(foreign), foreign);
});

test('subclasses are told apart', () => {
  class NotFound extends TtrpcError {
    constructor(message: string) {
      super(Code.NotFound, message);
    }
  }
  const error = new NotFound('gone');
  assert.ok(error instanceof NotFound && error instanceof TtrpcError && error instanceof Error);
  assert.ok(!(new TtrpcError(Code.NotFound, 'gone') instanceof NotFound));
  assert.ok(!(new Error('gone') instanceof TtrpcError));
});

test('codes that are not known keep their number', () => {
  assert.equal(new TtrpcError(99 as Code, '').codeName, 'Code(99)');
});

test('metadata has lower-case keys with any number of values', () => {
  const metadata = new Metadata({ 'Trace-Id': ['1', '2'], one: 'x' }).append('TRACE-ID', '3');
  assert.deepEqual(
    [...metadata],
    [
      ['trace-id', '1'],
      ['trace-id', '2'],
      ['trace-id', '3'],
      ['one', 'x'],
    ],
  );
  assert.equal(metadata.get('Trace-ID'), '1');
  assert.deepEqual(metadata.getAll('trace-id'), ['1', '2', '3']);
  assert.equal(metadata.has('__proto__'), false);
  assert.deepEqual([...new Metadata(metadata).set('ONE', 'y', 'z')].slice(-2), [
    ['one', 'y'],
    ['one', 'z'],
  ]);
  assert.equal(metadata.delete('One'), true);
  assert.equal(metadata.get('one'), undefined);
});
