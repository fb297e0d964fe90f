import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { parse, stringify } from 'smol-toml';
import { containerd } from '../../src/api/full.js';
import { checkSections } from '../../src/daemon/check.js';
import { parseDuration } from '../../src/daemon/config/duration.js';
import { ConfigError, loadConfig, type Config, type Overrides } from '../../src/daemon/config/index.js';
import { locate } from '../../src/daemon/config/locate.js';
import { defaultConfig, dumpConfig } from '../../src/daemon/config/print.js';
import { SECTIONS } from '../../src/daemon/config/schema.js';
import { stockPlugins } from '../../src/daemon/plugins.js';
import { DEFAULT_TIMEOUTS, TIMEOUT_KEYS, timeoutsOf } from '../../src/daemon/tasks/timeouts.js';

const directory = mkdtempSync(join(tmpdir(), 'hawser-config-'));
after(() => rmSync(directory, { recursive: true }));
let files = 0;

function write(text: string, name = `c${files++}.toml`): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

const load = (text: string, overrides?: Overrides): Config => loadConfig(write(text), overrides);

/** The complaint about a configuration, without the path. */
function complaint(text: string): string {
  const path = write(text);
  try {
    loadConfig(path);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    assert.ok(error.message.startsWith(`${path}:`), error.message);
    return error.message.slice(path.length + 1);
  }
  assert.fail(`this was read: ${text}`);
}

test('without a file the defaults hold', () => {
  const config = loadConfig(undefined);
  assert.deepEqual(
    [config.root, config.state, config.grpc.address, config.ttrpc.address, config.grpc.maxReceive, config.debug.level],
    [
      '/var/lib/hawser',
      '/run/hawser/state',
      '/run/hawser/hawserd.sock',
      '/run/hawser/hawserd.sock.ttrpc',
      16777216,
      'info',
    ],
  );
});

test('the printed defaults change nothing, and explain every key that is of use', () => {
  const printed = defaultConfig();
  assert.deepEqual({ ...load(printed), files: [] }, loadConfig(undefined));
  for (const [section, { settings }] of Object.entries(SECTIONS)) {
    for (const [key, { doc }] of Object.entries(settings)) {
      assert.equal(
        new RegExp(`^# .*\\n${key} = `, 'm').test(printed),
        doc !== undefined || ['uid', 'gid', 'address'].includes(key),
        `${section}.${key}`,
      );
    }
  }
});

