import assert from 'node:assert/strict';
import { test } from 'node:test';
import { containerd } from '../../src/api/index.js';
import { inputFor, parseAnswer } from '../bench/dialect.js';
import { cpuMillis, memoryIn, ownCgroup, ownOf } from '../bench/proc.js';

const ROLLUP = `55d0c0a5c000-7ffd0b5f1000 ---p 00000000 00:00 0                          [rollup]
Rss:               11264 kB
Pss:                3072 kB
Pss_Dirty:          1024 kB
Shared_Clean:       6144 kB
Shared_Dirty:          0 kB
Private_Clean:      2048 kB
Private_Dirty:      1536 kB
`;

test('a smaps_rollup: what is dirty and its own, and its share of all', () => {
  assert.deepEqual(memoryIn(ROLLUP), { private: 1.5, pss: 3 });
});

test('a process that is ending has no memory', () => {
  assert.deepEqual(memoryIn(''), { private: 0, pss: 0 });
});

test('processor time of both versions of cgroups, in milliseconds', () => {
  assert.equal(cpuMillis('1234567890\n'), 1234.56789);
  assert.equal(cpuMillis('usage_usec 41500\nuser_usec 30000\nsystem_usec 11500\n'), 41.5);
  assert.equal(cpuMillis('nr_periods 3\nusage_usec 7\n'), 0.007);
});

test('a text that has no processor time is an error, not nothing', () => {
  for (const text of ['', 'user_usec 30000\n', '-1\n']) assert.throws(() => cpuMillis(text), /no processor time/);
});

test('our own cgroup: that of a controller, that of cgroup v2, the root, none', () => {
  const text = '5:name=systemd:/user.slice/a:b\n4:cpu,cpuacct:/user.slice\n2:cpuset:/\n0::/init.scope\n';
  assert.equal(ownCgroup(text, 'cpuacct'), '/user.slice');
  assert.equal(ownCgroup(text, 'name=systemd'), '/user.slice/a:b');
  assert.equal(ownCgroup(text, ''), '/init.scope');
  assert.equal(ownCgroup(text, 'cpuset'), '');
  assert.equal(ownCgroup(text, 'memory'), '');
});

test("a shim's own processes: itself, what descends from it, and what works in its bundle; nothing that is shared", () => {
  const all = [
    { pid: 5, ppid: 4, cwd: '/' },
    { pid: 1, ppid: 0, cwd: '/' },
    { pid: 2, ppid: 1, cwd: '/run/b1' },
    { pid: 3, ppid: 1, cwd: '/run/b2' },
    { pid: 4, ppid: 2, cwd: '/' },
    { pid: 6, ppid: 1, cwd: '/run/b1' },
    { pid: 7, ppid: 6, cwd: '/' },
  ];
  assert.deepEqual(ownOf(all, 2, '/run/b1').sort(), [2, 4, 5, 6, 7]);
  assert.deepEqual(ownOf(all, 9, '/run/none'), []);
});

test('an answer of start, as a text, as JSON and as a message', () => {
  const address = 'unix:///run/containerd/s/0123';
  const { BootstrapResult } = containerd.runtime.bootstrap.v1;
  assert.deepEqual(parseAnswer(Buffer.from(`${address}\n`)), { address, version: 2 });
  assert.deepEqual(parseAnswer(Buffer.from(JSON.stringify({ version: 3, address, protocol: 'ttrpc' }))), {
    address,
    version: 3,
  });
  assert.deepEqual(parseAnswer(BootstrapResult.encode({ version: 3, address, protocol: 'ttrpc' }).finish()), {
    address,
    version: 3,
  });
});

test('an answer without an address is an error', () => {
  assert.throws(() => parseAnswer(Buffer.alloc(0)), /no address in the answer of start/);
  assert.throws(() => parseAnswer(Buffer.from('{}')), /no address in the answer of start/);
});

test('the input of start: nothing, or a message that names the container', () => {
  const beginning = {
    id: 'abc',
    namespace: 'n',
    ttrpcAddress: '/t',
    grpcAddress: '/g',
    socketDir: '/s',
    options: { type_url: 'containerd.runc.v1.Options', value: new Uint8Array([8, 1]) },
  };
  assert.equal(inputFor('plain', beginning).length, 0);
  const { instanceId, namespace, containerdTtrpcAddress, socketDir, extensions } =
    containerd.runtime.bootstrap.v1.BootstrapParams.decode(inputFor('params', beginning));
  assert.deepEqual(
    { instanceId, namespace, containerdTtrpcAddress, socketDir, type: extensions[0]?.value?.type_url },
    {
      instanceId: 'abc',
      namespace: 'n',
      containerdTtrpcAddress: '/t',
      socketDir: '/s',
      type: 'containerd.runc.v1.Options',
    },
  );
});
