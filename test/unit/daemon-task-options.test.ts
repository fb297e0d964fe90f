import assert from 'node:assert/strict';
import { test } from 'node:test';
import { containerd, isType, pack, runtimeoptions } from '../../src/api/full.js';
import { defaultsFor, hasSystemdCgroup, withRoot } from '../../src/daemon/tasks/options.js';

const SHIM = '/usr/bin/containerd-shim-runc-v2';
const ROOT = '/run/hawserd/runc';
const { Options } = containerd.runc.v1;
const decoded = (any: ReturnType<typeof withRoot>): containerd.runc.v1.Options => Options.decode(any!.value!);

test("a shim of runc's gets the daemon's root when nobody names one", () => {
  assert.equal(decoded(withRoot(undefined, SHIM, ROOT)).root, ROOT);
  assert.equal(withRoot(undefined, '/usr/bin/containerd-shim-kata-v2', ROOT), undefined);
  const given = withRoot(
    pack('containerd.runc.v1.Options', Options, { binaryName: 'crun', systemdCgroup: true }),
    '/opt/shim',
    ROOT,
  );
  const { root, binaryName, systemdCgroup } = decoded(given);
  assert.deepEqual({ root, binaryName, systemdCgroup }, { root: ROOT, binaryName: 'crun', systemdCgroup: true });
});

test('a root that is named stays, and so does what is not known here', () => {
  const named = pack('containerd.runc.v1.Options', Options, { root: '/mine' });
  assert.equal(withRoot(named, SHIM, ROOT), named);
  // Field 1000, a text, of some later version.
  const later = Buffer.from([0xc2, 0x3e, 1, 0x61]);
  const { value } = withRoot(
    {
      type_url: 'containerd.runc.v1.Options',
      value: Buffer.concat([Options.encode({ binaryName: 'x' }).finish(), later]),
    },
    SHIM,
    ROOT,
  )!;
  assert.ok(Buffer.from(value!).includes(later));
  assert.equal(Options.decode(value!).root, ROOT);
});

test("the types of the first runtime get it too; another runtime's options are its own", () => {
  const { CreateOptions, RuncOptions } = containerd.linux.runc;
  const create = withRoot(
    pack('containerd.linux.runc.CreateOptions', CreateOptions, { noPivotRoot: true, ioUid: 5 }),
    SHIM,
    ROOT,
  )!;
  assert.ok(isType(create, 'containerd.runc.v1.Options'));
  const { root, noPivotRoot, ioUid } = decoded(create);
  assert.deepEqual({ root, noPivotRoot, ioUid }, { root: ROOT, noPivotRoot: true, ioUid: 5 });
  assert.equal(
    RuncOptions.decode(
      withRoot(pack('containerd.linux.runc.RuncOptions', RuncOptions, { runtime: 'crun' }), SHIM, ROOT)!.value!,
    ).runtimeRoot,
    ROOT,
  );
  const others = pack('runtimeoptions.v1.Options', runtimeoptions.v1.Options, { configPath: '/x' });
  assert.equal(withRoot(others, SHIM, ROOT), others);
});

test('a default of cgroups by systemd is for containers whose cgroup systemd can make', () => {
  const spec = (cgroupsPath?: string): Uint8Array => Buffer.from(JSON.stringify({ linux: { cgroupsPath } }));
  const options = pack('containerd.runc.v1.Options', Options, { binaryName: 'crun', systemdCgroup: true });
  for (const path of ['web.slice:hawser-default-:one', '', undefined])
    assert.equal(defaultsFor(options, spec(path)), options);
  assert.equal(defaultsFor(options, Buffer.from('{}')), options);
  const { binaryName, systemdCgroup } = decoded(defaultsFor(options, spec('/default/one')));
  assert.deepEqual({ binaryName, systemdCgroup }, { binaryName: 'crun', systemdCgroup: false });
  const other = pack('containerd.runc.v1.Options', Options, { binaryName: 'crun' });
  assert.equal(defaultsFor(other, spec('/default/one')), other);
  assert.deepEqual([options, other, undefined].map(hasSystemdCgroup), [true, false, false]);
});