/** The printed defaults with their examples no longer behind a comment sign. */
function uncommented(): string {
  const printed = defaultConfig();
  const at = printed.indexOf('[timeouts]');
  return printed.slice(0, at) + printed.slice(at).replace(/^# (?=["[]| +\w+ = )/gm, '');
}

test('the examples in the printed defaults are good, and say what holds anyway', () => {
  const config = load(uncommented());
  assert.deepEqual(timeoutsOf(config.timeouts), DEFAULT_TIMEOUTS);
  assert.deepEqual(Object.keys(config.timeouts).sort(), Object.values(TIMEOUT_KEYS).sort());
  assert.equal(config.runtimes[0]?.name, 'crun');
  assert.deepEqual({ ...config.plugins['io.containerd.grpc.v1.greeter'] }, { greeting: 'Hello' });
  checkSections(config, stockPlugins);
  for (const { type, id, config: configure } of stockPlugins) {
    const defaults = configure?.({}) as Record<string, unknown> | undefined;
    assert.deepEqual(
      defaults && { ...config.plugins[`${type}.${id}`] },
      defaults,
      `every key of ${type}.${id}, with its default`,
    );
  }
});

test("what a plugin does not take is found by the check, at its section's place", () => {
  const path = write('version = 2\n[plugins]\n  [plugins."io.containerd.runtime.v2.task"]\n  sched_core = 1\n');
  assert.throws(
    () => checkSections(loadConfig(path), stockPlugins),
    new ConfigError(`${path}:3:4: plugin io.containerd.runtime.v2.task: sched_core must be true or false`),
  );
  checkSections(
    load('disabled_plugins = ["io.containerd.runtime.v2"]\n[plugins."io.containerd.runtime.v2.task"]\nsched_core = 1'),
    stockPlugins,
  );
});

test('all that can be set', () => {
  const config = load(`
    version = 3
    root = "/r"
    state = "/s"
    oom_score = -999
    disabled_plugins = ["a.b"]
    required_plugins = ["c.d"]
    external_plugins = ["/p.mjs"]
    default_runtime = "crun"
    grpc = { address = "/g", uid = 1, gid = 2, max_recv_message_size = 3, max_send_message_size = 4 }
    [ttrpc]
    address = "/t"
    uid = 5
    [debug]
    level = "warning"
    format = "json"
    [metrics]
    address = "127.0.0.1:1338"
    [timeouts]
    "io.containerd.timeout.task.state" = "1m1.5s"
    [plugins."a.b"]
    x = 1
    [runtimes.crun]
    shim = "io.containerd.runc.v2"
    options = { BinaryName = "crun", systemd_cgroup = true, IoUid = 7 }
  `);
  assert.deepEqual(config.grpc, { address: '/g', uid: 1, gid: 2, maxReceive: 3, maxSend: 4 });
  assert.deepEqual(
    [config.root, config.state, config.oomScore, config.defaultRuntime, config.metrics.address],
    ['/r', '/s', -999, 'crun', '127.0.0.1:1338'],
  );
  assert.deepEqual(
    [config.disabledPlugins, config.requiredPlugins, config.externalPlugins],
    [['a.b'], ['c.d'], ['/p.mjs']],
  );
  assert.deepEqual(
    [config.ttrpc.address, config.ttrpc.uid, config.debug.level, config.debug.format],
    ['/t', 5, 'warn', 'json'],
  );
  assert.equal(config.timeouts['io.containerd.timeout.task.state'], 61_500);
  const [runtime] = config.runtimes;
  assert.deepEqual(
    [runtime?.name, runtime?.shim, runtime?.options?.type_url],
    ['crun', 'io.containerd.runc.v2', 'containerd.runc.v1.Options'],
  );
  const { binaryName, systemdCgroup, ioUid } = containerd.runc.v1.Options.decode(runtime!.options!.value!);
  assert.deepEqual([binaryName, systemdCgroup, ioUid], ['crun', true, 7]);
  assert.deepEqual(
    { ...loadConfig(write(dumpConfig(config))), files: [], version: 0 },
    { ...config, files: [], version: 0 },
    'a dump says the same',
  );
});

for (const [text, expected] of [
  ['rot = "/x"', '1:1: unknown key rot; did you mean root?'],
  ['version = 2\n\n[grcp]\naddress = "/x"', '3:2: unknown key grcp; did you mean grpc?'],
  ['[grpc]\n  adress = "/x"', '2:3: unknown key adress in [grpc]; did you mean address?'],
  ['grpc = { adress = "/x" }', '1:10: unknown key adress in [grpc]; did you mean address?'],
  ['[grpc]\nuid = "0"', '2:1: grpc.uid must be a whole number, not a text in quotes'],
  ['[grpc]\nuid = -1', '2:1: uid must be from 0 to 2147483647, not -1'],
  ['grpc.uid = 1.5', '1:1: grpc.uid must be a whole number, not a number with a fraction'],
  ['grpc = 1', '1:1: grpc must be a section, not a whole number'],
  ['disabled_plugins = "x"', '1:1: disabled_plugins must be a list of texts in quotes, not a text in quotes'],
  ['disabled_plugins = [1]', '1:1: disabled_plugins must be a list of texts in quotes, not a list'],
  ['root = "var/lib"', '1:1: root must be an absolute path, not "var/lib"'],
  ['[grpc]\naddress = "x"', '2:1: grpc.address must be an absolute path, not "x"'],
  ['external_plugins = ["x.mjs"]', '1:1: external_plugins must be an absolute path, not "x.mjs"'],
  ['version = 9', '1:1: version 9 is unknown: this hawserd reads files of version 1 to 4'],
  ['oom_score = 2000', '1:1: oom_score must be from -1000 to 1000, not 2000'],
  ['[debug]\nlevel = "loud"', '2:1: unknown level "loud": give one of trace, debug, info, warn, error, fatal, panic'],
  ['[debug]\nformat = "xml"', '2:1: unknown format "xml": give json or text'],
  ['[metrics]\naddress = "here"', '2:1: address must be HOST:PORT'],
  ['[timeouts]\n"a.b" = "5"', '2:1: a.b must be a time such as "5s" or "1m30s", not "5"'],
  [
    '[timeouts]\n"io.containerd.timeout.shim.start" = "5s"',
    '2:1: unknown key io.containerd.timeout.shim.start in [timeouts]; did you mean io.containerd.timeout.shim.load?',
  ],
  [
    'version = 2\ndisabled_plugins = ["cri"]',
    '2:1: disabled_plugins names "cri", which has no type: since version 2 it must be TYPE.ID, such as io.containerd.grpc.v1.cri',
  ],
  [
    'version = 4\n[plugins."io.containerd.server.v1.grpc"]\naddress = "x"',
    '3:1: plugins.io.containerd.server.v1.grpc.address must be an absolute path, not "x"',
  ],
  [
    'version = 4\n[plugins."io.containerd.server.v1.ttrpc"]\nadress = "/x"',
    '3:1: unknown key adress in [plugins.io.containerd.server.v1.ttrpc]; did you mean address?',
  ],
  [
    'version = 4\n[plugins."io.containerd.server.v1.metrics"]\naddress = 1',
    '3:1: plugins.io.containerd.server.v1.metrics.address must be a text in quotes, not a whole number',
  ],
  ['[timeouts]\na = 5', '2:1: timeouts.a must be a text in quotes, not a whole number'],
  ['[plugins]\n"a.b" = 1', '2:1: plugins.a.b must be a section, not a whole number'],
  [
    '[runtimes.x]\noptions = {}',
    '1:2: runtime x needs a shim: an absolute path, or a name such as io.containerd.runc.v2',
  ],
  ['[runtimes.x]\nshim = "/s"\noptins = {}', '3:1: unknown key optins of runtime x; did you mean options?'],
  [
    '[runtimes.x]\nshim = "/s"\n[runtimes.x.options]\nBinaryNam = "y"',
    '4:1: runtime x: unknown option BinaryNam; did you mean BinaryName?',
  ],
  [
    '[runtimes.x]\nshim = "/s"\n[runtimes.x.options]\nSystemdCgroup = "yes"',
    '4:1: runtime x: SystemdCgroup must be true or false',
  ],
  ['root = "/a"\nroot = "/b"', '2:1: not TOML: trying to redefine an already defined table or value'],
  ['root =', /^1:7: not TOML: /],
] as const) {
  test(`a complaint with its place: ${JSON.stringify(text)}`, () => {
    if (typeof expected === 'string') assert.equal(complaint(text), expected);
    else assert.match(complaint(text), expected);
  });
}

test('a file that is not there', () => {
  assert.throws(
    () => loadConfig('/nowhere/x.toml'),
    /^ConfigError: cannot read the configuration \/nowhere\/x\.toml: ENOENT/,
  );
});

test('the command line comes last', () => {
  const config = load('root = "/r"\n[grpc]\naddress = "/g"\n[debug]\nlevel = "error"', {
    root: '/r2',
    address: '/a',
    state: '/s',
    logLevel: 'trace',
    logFormat: 'text',
  });
  assert.deepEqual(
    [config.root, config.state, config.grpc.address, config.ttrpc.address, config.debug],
    ['/r2', '/s', '/a', '/a.ttrpc', { level: 'trace', format: 'text' }],
  );
  assert.throws(() => loadConfig(undefined, { root: 'x' }), /--root: must be an absolute path/);
  assert.throws(() => loadConfig(undefined, { logLevel: 'x' }), /--log-level: unknown level "x"/);
});

test('imported files come after the one that imports them, lists grow', () => {
  mkdirSync(join(directory, 'conf.d'));
  write('root = "/two"\ndisabled_plugins = ["b.c", "a.b"]\nimports = ["../main.toml"]', 'conf.d/2.toml');
  write('root = "/one"\nstate = "/one"', 'conf.d/1.toml');
  write('junk', 'conf.d/readme');
  const config = loadConfig(
    write('imports = ["conf.d/*.toml", "none.d/*"]\nroot = "/main"\ndisabled_plugins = ["a.b"]', 'main.toml'),
  );
  assert.deepEqual([config.root, config.state, config.disabledPlugins], ['/two', '/one', ['a.b', 'b.c']]);
  assert.equal(config.files.length, 3);
  assert.throws(() => load('imports = ["absent.toml"]'), /cannot read the configuration .*absent\.toml: ENOENT/);
});

/** As dockerd 20.10 and 26 write it for the containerd that they run. */
const DOCKERD = `
disabled_plugins = ["io.containerd.grpc.v1.cri"]
imports = []
oom_score = 0
plugin_dir = ""
required_plugins = []
root = "/var/lib/docker/containerd/daemon"
state = "/var/run/docker/containerd/daemon"
temp = ""
version = 2

[cgroup]
  path = ""
[debug]
  address = "/var/run/docker/containerd/containerd-debug.sock"
  format = ""
  gid = 0
  level = ""
  uid = 0
[grpc]
  address = "/var/run/docker/containerd/containerd.sock"
  gid = 0
  max_recv_message_size = 16777216
  max_send_message_size = 16777216
  tcp_address = ""
  tcp_tls_ca = ""
  tcp_tls_cert = ""
  tcp_tls_key = ""
  uid = 0
[metrics]
  address = ""
  grpc_histogram = false
[plugins]
[proxy_plugins]
[stream_processors]
[timeouts]
[ttrpc]
  address = ""
  gid = 0
  uid = 0
`;

test('what dockerd writes for its containerd is read, and what is of no use is named', () => {
  const config = load(DOCKERD);
  assert.deepEqual(
    [config.root, config.grpc.address, config.ttrpc.address],
    [
      '/var/lib/docker/containerd/daemon',
      '/var/run/docker/containerd/containerd.sock',
      '/var/run/docker/containerd/containerd.sock.ttrpc',
    ],
  );
  assert.deepEqual(config.unused, ['debug.address']);
  const old = load(
    DOCKERD.replace('version = 2', 'version = 0')
      .replace('"io.containerd.grpc.v1.cri"', '"cri"')
      .replace('[plugins]', '[plugins]\n[plugins.linux]\nshim = "x"'),
  );
  assert.deepEqual(old.disabledPlugins, ['io.containerd.grpc.v1.cri']);
  assert.deepEqual({ ...old.plugins['io.containerd.runtime.v1.linux'] }, { shim: 'x' });
});

test('durations as Go writes them', () => {
  for (const [text, ms] of [
    ['5s', 5000],
    ['1h2m3s', 3_723_000],
    ['1.5m', 90_000],
    ['.5s', 500],
    ['100ms', 100],
    ['2us', 0.002],
    ['0', 0],
    ['0s', 0],
  ] as const)
    assert.equal(parseDuration(text), ms, text);
  for (const text of ['', '5', 's', '-1s', '1x', '1s ', '1.2.3s', 'Infinitys'])
    assert.equal(parseDuration(text), undefined, text);
});

test('the place of any key is found', () => {
  const name = fc.stringMatching(/^[a-z][\w.-]{0,8}$/);
  fc.assert(
    fc.property(fc.dictionary(name, fc.dictionary(name, fc.integer(), { minKeys: 1 }), { minKeys: 1 }), (sections) => {
      const text = stringify(sections);
      const lines = text.split('\n');
      for (const [section, settings] of Object.entries(sections)) {
        for (const [key, value] of Object.entries(settings)) {
          const { line, column } = locate(text, [section, key]);
          assert.deepEqual(
            parse(lines[line - 1]!.slice(column - 1)),
            Object.assign(Object.create(null), { [key]: value }),
          );
        }
      }
    }),
  );
});
