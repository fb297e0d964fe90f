/** Configurations between hawserd and real containerds. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { execa } from 'execa';
import { parse } from 'smol-toml';
import { parseDuration } from '../../src/daemon/config/duration.js';
import { loadConfig } from '../../src/daemon/config/index.js';
import { stockPlugins } from '../../src/daemon/plugins.js';
import { timeoutsOf } from '../../src/daemon/tasks/timeouts.js';
import { temporaryDirectory, top } from '../support/daemons.js';
import { builtContainerd, NEWEST_CONTAINERD } from '../support/go-programs.js';

const directory = temporaryDirectory('config');
after(() => rmSync(directory, { recursive: true, force: true }));
const hawserd = join(top, 'bin/hawserd');

const newest = builtContainerd(NEWEST_CONTAINERD);
const withoutNewest =
  newest === undefined && `containerd ${NEWEST_CONTAINERD} has not been built; test/support/matrix.ts does it`;
const stock = '/usr/bin/containerd';
const containerds = [
  { name: `containerd ${NEWEST_CONTAINERD}`, program: join(newest ?? '', 'containerd'), skip: withoutNewest },
  { name: "the machine's containerd", program: stock, skip: !existsSync(stock) && `there is no ${stock}` },
];

/** What containerd says holds. */
interface Dump {
  disabled_plugins: string[];
  required_plugins: string[];
  timeouts: Record<string, string>;
  plugins: Record<string, Record<string, unknown>>;
}

let files = 0;

function write(text: string): string {
  const path = join(directory, `c${files++}.toml`);
  writeFileSync(path, text);
  return path;
}

const run = async (program: string, file: string, ...args: string[]): Promise<string> =>
  (await execa(program, ['-c', file, ...args], { cwd: '/' })).stdout;

for (const { name, program, skip } of containerds) {
  test(`all that ${name} has in its configuration is read`, { skip }, async () => {
    const file = write(await run(program, write(''), 'config', 'default'));
    assert.equal(await run(hawserd, file, 'config', 'check'), `${file}: good`);
    const dump = await run(hawserd, file, 'config', 'dump');
    assert.match(dump, /^address = "\/run\/containerd\/containerd\.sock"$/m);
    assert.match(dump, /^address = "\/run\/containerd\/containerd\.sock\.ttrpc"$/m);
  });
}

/** One of version 1, with all that hawserd and containerd share, and what each has alone. */
const OLD = `
root = "/r"
state = "/s"
temp = "/tmp"
oom_score = -5
disabled_plugins = ["cri", "restart"]
required_plugins = ["cgroups"]
external_plugins = ["/p.mjs"]
default_runtime = "crun"
[grpc]
address = "/g.sock"
uid = 1
gid = 2
max_send_message_size = 4096
tcp_address = "127.0.0.1:1"
[debug]
address = "/d.sock"
level = "debug"
[metrics]
address = "127.0.0.1:1338"
grpc_histogram = true
[cgroup]
path = "/c"
[timeouts]
"io.containerd.timeout.task.state" = "1m1.5s"
[plugins.cgroups]
no_prometheus = true
[plugins.linux]
shim = "x"
[plugins.task]
sched_core = true
platforms = ["linux/amd64"]
[plugins.overlayfs]
root_path = "/o"
[proxy_plugins.remote]
type = "snapshot"
address = "/remote.sock"
[runtimes.crun]
shim = "io.containerd.runc.v2"
options = { BinaryName = "crun" }
`;

/** What has moved from version 3 to 4 is told there as a key of its plugin, or not at all. */
const meaning = (file: string): object => {
  const { unused: _unused, files: _files, version: _version, plugins, timeouts, ...rest } = loadConfig(file);
  const settings = stockPlugins.map(({ type, id, config }): [string, unknown] => [
    `${type}.${id}`,
    config?.(plugins[`${type}.${id}`] ?? {}) ?? plugins[`${type}.${id}`],
  ]);
  return {
    ...rest,
    timeouts: timeoutsOf(timeouts),
    plugins: JSON.parse(JSON.stringify({ ...plugins, ...Object.fromEntries(settings) })) as object,
  };
};

for (const [name, text] of [
  ['of version 1', OLD],
  ['of hawserd, with nothing in it', ''],
  [
    'of version 2',
    `version = 2\n${OLD.replace(/^.*_plugins = .*\n/gm, '').replace('plugins.task', 'plugins."io.containerd.runtime.v2.task"')}`,
  ],
] as const) {
  test(`a migrated configuration ${name} means the same to hawserd`, async () => {
    const file = write(text);
    const migrated = write(await run(hawserd, file, 'config', 'migrate'));
    assert.deepEqual(meaning(migrated), meaning(file));
    const again = await run(hawserd, migrated, 'config', 'migrate');
    assert.equal(again, readFileSync(migrated, 'utf8'), 'migrating it once more changes nothing');
  });
}

test(
  'a migrated configuration means to the newest containerd what the old one does',
  { skip: withoutNewest },
  async () => {
    const program = join(newest!, 'containerd');
    const file = write(OLD);
    const migrated = write(await run(hawserd, file, 'config', 'migrate'));
    const [before, after] = await Promise.all(
      [file, migrated].map(async (path) => parse(await run(program, path, 'config', 'dump')) as unknown as Dump),
    );
    // hawserd calls it by its name of containerd 2, without which disabling it does nothing there.
    assert.deepEqual(after!.disabled_plugins, [
      'io.containerd.grpc.v1.cri',
      'io.containerd.monitor.container.v1.restart',
    ]);
    before!.disabled_plugins = after!.disabled_plugins;
    delete before!.plugins['io.containerd.monitor.container.v1.restart'];
    // That is so of this one too: by its old name it cannot be required there.
    assert.deepEqual(after!.required_plugins, ['io.containerd.monitor.task.v1.cgroups']);
    before!.required_plugins = after!.required_plugins;
    // This containerd loses it on the way from version 1.
    assert.deepEqual(after!.plugins['io.containerd.shim.v1.manager']!.env, ['SCHED_CORE=1']);
    before!.plugins['io.containerd.shim.v1.manager'] = after!.plugins['io.containerd.shim.v1.manager']!;
    for (const [key, text] of Object.entries(before!.timeouts))
      assert.equal(parseDuration(after!.timeouts[key] ?? ''), parseDuration(text), key);
    before!.timeouts = after!.timeouts;
    // Sections of plugins that are hawserd's alone are passed over.
    for (const name of Object.keys(after!.plugins)) if (name.includes('lmdb')) delete after!.plugins[name];
    assert.deepEqual(after, before);
  },
);
