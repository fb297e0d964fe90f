/** Files of each version of containerd's configuration mean what they mean there. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { checkSections } from '../../src/daemon/check.js';
import { ConfigError, loadConfig, type Config, type Overrides } from '../../src/daemon/config/index.js';
import { stockPlugins } from '../../src/daemon/plugins.js';

const directory = mkdtempSync(join(tmpdir(), 'hawser-config-'));
after(() => rmSync(directory, { recursive: true }));
let files = 0;

function write(text: string): string {
  const path = join(directory, `c${files++}.toml`);
  writeFileSync(path, text);
  return path;
}

const load = (text: string, overrides?: Overrides): Config => loadConfig(write(text), overrides);

/** Sections as plain objects. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

for (const version of ['', 'version = 0', 'version = 1']) {
  test(`names without types mean what containerd takes them for: ${version || 'no version'}`, () => {
    const config = load(`${version}
      disabled_plugins = ["restart", "cri", "diff-service", "windows", "tasks", "io.containerd.a.v1.b"]
      required_plugins = ["cgroups", "bolt"]
      [plugins.restart]
      interval = "7s"
      [plugins.cgroups]
      no_prometheus = true
      [plugins.linux]
      shim = "x"
      [plugins.opt]
      path = "/opt"
      [plugins.scheduler]
      pause_threshold = 0.5
    `);
    assert.deepEqual(config.disabledPlugins, [
      'io.containerd.internal.v1.restart',
      'io.containerd.grpc.v1.cri',
      'io.containerd.service.v1.diff-service',
      'io.containerd.snapshotter.v1.windows',
      'io.containerd.grpc.v1.tasks',
      'io.containerd.a.v1.b',
    ]);
    assert.deepEqual(config.requiredPlugins, [
      'io.containerd.monitor.task.v1.cgroups',
      'io.containerd.metadata.v1.bolt',
    ]);
    assert.deepEqual(plain(config.plugins), {
      'io.containerd.internal.v1.restart': { interval: '7s' },
      'io.containerd.monitor.task.v1.cgroups': { no_prometheus: true },
      'io.containerd.runtime.v1.linux': { shim: 'x' },
      'io.containerd.internal.v1.opt': { path: '/opt' },
      'io.containerd.gc.v1.scheduler': { pause_threshold: 0.5 },
    });
  });
}

test('plugins that were called otherwise are found by each of their names, in sections and in lists', () => {
  const config = load(`version = 2
    disabled_plugins = ["io.containerd.monitor.container.v1.restart"]
    required_plugins = ["io.containerd.monitor.v1.cgroups"]
    [plugins."io.containerd.monitor.container.v1.restart"]
    interval = "8s"
    [plugins."io.containerd.monitor.v1.cgroups"]
    no_prometheus = true
  `);
  assert.deepEqual(config.disabledPlugins, ['io.containerd.internal.v1.restart']);
  assert.deepEqual(config.requiredPlugins, ['io.containerd.monitor.task.v1.cgroups']);
  assert.deepEqual(plain(config.plugins), {
    'io.containerd.internal.v1.restart': { interval: '8s' },
    'io.containerd.monitor.task.v1.cgroups': { no_prometheus: true },
  });
});

test('a complaint about such a section has the place that it has in the file', () => {
  const path = write('[plugins.restart]\ninterval = "soon"\n');
  assert.throws(
    () => checkSections(loadConfig(path), stockPlugins),
    new ConfigError(
      `${path}:1:2: plugin io.containerd.internal.v1.restart: interval must be a time such as "10s" or "1m30s", not "soon"`,
    ),
  );
});

const SHIMS = 'io.containerd.shim.v1.manager';
const TASKS = 'io.containerd.runtime.v2.task';

for (const [text, env] of [
  ['[plugins.task]\nsched_core = true\nshim_dirs = ["/x"]', ['SCHED_CORE=1']],
  [`version = 2\n[plugins."${TASKS}"]\nsched_core = true\nshim_dirs = ["/x"]`, ['SCHED_CORE=1']],
  [
    `version = 4\n[plugins."${SHIMS}"]\nenv = ["A=b=c"]\n[plugins."${TASKS}"]\nsched_core = true\nshim_dirs = ["/x"]`,
    ['A=b=c', 'SCHED_CORE=1'],
  ],
] as const) {
  test(`sched_core is a variable of shims: ${JSON.stringify(text)}`, () => {
    const config = load(text);
    assert.deepEqual(plain(config.plugins), { [TASKS]: { shim_dirs: ['/x'] }, [SHIMS]: { env } });
    checkSections(config, stockPlugins);
  });
}

test('variables of shims are NAME=VALUE', () => {
  for (const env of ['1', '"A=b"', '["A"]', '["=b"]', '[1]'])
    assert.throws(
      () => checkSections(load(`version = 4\n[plugins."${SHIMS}"]\nenv = ${env}`), stockPlugins),
      /:2:2: plugin io\.containerd\.shim\.v1\.manager: env must be a list of texts, each NAME=VALUE/,
    );
  assert.deepEqual(load(`version = 4\n[plugins."${SHIMS}"]\nsocket_dir = "/run/s"`).unused, [
    `plugins.${SHIMS}.socket_dir`,
  ]);
});

const FOUR = `version = 4
[debug]
  level = 'debug'
  format = ''
  log_trace_id = false
[plugins]
  [plugins.'io.containerd.server.v1.debug']
    address = '/d.sock'
    uid = 0
    gid = 0
  [plugins.'io.containerd.server.v1.grpc']
    address = '/g.sock'
    uid = 1
    gid = 2
    max_recv_message_size = 3
    max_send_message_size = 4
  [plugins.'io.containerd.server.v1.metrics']
    address = '127.0.0.1:1338'
  [plugins.'io.containerd.server.v1.ttrpc']
    address = '/t.sock'
    uid = 5
    gid = 6
`;

test('version 4 has sockets and metrics at plugins', () => {
  const config = load(FOUR);
  assert.deepEqual(config.grpc, { address: '/g.sock', uid: 1, gid: 2, maxReceive: 3, maxSend: 4 });
  assert.deepEqual(config.ttrpc, { address: '/t.sock', uid: 5, gid: 6 });
  assert.equal(config.metrics.address, '127.0.0.1:1338');
  assert.equal(config.debug.level, 'debug');
  assert.deepEqual(config.unused, []);
  assert.deepEqual(plain(config.plugins), {
    'io.containerd.server.v1.debug': { address: '/d.sock', uid: 0, gid: 0 },
  });
});

test('the sections of earlier versions say nothing in version 4, and are named as unused', () => {
  const config = load('version = 4\n[grpc]\naddress = "/g"\ngid = 0\n[ttrpc]\nuid = 7\n[metrics]\naddress = "a:1"');
  const defaults = loadConfig(undefined);
  assert.deepEqual([config.grpc, config.ttrpc, config.metrics], [defaults.grpc, defaults.ttrpc, defaults.metrics]);
  assert.deepEqual(config.unused, ['grpc.address', 'ttrpc.uid', 'metrics.address']);
});

test("before version 4 a plugin's section holds where there is one, and the old section nowhere", () => {
  const config = load(`version = 3
    [grpc]
    address = "/old"
    gid = 7
    [plugins."io.containerd.server.v1.grpc"]
    address = "/new"
  `);
  assert.deepEqual([config.grpc.address, config.grpc.gid], ['/new', 0]);
  assert.deepEqual(config.unused, ['grpc.address', 'grpc.gid']);
});

for (const [name, text, overrides, expected] of [
  ['all of it', '[grpc]\naddress = "/g"\nuid = 1\ngid = 2', {}, ['/g.ttrpc', 1, 2]],
  ['the group alone', 'version = 3\n[grpc]\ngid = 2', {}, ['/run/hawser/hawserd.sock.ttrpc', 0, 2]],
  ['not what is given', '[grpc]\naddress = "/g"\nuid = 1\ngid = 2\n[ttrpc]\ngid = 3', {}, ['/g.ttrpc', 1, 3]],
  ['not where it has an address', '[grpc]\naddress = "/g"\ngid = 2\n[ttrpc]\naddress = "/t"', {}, ['/t', 0, 0]],
  ['the flag', 'version = 2\n[grpc]\ngid = 2', { address: '/f' }, ['/f.ttrpc', 0, 2]],
  [
    'not in version 4',
    'version = 4\n[plugins."io.containerd.server.v1.grpc"]\naddress = "/g"\ngid = 2',
    {},
    ['/run/hawser/hawserd.sock.ttrpc', 0, 0],
  ],
  [
    'the flag, in version 4 too',
    'version = 4\n[plugins."io.containerd.server.v1.grpc"]\naddress = "/g"\ngid = 2',
    { address: '/f' },
    ['/f.ttrpc', 0, 2],
  ],
] as const) {
  test(`the socket of events follows that of the API: ${name}`, () => {
    const { ttrpc } = load(text, overrides);
    assert.deepEqual([ttrpc.address, ttrpc.uid, ttrpc.gid], expected);
  });
}

test("an imported file's section of a plugin is laid over key by key", () => {
  const imported = write(`version = 4\n[plugins."a.b"]\nlist = [3]\nother.inner = 1`);
  const config = load(`version = 2
    imports = [${JSON.stringify(imported)}]
    [plugins."a.b"]
    list = [1, 2]
    kept = true
    other.outer = 2
  `);
  assert.deepEqual(plain(config.plugins['a.b']), { list: [3], kept: true, other: { outer: 2, inner: 1 } });
});
