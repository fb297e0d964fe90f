import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { containerd, runtimeoptions } from '../../src/api/index.js';
import { decodeOptions, optionsFile, runtimeSettings } from '../../src/shim/runtime/options.js';
import { Code } from '../../src/ttrpc/index.js';
import { hex, tempDir } from './fixtures/support.js';

const { Options } = containerd.runc.v1;

test('runc’s own options, under both names', () => {
  const value = Options.encode({ binaryName: 'crun', root: '/r', systemdCgroup: true, ioUid: 7 }).finish();
  for (const type_url of ['containerd.runc.v1.Options', 'type.googleapis.com/containerd.runc.v1.Options']) {
    const { binaryName, root, systemdCgroup, ioUid } = decodeOptions({ type_url, value });
    assert.deepEqual(
      { binaryName, root, systemdCgroup, ioUid },
      { binaryName: 'crun', root: '/r', systemdCgroup: true, ioUid: 7 },
    );
  }
});

test('the options that dockerd 20.10 sends are translated by name, not by number', () => {
  // Field numbers of containerd.linux.runc.CreateOptions (contract §5.4).
  const value = hex('0801 1001 4001 4a0173 5003 5804 620177 6a0169');
  const { noPivotRoot, noNewKeyring, shimCgroup, ioUid, ioGid, criuWorkPath, criuImagePath } = decodeOptions({
    type_url: 'containerd.linux.runc.CreateOptions',
    value,
  });
  assert.deepEqual(
    { noPivotRoot, noNewKeyring, shimCgroup, ioUid, ioGid, criuWorkPath, criuImagePath },
    {
      noPivotRoot: true,
      noNewKeyring: true,
      shimCgroup: 's',
      ioUid: 3,
      ioGid: 4,
      criuWorkPath: 'w',
      criuImagePath: 'i',
    },
  );
});

test('the options of the runtime v1 are translated', () => {
  const value = hex('0a0463 72756e 1202 2f72 1a02 2f63 2001');
  assert.deepEqual(decodeOptions({ type_url: 'containerd.linux.runc.RuncOptions', value }), {
    binaryName: 'crun',
    root: '/r',
    criuPath: '/c',
    systemdCgroup: true,
  });
});

test('none and empty ones are the defaults', () => {
  for (const any of [
    undefined,
    null,
    {},
    { type_url: 'containerd.runc.v1.Options' },
    { type_url: 'containerd.runc.v1.Options', value: Buffer.alloc(0) },
    { type_url: 'some.other.Options' },
    { type_url: '', value: Buffer.alloc(0) },
  ]) {
    assert.deepEqual(decodeOptions(any), {});
  }
});

function refused(any: { type_url: string; value: Uint8Array }, text: RegExp): void {
  assert.throws(
    () => decodeOptions(any),
    (error: Error & { code: Code }) => {
      assert.equal(error.code, Code.InvalidArgument);
      assert.match(error.message, text);
      return true;
    },
  );
}

test('those of other runtimes are refused by name', () => {
  refused(
    { type_url: 'io.containerd.runsc.v1.options', value: hex('0a0178') },
    /^options of type "io\.containerd\.runsc\.v1\.options" are not for this runtime, which takes containerd\.runc\.v1\.Options: invalid argument$/,
  );
  refused({ type_url: '', value: hex('0a0178') }, /^options of type "" are not for this runtime/);
  refused({ type_url: 'notcontainerd.runc.v1.Options', value: hex('0a0178') }, /are not for this runtime/);
});

const { Options: Generic } = runtimeoptions.v1;
const generic = (fields: {
  typeUrl?: string;
  configPath?: string;
  configBody?: Uint8Array;
}): { type_url: string; value: Uint8Array } => ({
  type_url: 'runtimeoptions.v1.Options',
  value: Generic.encode(fields).finish(),
});

const TOML = `# what kubelet's plugin passes on
BinaryName = "/usr/bin/crun" # a comment
  Root='/run/r'
SystemdCgroup = true
no_pivot_root = false
IoUid = 100_000
"ShimCgroup" = "/a \\"b\\""
Another = [1, 2]
[nested]
Root = "not ours"
`;

test('a list of TOML is understood, in the message or in a file', (t) => {
  const expected = {
    binaryName: '/usr/bin/crun',
    root: '/run/r',
    systemdCgroup: true,
    noPivotRoot: false,
    ioUid: 100_000,
    shimCgroup: '/a "b"',
  };
  assert.deepEqual(decodeOptions(generic({ configBody: Buffer.from(TOML) })), expected);
  const file = join(tempDir(t), 'runtime.toml');
  writeFileSync(file, TOML);
  assert.deepEqual(decodeOptions(generic({ configPath: file })), expected);
  assert.deepEqual(decodeOptions(generic({ typeUrl: 'containerd.runc.v1.Options', configPath: file })), expected);
  assert.deepEqual(
    decodeOptions(generic({ configPath: '/nowhere', configBody: Buffer.from('Root = "/b"\r\n') })),
    { root: '/b' },
    'what is said counts before where it is said',
  );
  assert.deepEqual(decodeOptions(generic({ typeUrl: 'containerd.runc.v1.Options' })), {});
});

