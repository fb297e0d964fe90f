import assert from 'node:assert/strict';
import { test } from 'node:test';
import { containerd } from '../../src/api/index.js';
import { decodeOptions, optionsFile, runtimeSettings } from '../../src/shim/options.js';
import { Code } from '../../src/ttrpc/index.js';
import { hex } from './fixtures/support.js';

const { Options } = containerd.runc.v1;

test('runc’s own options, under both names', () => {
  const value = Options.encode({ binaryName: 'crun', root: '/r', systemdCgroup: true, ioUid: 7 }).finish();
  for (const type_url of ['containerd.runc.v1.Options', 'type.googleapis.com/containerd.runc.v1.Options']) {
    const { binaryName, root, systemdCgroup, ioUid } = decodeOptions({ type_url, value });
    assert.deepEqual({ binaryName, root, systemdCgroup, ioUid }, { binaryName: 'crun', root: '/r', systemdCgroup: true, ioUid: 7 });
  }
});

test('the options that dockerd 20.10 sends are translated by name, not by number', () => {
  // Field numbers of containerd.linux.runc.CreateOptions (contract §5.4).
  const value = hex('0801 1001 4001 4a0173 5003 5804 620177 6a0169');
  const { noPivotRoot, noNewKeyring, shimCgroup, ioUid, ioGid, criuWorkPath, criuImagePath } = decodeOptions({ type_url: 'containerd.linux.runc.CreateOptions', value });
  assert.deepEqual({ noPivotRoot, noNewKeyring, shimCgroup, ioUid, ioGid, criuWorkPath, criuImagePath },
    { noPivotRoot: true, noNewKeyring: true, shimCgroup: 's', ioUid: 3, ioGid: 4, criuWorkPath: 'w', criuImagePath: 'i' });
});

test('none, empty ones and those of other runtimes are the defaults', () => {
  for (const any of [undefined, null, {}, { type_url: 'containerd.runc.v1.Options' }, { type_url: 'containerd.runc.v1.Options', value: Buffer.alloc(0) },
    { type_url: 'runtimeoptions.v1.Options', value: hex('0a0178') }, { type_url: 'containerd.linux.runc.RuncOptions', value: hex('0a0178') }]) {
    assert.deepEqual(decodeOptions(any), {});
  }
});

test('bytes that are not what their type says are refused', () => {
  assert.throws(() => decodeOptions({ type_url: 'containerd.runc.v1.Options', value: hex('32ff') }), (error: Error & { code: Code }) => {
    assert.equal(error.code, Code.InvalidArgument);
    assert.match(error.message, /^options of type containerd\.runc\.v1\.Options cannot be decoded: .*: invalid argument$/);
    return true;
  });
});

test('how the runtime is called by default', () => {
  assert.deepEqual(runtimeSettings({}, 'default'), {
    binary: 'runc', root: '/run/containerd/runc/default', systemdCgroup: false, criu: '', criuWorkPath: '', noPivotRoot: false, noNewKeyring: false, ioUid: 0, ioGid: 0,
  });
  assert.deepEqual(runtimeSettings(Options.decode(Buffer.alloc(0)), 'default'), runtimeSettings({}, 'default'), 'decoded ones are full of zeros');
});

test('how the runtime is called with everything set', () => {
  assert.deepEqual(runtimeSettings({
    binaryName: '/usr/bin/crun', root: '/var/run/docker/runtime-runc', systemdCgroup: true, criuPath: '/criu', criuWorkPath: '/w', noPivotRoot: true,
    noNewKeyring: true, ioUid: 1, ioGid: 2,
  }, 'moby'), {
    binary: '/usr/bin/crun', root: '/var/run/docker/runtime-runc/moby', systemdCgroup: true, criu: '/criu', criuWorkPath: '/w', noPivotRoot: true,
    noNewKeyring: true, ioUid: 1, ioGid: 2,
  });
});

test('options.json has the Go shim’s names', () => {
  assert.deepEqual(optionsFile({
    noPivotRoot: true, noNewKeyring: true, shimCgroup: 's', ioUid: 1, ioGid: 2, binaryName: 'b', root: 'r', criuPath: 'c', systemdCgroup: true,
    criuImagePath: 'i', criuWorkPath: 'w',
  }), {
    no_pivot_root: true, no_new_keyring: true, shim_cgroup: 's', io_uid: 1, io_gid: 2, binary_name: 'b', root: 'r', criu_path: 'c', systemd_cgroup: true,
    criu_image_path: 'i', criu_work_path: 'w',
  });
});

test('options.json leaves out what is zero', () => {
  assert.deepEqual(optionsFile({}), {});
  assert.deepEqual(optionsFile(Options.decode(Buffer.alloc(0))), {});
  assert.deepEqual(optionsFile({ root: '/r', ioUid: 0, systemdCgroup: false, binaryName: '' }), { root: '/r' });
});
