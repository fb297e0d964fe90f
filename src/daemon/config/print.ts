/** The configuration as TOML: the defaults with every key explained, and what holds now. */
import { stringify } from 'smol-toml';
import { containerd } from '../../api/full.js';
import { nameOf } from '../plugin/order.js';
import type { Registration } from '../plugin/types.js';
import { TIMEOUT_KEYS, timeoutsOf, type Timeouts } from '../tasks/timeouts.js';
import type { Table } from './table.js';
import type { Config } from './index.js';
import { newestName, TASK_PLUGIN } from './names.js';
import { METRICS_SERVER, SECTIONS, TABLES, type Setting } from './schema.js';

const comment = (text: string): string =>
  text
    .split('\n')
    .map((line) => `# ${line}`)
    .join('\n');

function assignment(key: string, { doc, value }: Setting): string {
  return `${comment(doc!)}\n${key} = ${JSON.stringify(value)}`;
}

/** What `hawserd config default` prints: a file that changes nothing. */
export function defaultConfig(): string {
  const blocks = [
    comment(
      "hawserd's configuration, with the defaults. It has the form of containerd's; keys of containerd's that are not here are accepted\nand do nothing. An unknown key is an error.",
    ),
  ];
  for (const [name, { doc, settings }] of Object.entries(SECTIONS)) {
    const own = Object.entries(settings).filter(([, setting]) => setting.doc !== undefined);
    if (own.length === 0) continue;
    if (name !== '') blocks.push(`${comment(doc!)}\n[${name}]`);
    blocks.push(...own.map(([key, setting]) => assignment(key, setting)));
  }
  for (const [name, { doc, example }] of Object.entries(TABLES))
    if (doc !== undefined) blocks.push(`${comment(doc)}\n[${name}]\n${comment(example!)}`);
  return `${blocks.join('\n\n')}\n`;
}

/** What `hawserd config dump` prints: what holds, with the files and the command line taken together. */
export function dumpConfig(config: Config): string {
  const { grpc, ttrpc, debug, metrics, cgroup, timeouts, plugins, runtimes } = config;
  return stringify({
    version: 2,
    root: config.root,
    state: config.state,
    oom_score: config.oomScore,
    disabled_plugins: config.disabledPlugins,
    required_plugins: config.requiredPlugins,
    external_plugins: config.externalPlugins,
    default_runtime: config.defaultRuntime,
    grpc: {
      address: grpc.address,
      uid: grpc.uid,
      gid: grpc.gid,
      max_recv_message_size: grpc.maxReceive,
      max_send_message_size: grpc.maxSend,
    },
    ttrpc,
    debug,
    metrics,
    cgroup,
    timeouts: durations(timeouts),
    runtimes: sectionsOf(runtimes),
    plugins,
  });
}

/**
 * What `hawserd config migrate` prints: the same in version 4 and with the defaults of all plugins, readable by hawserd and by
 * containerd 2.4, which passes over what is hawserd's alone. What has no use here is in it too.
 *
 * @param plugins those that come with the daemon; their sections are right ({@link checkSections})
 */
export function migrateConfig(config: Config, plugins: readonly Registration[]): string {
  const { grpc, ttrpc, metrics } = config;
  const servers: Record<string, Table> = {
    'io.containerd.server.v1.grpc': {
      address: grpc.address,
      uid: grpc.uid,
      gid: grpc.gid,
      max_recv_message_size: grpc.maxReceive,
      max_send_message_size: grpc.maxSend,
    },
    'io.containerd.server.v1.ttrpc': { ...ttrpc },
    [METRICS_SERVER]: { ...metrics },
  };
  const { debug: moreDebug, ...passed } = config.passed;
  return stringify({
    version: 4,
    root: config.root,
    state: config.state,
    oom_score: config.oomScore,
    disabled_plugins: config.disabledPlugins.map(newestName),
    required_plugins: config.requiredPlugins.map(newestName),
    external_plugins: config.externalPlugins,
    default_runtime: config.defaultRuntime,
    ...passed,
    debug: { ...config.debug, ...(moreDebug as Table | undefined) },
    cgroup: config.cgroup,
    timeouts: durations(allTimeouts(config.timeouts)),
    runtimes: sectionsOf(config.runtimes),
    plugins: { ...servers, ...completed(config, plugins) },
  });
}

/** The sections of all plugins by their newest names, those of the daemon's own with every key. */
function completed({ plugins: sections, disabledPlugins }: Config, plugins: readonly Registration[]): Table {
  const all: Record<string, Table> = { ...sections };
  for (const { type, id, config } of plugins) {
    const name = nameOf({ type, id });
    // Nothing is known of what the section of a disabled one says.
    if (config === undefined || disabledPlugins.includes(name) || disabledPlugins.includes(type)) continue;
    all[name] = { ...all[name], ...(config(all[name] ?? {}) as Table) };
  }
  // Where it is true it has become a variable of shims.
  if (all[TASK_PLUGIN]?.sched_core === false) {
    const { sched_core: _schedCore, ...task } = all[TASK_PLUGIN];
    all[TASK_PLUGIN] = task;
  }
  return Object.fromEntries(Object.entries(all).map(([name, section]) => [newestName(name), section]));
}

function allTimeouts(given: Readonly<Record<string, number>>): Record<string, number> {
  const all = { ...given };
  const timeouts = timeoutsOf(given);
  for (const name of Object.keys(TIMEOUT_KEYS) as (keyof Timeouts)[]) all[TIMEOUT_KEYS[name]] = timeouts[name];
  return all;
}

function durations(timeouts: Readonly<Record<string, number>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(timeouts).map(([key, ms]) => [key, ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`]),
  );
}

function sectionsOf(runtimes: Config['runtimes']): Record<string, unknown> {
  return Object.fromEntries(
    runtimes.map(({ name, shim, options }) => [
      name,
      { shim, ...(options?.value == null ? {} : { options: readable(options.value) }) },
    ]),
  );
}

function readable(bytes: Uint8Array): Record<string, unknown> {
  const options = containerd.runc.v1.Options.decode(bytes);
  return Object.fromEntries(
    Object.entries(options).map(([key, value]) => [key[0]!.toUpperCase() + key.slice(1), value as unknown]),
  );
}
