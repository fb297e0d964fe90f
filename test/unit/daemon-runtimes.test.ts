import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Runtimes } from '../../src/daemon/runtime/registry.js';
import { Code, TtrpcError } from '../../src/ttrpc/index.js';

const refused = (code: Code, text: RegExp) => (error: unknown) =>
  error instanceof TtrpcError && error.code === code && text.test(error.message);

test('the stock runtimes are one shim, by the names that clients know', () => {
  const runtimes = new Runtimes({ shim: '/opt/shim' });
  for (const name of ['', 'runc', 'io.containerd.runc.v2', 'io.containerd.runc.v1', 'io.containerd.runtime.v1.linux'])
    assert.equal(runtimes.get(name).shim, '/opt/shim', name);
  assert.equal(runtimes.get('').name, 'io.containerd.runc.v2');
});

test('a name that nobody registered counts when a binary follows from it', () => {
  const runtimes = new Runtimes({ shim: '/opt/shim' });
  assert.deepEqual(runtimes.get('io.containerd.kata.v2'), {
    name: 'io.containerd.kata.v2',
    shim: 'io.containerd.kata.v2',
  });
  assert.deepEqual(runtimes.get('/usr/bin/containerd-shim-x-v1').shim, '/usr/bin/containerd-shim-x-v1');
  for (const name of ['kata', 'a/b.c', '.v2', 'x.', './x.v2'])
    assert.throws(() => runtimes.get(name), refused(Code.InvalidArgument, /unknown: give one of .*runc/), name);
});

test('those of the configuration come before the stock ones, and may be the default', () => {
  const runtimes = new Runtimes({
    shim: '/opt/shim',
    configured: [
      { name: 'io.containerd.runc.v2', shim: '/usr/bin/go-shim' },
      { name: 'fast', shim: 'x.fast.v1' },
    ],
    defaultRuntime: 'fast',
  });
  assert.equal(runtimes.get('io.containerd.runc.v2').shim, '/usr/bin/go-shim');
  assert.equal(runtimes.get('runc').shim, '/opt/shim');
  assert.equal(runtimes.get('').name, 'fast');
  assert.deepEqual(
    runtimes.list().map(({ name }) => name),
    ['io.containerd.runc.v2', 'fast', 'io.containerd.runc.v1', 'io.containerd.runtime.v1.linux', 'runc'],
  );
});

test('a name is registered once, with a shim', () => {
  const runtimes = new Runtimes({ shim: '/opt/shim' });
  runtimes.register({ name: 'mine', shim: '/x' });
  assert.throws(
    () => runtimes.register({ name: 'mine', shim: '/y' }),
    refused(Code.AlreadyExists, /mine, whose shim is \/x/),
  );
  assert.throws(() => runtimes.register({ name: '', shim: '/y' }), refused(Code.InvalidArgument, /name ""/));
  assert.throws(
    () => runtimes.register({ name: 'other', shim: 'relative/path' }),
    refused(Code.InvalidArgument, /shim "relative\/path" of runtime other/),
  );
});
