import assert from 'node:assert/strict';
import { test } from 'node:test';
import { groupOf, SOCKET_DIR, socketPath } from '../../src/shim/program/address.js';

const NAME = '8cb244a719603fe00870d5ce1d8e1f1db43a654cb993d107df1f1ae23ddffa59';

test('the socket has the name that the Go shim gives it (contract appendix A)', () => {
  assert.equal(SOCKET_DIR, '/run/containerd/s');
  assert.equal(socketPath('/run/containerd/containerd.sock', 'default', 'abc'), `/run/containerd/s/${NAME}`);
  assert.equal(socketPath('/run/containerd/containerd.sock', 'default', 'abc', '/tmp/x'), `/tmp/x/${NAME}`);
});

test('paths are joined with cleaning, as Go joins them', () => {
  for (const [address, namespace, group] of [
    ['/run/containerd//containerd.sock', 'default', 'abc'],
    ['/run/containerd/containerd.sock/', 'default', 'abc'],
    ['/run/x/../containerd/./containerd.sock', 'default', 'abc'],
    ['/run/containerd/containerd.sock', 'other/../default', './abc'],
  ] as const)
    assert.equal(socketPath(address, namespace, group), `/run/containerd/s/${NAME}`);
  assert.notEqual(socketPath('/run/containerd/containerd.sock', 'default', 'abcd'), `/run/containerd/s/${NAME}`);
});

test('a trailing slash is cleaned away too', () => {
  assert.equal(socketPath('/run/containerd/containerd.sock', 'default', 'abc/'), `/run/containerd/s/${NAME}`);
});

test('an empty group is left out of the path', () => {
  assert.equal(socketPath('/run/containerd/containerd.sock/default', 'abc', ''), `/run/containerd/s/${NAME}`);
});

test('a path that the kernel would not take says so', () => {
  assert.equal(socketPath('/a', 'b', 'c', `/${'x'.repeat(40)}`).length, 106);
  assert.throws(
    () => socketPath('/a', 'b', 'c', `/${'x'.repeat(42)}`),
    /^Error: socket path .* is too long: 108 bytes/,
  );
  assert.throws(
    () => socketPath('/a', 'b', 'c', `/${'ü'.repeat(21)}`),
    /is too long: 108 bytes/,
    'bytes count, not characters',
  );
});

test('the longest socket directory that a daemon may choose will do', () => {
  assert.equal(socketPath('/a', 'b', 'c', `/${'x'.repeat(41)}`).length, 107);
});

test('the group: runc’s own annotation, then the sandbox, then the container alone', () => {
  const group = 'io.containerd.runc.v2.group';
  const sandbox = 'io.kubernetes.cri.sandbox-id';
  assert.equal(groupOf({ [group]: 'g', [sandbox]: 's' }, 'id'), 'g');
  assert.equal(groupOf({ [sandbox]: 's', other: 'x' }, 'id'), 's');
  assert.equal(groupOf({ other: 'x' }, 'id'), 'id');
  assert.equal(groupOf({}, 'id'), 'id');
  assert.equal(groupOf(undefined, 'id'), 'id');
  assert.equal(groupOf({ [group]: '' }, 'id'), '', 'it is there, as in Go');
});
