import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RuntimeError } from '../../src/runc/index.js';
import { isUnknownContainer, killFailure, runtimeFailure } from '../../src/shim/runtime/errors.js';
import { Code } from '../../src/ttrpc/index.js';

const failure = (output: string, logged?: string): RuntimeError =>
  new RuntimeError(`runc did not terminate successfully: exit status 1${output ? `: ${output}` : ''}`, {
    status: 1,
    output,
    logged,
  });

test('what the runtime logged is shown, word for word, behind the prefix', () => {
  const error = runtimeFailure(
    'OCI runtime create failed',
    failure('noise', 'exec: "x": executable file not found in $PATH'),
  );
  assert.deepEqual(
    [error.code, error.message],
    [Code.Unknown, 'OCI runtime create failed: exec: "x": executable file not found in $PATH'],
  );
});

test('without a log, what it printed', () => {
  assert.equal(
    runtimeFailure('OCI runtime start failed', failure('printed')).message,
    'OCI runtime start failed: runc did not terminate successfully: exit status 1: printed',
  );
  assert.equal(
    runtimeFailure('OCI runtime start failed', failure('', '')).message,
    'OCI runtime start failed: runc did not terminate successfully: exit status 1',
  );
  assert.equal(
    runtimeFailure('OCI runtime start failed', new Error('other')).message,
    'OCI runtime start failed: other',
  );
});

test('a kill that comes too late is NotFound, whatever the runtime says it with', () => {
  for (const error of [
    failure('process already finished'),
    failure('container not running'),
    failure('Container Not Running'),
    failure('kill: no such process'),
    failure('', 'container not running'),
    failure('os: process already finished\n'),
  ]) {
    const { code, message } = killFailure(error);
    assert.deepEqual([code, message], [Code.NotFound, 'process already finished: not found']);
  }
  for (const error of [
    failure('container "abc" does not exist'),
    failure('container does not exist'),
    failure('', 'container does not exist'),
  ]) {
    const { code, message } = killFailure(error);
    assert.deepEqual([code, message], [Code.NotFound, 'no such container: not found']);
  }
});

test("crun's words for a container that it does not know", () => {
  const kill = failure('', 'error opening file `/run/containerd/runc/moby/abc/status`: No such file or directory');
  assert.deepEqual(
    [killFailure(kill).code, killFailure(kill).message],
    [Code.NotFound, 'no such container: not found'],
  );
  assert.equal(
    isUnknownContainer(failure('', 'cannot open directory `/run/containerd/runc/moby/abc`: No such file or directory')),
    true,
  );
  assert.equal(
    isUnknownContainer(failure('', 'error opening file `/bundle/config.json`: No such file or directory')),
    false,
  );
});

test('another failure of a kill is itself', () => {
  const { code, message } = killFailure(failure('permission denied'));
  assert.deepEqual(
    [code, message],
    [Code.Unknown, 'unknown error after kill: runc did not terminate successfully: exit status 1: permission denied'],
  );
});

test('a container that the runtime does not know', () => {
  assert.equal(isUnknownContainer(failure('container "abc" does not exist')), true);
  assert.equal(isUnknownContainer(failure('', 'container does not exist')), true);
  assert.equal(isUnknownContainer(failure('device or resource busy')), false);
  assert.equal(isUnknownContainer(new Error('does not exist')), false, 'the runtime must have said so');
});