test('TOML that is not for us, is missing or is broken is refused with the line', () => {
  refused(
    generic({ typeUrl: 'io.containerd.runsc.v1.options', configBody: Buffer.from(TOML) }),
    /they are for another runtime, io\.containerd\.runsc\.v1\.options: invalid argument$/,
  );
  refused(generic({ configPath: '/no/such/file.toml' }), /\/no\/such\/file\.toml/);
  for (const [text, why] of [
    ['SystemdCgroup = "yes"', 'line 1: SystemdCgroup must be a boolean: SystemdCgroup = "yes"'],
    ['\nIoUid = -1', 'line 2: IoUid must be a number: IoUid = -1'],
    ['Root = /r', 'line 1: Root must be a string: Root = /r'],
    ['{"Root": "/r"}', 'line 1 is not of the form key = value: {"Root": "/r"}'],
    ['Root = "a" "b"', 'line 1: Root must be a string: Root = "a" "b"'],
  ] as const)
    refused(
      generic({ configBody: Buffer.from(text) }),
      new RegExp(`cannot be decoded: ${why.replace(/[{}()[\]/.]/g, '\\$&')}: invalid argument$`),
    );
});

test('bytes that are not what their type says are refused', () => {
  assert.throws(
    () => decodeOptions({ type_url: 'containerd.runc.v1.Options', value: hex('32ff') }),
    (error: Error & { code: Code }) => {
      assert.equal(error.code, Code.InvalidArgument);
      assert.match(
        error.message,
        /^options of type containerd\.runc\.v1\.Options cannot be decoded: .*: invalid argument$/,
      );
      return true;
    },
  );
});

test('how the runtime is called by default', () => {
  assert.deepEqual(runtimeSettings({}, 'default'), {
    binary: 'runc',
    root: '/run/containerd/runc/default',
    systemdCgroup: false,
    criu: '',
    criuWorkPath: '',
    noPivotRoot: false,
    noNewKeyring: false,
    ioUid: 0,
    ioGid: 0,
  });
  assert.deepEqual(
    runtimeSettings(Options.decode(Buffer.alloc(0)), 'default'),
    runtimeSettings({}, 'default'),
    'decoded ones are full of zeros',
  );
});

test('how the runtime is called with everything set', () => {
  assert.deepEqual(
    runtimeSettings(
      {
        binaryName: '/usr/bin/crun',
        root: '/var/run/docker/runtime-runc',
        systemdCgroup: true,
        criuPath: '/criu',
        criuWorkPath: '/w',
        noPivotRoot: true,
        noNewKeyring: true,
        ioUid: 1,
        ioGid: 2,
      },
      'moby',
    ),
    {
      binary: '/usr/bin/crun',
      root: '/var/run/docker/runtime-runc/moby',
      systemdCgroup: true,
      criu: '/criu',
      criuWorkPath: '/w',
      noPivotRoot: true,
      noNewKeyring: true,
      ioUid: 1,
      ioGid: 2,
    },
  );
});

test('options.json has the Go shim’s names', () => {
  assert.deepEqual(
    optionsFile({
      noPivotRoot: true,
      noNewKeyring: true,
      shimCgroup: 's',
      ioUid: 1,
      ioGid: 2,
      binaryName: 'b',
      root: 'r',
      criuPath: 'c',
      systemdCgroup: true,
      criuImagePath: 'i',
      criuWorkPath: 'w',
      taskApiAddress: 'ttrpc+unix:///a',
      taskApiVersion: 3,
    }),
    {
      no_pivot_root: true,
      no_new_keyring: true,
      shim_cgroup: 's',
      io_uid: 1,
      io_gid: 2,
      binary_name: 'b',
      root: 'r',
      criu_path: 'c',
      systemd_cgroup: true,
      criu_image_path: 'i',
      criu_work_path: 'w',
      task_api_address: 'ttrpc+unix:///a',
      task_api_version: 3,
    },
  );
});

test('options.json leaves out what is zero', () => {
  assert.deepEqual(optionsFile({}), {});
  assert.deepEqual(optionsFile(Options.decode(Buffer.alloc(0))), {});
  assert.deepEqual(optionsFile({ root: '/r', ioUid: 0, systemdCgroup: false, binaryName: '' }), { root: '/r' });
});
