/** How shims are named, found and heard. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { containerd } from '../../src/api/full.js';
import { parseAnswer } from '../../src/daemon/shims/answer.js';
import { ownShim } from '../../src/daemon/shim-path.js';
import { programDir, resolveShim, shimName } from '../../src/daemon/shims/binary.js';
import { taskConfig } from '../../src/daemon/tasks/config.js';
import { shimPlugin, type ShimConfig } from '../../src/daemon/stock/shims.js';
import type { InitContext } from '../../src/daemon/plugin/types.js';
import { DEFAULT_TIMEOUTS, timeoutsOf } from '../../src/daemon/tasks/timeouts.js';
import { fileURLToPath } from 'node:url';

const bytes = (text: string): Uint8Array => Buffer.from(text);

test('a shim is named after its runtime', () => {
  assert.equal(shimName('io.containerd.runc.v2'), 'containerd-shim-runc-v2');
  assert.equal(shimName('my.foo.v9'), 'containerd-shim-foo-v9');
  assert.equal(shimName('a.b'), 'containerd-shim-a-b');
  for (const bad of ['runc', '.v2', 'a..b', 'a.', 'dir/io.containerd.runc.v2', './x.y'])
    assert.throws(() => shimName(bad), /invalid runtime name .*: invalid argument$/);
});

test('a shim is looked for in one place after the other, each time anew', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'hawser-search-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const search = { first: [join(dir, 'own')], path: `relative:${join(dir, 'path')}`, last: [join(dir, 'daemon')] };
  const put = (place: string, mode = 0o755): string => {
    mkdirSync(join(dir, place), { recursive: true });
    const file = join(dir, place, 'containerd-shim-runc-v2');
    writeFileSync(file, '');
    chmodSync(file, mode);
    return file;
  };
  const name = 'io.containerd.runc.v2';
  assert.throws(
    () => resolveShim(name, search),
    /^TtrpcError: runtime "io.containerd.runc.v2" binary not installed "containerd-shim-runc-v2": file does not exist$/,
  );
  for (const place of ['daemon', 'path', 'own']) {
    const file = put(place);
    assert.equal(resolveShim(name, search), file);
  }
  assert.equal(
    resolveShim(join(dir, 'path/containerd-shim-runc-v2'), search),
    join(dir, 'path/containerd-shim-runc-v2'),
  );
  assert.throws(() => resolveShim(join(dir, 'none'), search), /file does not exist/);
  assert.throws(() => resolveShim(dir, search), /file does not exist/);
  assert.throws(() => resolveShim('', search), /no runtime name/);
});

test('our own shim lies in the bin beside the sources', () => {
  assert.equal(programDir(), fileURLToPath(new URL('../../bin', import.meta.url)));
});

test('our own shim lies where it was built, installed, or unpacked from a package', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'hawser-own-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const put = (place: string): string => {
    mkdirSync(join(dir, place), { recursive: true });
    writeFileSync(join(dir, place, 'containerd-shim-runc-v2'), '');
    return join(dir, place, 'containerd-shim-runc-v2');
  };
  assert.equal(ownShim(join(dir, 'dist')), 'io.containerd.runc.v2');
  for (const place of ['npm', 'bin']) {
    const shim = put(place);
    assert.equal(ownShim(join(dir, 'dist')), shim);
  }
  assert.equal(ownShim(join(dir, 'lib/hawser')), join(dir, 'bin/containerd-shim-runc-v2'));
  const installed = put('lib/hawser/bin');
  assert.equal(ownShim(join(dir, 'lib/hawser')), installed);
});

test('an answer as an address, as JSON, as a message', () => {
  const address = 'unix:///run/containerd/s/abc';
  assert.deepEqual(parseAnswer(bytes(`  ${address}\n`)), { version: 2, address, protocol: 'ttrpc' });
  assert.deepEqual(parseAnswer(bytes('abstract-name')), { version: 2, address: 'abstract-name', protocol: 'ttrpc' });
  assert.deepEqual(parseAnswer(bytes(JSON.stringify({ version: 3, address, protocol: 'TTRPC' }))), {
    version: 3,
    address,
    protocol: 'ttrpc',
  });
  const { BootstrapResult } = containerd.runtime.bootstrap.v1;
  assert.deepEqual(parseAnswer(BootstrapResult.encode({ version: 3, address, protocol: 'ttrpc' }).finish()), {
    version: 3,
    address,
    protocol: 'ttrpc',
  });
});

test('an answer that is none', () => {
  const cases: [string, RegExp][] = [
    ['', /printed nothing/],
    [' \n', /printed nothing/],
    ['two words', /is no address/],
    ['unix:///a\nwarning: x', /is no address/],
    ['{"version":3}', /holds no address/],
    ['{', /neither an address nor JSON/],
    ['vsock://1:2', /is no address/],
    ['\u0001\u0002', /is no address/],
    [`unix:///${'x'.repeat(200)}`, /is no address/],
  ];
  for (const [text, error] of cases) assert.throws(() => parseAnswer(bytes(text)), error, text);
  assert.throws(
    () => parseAnswer(bytes('{"version":4,"address":"unix:///a"}')),
    /unsupported shim version \(4\).*not implemented/,
  );
  assert.throws(
    () => parseAnswer(bytes('{"version":3,"address":"unix:///a","protocol":"grpc"}')),
    /unsupported shim protocol "grpc".*not implemented/,
  );
  assert.throws(() => parseAnswer(Buffer.from([0xff, 0xfe, 0x00])), /is no address/);
});

test('the plugin refuses keys and values that it does not know', () => {
  assert.deepEqual(taskConfig({}), { sched_core: false, shim_dirs: [] });
  assert.deepEqual(taskConfig({ sched_core: true, shim_dirs: ['/x'], platforms: ['linux/amd64'] }), {
    sched_core: true,
    shim_dirs: ['/x'],
  });
  assert.throws(() => taskConfig({ shim_dir: '/x' }), /shim_dir is no key/);
  assert.throws(() => taskConfig({ sched_core: 'yes' }), /sched_core must be true or false/);
  assert.throws(() => taskConfig({ shim_dirs: ['x'] }), /shim_dirs must be a list of absolute paths/);
});

test('variables of all shims come from one plugin, sched_core from another, and both are given to each shim', () => {
  const context = { config: shimPlugin.config!({ env: ['A=b=c', 'EMPTY='], socket_dir: '/run/s' }) };
  assert.deepEqual(shimPlugin.init(context as InitContext<ShimConfig>), { A: 'b=c', EMPTY: '' });
  assert.throws(() => shimPlugin.config!({ environment: [] }), /environment is no key of this plugin/);
});

test('timeouts by the keys of the configuration', () => {
  assert.deepEqual(timeoutsOf(), DEFAULT_TIMEOUTS);
  assert.deepEqual(
    timeoutsOf({ 'io.containerd.timeout.shim.load': 1, 'io.containerd.timeout.task.state': 7, other: 3 }),
    { ...DEFAULT_TIMEOUTS, load: 1, state: 7 },
  );
});
