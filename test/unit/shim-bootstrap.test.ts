import assert from 'node:assert/strict';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { containerd } from '../../src/api/index.js';
import { parseBootstrap, readInput, type Bootstrap } from '../../src/shim/program/bootstrap.js';
import { hex, tempDir } from './fixtures/support.js';

const { BootstrapParams } = containerd.runtime.bootstrap.v1;
const { Options } = containerd.runc.v1;

// Contract appendix A.
const ANY = hex('0a 1a 63 6f 6e 74 61 69 6e 65 72 64 2e 72 75 6e 63 2e 76 31 2e 4f 70 74 69 6f 6e 73 12 02 48 01');
const PARAMS = hex(`
0a 03 61 62 63 12 07 64 65 66 61 75 6c 74 18 fc ff ff ff ff ff ff ff ff 01 22 05 32 2e 33 2e 34
2a 25 2f 72 75 6e 2f 63 6f 6e 74 61 69 6e 65 72 64 2f 63 6f 6e 74 61 69 6e 65 72 64 2e 73 6f 63 6b 2e 74 74 72 70 63
32 1f 2f 72 75 6e 2f 63 6f 6e 74 61 69 6e 65 72 64 2f 63 6f 6e 74 61 69 6e 65 72 64 2e 73 6f 63 6b
3a 13 2f 75 73 72 2f 62 69 6e 2f 63 6f 6e 74 61 69 6e 65 72 64
42 22 0a 20 0a 1a 63 6f 6e 74 61 69 6e 65 72 64 2e 72 75 6e 63 2e 76 31 2e 4f 70 74 69 6f 6e 73 12 02 48 01`);

const parse = (bytes: Uint8Array): Bootstrap => parseBootstrap(bytes, 'abc', 'default');
const NOTHING = { options: {}, socketDir: '', debug: false, isParams: false };
const PARAMS_ONLY = { ...NOTHING, isParams: true };

function optionsOf(bytes: Uint8Array): Record<string, unknown> {
  return { ...parse(bytes).options };
}

test('an Any, as up to containerd 2.2', () => {
  const { options, ...rest } = parse(ANY);
  assert.equal(options.systemdCgroup, true);
  assert.deepEqual(rest, { socketDir: '', debug: false, isParams: false });
});

test('BootstrapParams, as from containerd 2.3', () => {
  const { options, ...rest } = parse(PARAMS);
  assert.equal(options.systemdCgroup, true);
  assert.deepEqual(rest, { socketDir: '', debug: true, isParams: true });
});

test('params for another shim are not taken for ours', () => {
  for (const [id, namespace] of [
    ['abd', 'default'],
    ['abc', 'k8s.io'],
    ['', ''],
  ] as const) {
    assert.deepEqual(parseBootstrap(PARAMS, id, namespace), NOTHING);
  }
});

test('an Any that reads as params is taken for what it is', () => {
  // Its type is called like our id, and its value like our namespace: still the only way to be mistaken.
  assert.equal(BootstrapParams.decode(ANY).instanceId, 'containerd.runc.v1.Options');
  assert.equal(BootstrapParams.decode(ANY).namespace, 'H\u0001');
  assert.equal(parseBootstrap(ANY, 'containerd.runc.v1.Options', 'default').options.systemdCgroup, true);
});

test('the socket directory and the log level', () => {
  const params = (more: object): Bootstrap =>
    parse(BootstrapParams.encode({ instanceId: 'abc', namespace: 'default', ...more }).finish());
  assert.deepEqual(params({}), PARAMS_ONLY);
  assert.equal(params({ socketDir: '/run/user/1000/s' }).socketDir, '/run/user/1000/s');
  for (const [logLevel, debug] of [
    [-8, true],
    [-5, true],
    [-4, true],
    [-3, false],
    [0, false],
    [4, false],
    [12, false],
  ] as const) {
    assert.equal(params({ logLevel }).debug, debug, `level ${logLevel}`);
  }
});

test('the options are found among other extensions, whatever their prefix', () => {
  const extension = (type_url: string, value: Uint8Array): object => ({ value: { type_url, value } });
  const options = Options.encode({ root: '/run/x' }).finish();
  for (const prefix of ['', 'type.googleapis.com/']) {
    const bytes = BootstrapParams.encode({
      instanceId: 'abc',
      namespace: 'default',
      extensions: [
        {},
        extension('some.other.Type', Buffer.from([1, 2, 3])),
        extension(`${prefix}containerd.runc.v1.Options`, options),
      ],
    }).finish();
    assert.equal(parse(bytes).options.root, '/run/x');
  }
});

test('no input at all is no options', () => {
  assert.deepEqual(parse(new Uint8Array()), NOTHING);
});

test('garbage is no options', () => {
  for (const bytes of ['ff', '0a', '0aff', '0a 03 61 62', '12 02 48', '00 00 00', 'ffffffffffffffffffffff'])
    assert.deepEqual(parse(hex(bytes)), NOTHING, bytes);
  assert.deepEqual(parse(Buffer.from('{"options":{}}')), NOTHING);
});

test('options that cannot be decoded, or are of another type, are no options', () => {
  const any = (url: string, value: Buffer): Buffer =>
    Buffer.concat([Buffer.from([0x0a, url.length]), Buffer.from(url), Buffer.from([0x12, value.length]), value]);
  assert.deepEqual(optionsOf(any('containerd.runc.v1.Options', hex('32ff'))), {});
  assert.deepEqual(optionsOf(any('runtimeoptions.v1.Options', hex('0a0178'))), {});
  assert.deepEqual(optionsOf(any('containerd.runc.v1.Options', Buffer.alloc(0))), {});
  const params = BootstrapParams.encode({
    instanceId: 'abc',
    namespace: 'default',
    socketDir: '/d',
    extensions: [{ value: { type_url: 'containerd.runc.v1.Options', value: hex('32ff') } }],
  }).finish();
  assert.deepEqual(parse(params), { ...PARAMS_ONLY, socketDir: '/d' });
});

test('standard input is read to its end, and not beyond bounds', (t) => {
  const file = join(tempDir(t), 'input');
  for (const size of [0, 1, 4096, 100_000]) {
    writeFileSync(file, Buffer.alloc(size, 7));
    const fd = openSync(file, 'r');
    assert.deepEqual(readInput(fd), Buffer.alloc(size, 7));
    closeSync(fd);
  }
  const zero = openSync('/dev/zero', 'r');
  assert.throws(() => readInput(zero), { message: 'standard input is longer than 10485760 bytes' });
  closeSync(zero);
});
