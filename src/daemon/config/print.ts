/** The configuration as TOML: the defaults with every key explained, and what holds now. */
import { stringify } from 'smol-toml';
import { containerd } from '../../api/full.js';
import type { Config } from './index.js';
import { SECTIONS, TABLES, type Setting } from './schema.js';

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
    timeouts: Object.fromEntries(Object.entries(timeouts).map(([key, ms]) => [key, `${ms}ms`])),
    runtimes: Object.fromEntries(
      runtimes.map(({ name, shim, options }) => [
        name,
        { shim, ...(options?.value == null ? {} : { options: readable(options.value) }) },
      ]),
    ),
    plugins,
  });
}

function readable(bytes: Uint8Array): Record<string, unknown> {
  const options = containerd.runc.v1.Options.decode(bytes);
  return Object.fromEntries(
    Object.entries(options).map(([key, value]) => [key[0]!.toUpperCase() + key.slice(1), value as unknown]),
  );
}
