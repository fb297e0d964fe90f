/** The daemon's configuration: a file, those that it imports, and the command line over them. */
import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { didYouMean } from '../nearest.js';
import type { Runtime } from '../runtime/types.js';
import { parseDuration } from './duration.js';
import { ConfigError, readConfigFile, type ConfigFile, type Table } from './file.js';
import { runtimeOptions } from './runtime-options.js';
import { DEFAULT_FILE, SECTIONS } from './schema.js';
import { TIMEOUT_KEYS } from '../tasks/timeouts.js';

export { ConfigError } from './file.js';

/** Ours, and those of containerd's for what is not here. */
/** Plugins that containerd 2 calls otherwise. */
const RENAMED: Readonly<Record<string, string>> = {
  'io.containerd.monitor.container.v1.restart': 'io.containerd.internal.v1.restart',
};

const KNOWN_TIMEOUTS = new Set([
  ...Object.values(TIMEOUT_KEYS),
  'io.containerd.timeout.bolt.open',
  'io.containerd.timeout.cri.defercleanup',
]);

export const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'panic'] as const;
export type Level = (typeof LEVELS)[number];
export type Format = 'json' | 'text' | '';

export interface Config {
  version: number;
  root: string;
  state: string;
  oomScore: number;
  grpc: { address: string; uid: number; gid: number; maxReceive: number; maxSend: number };
  ttrpc: { address: string; uid: number; gid: number };
  debug: { level: Level; format: Format };
  metrics: { address: string };
  cgroup: { path: string };
  disabledPlugins: string[];
  requiredPlugins: string[];
  externalPlugins: string[];
  defaultRuntime: string;
  runtimes: Runtime[];
  /** In milliseconds. */
  timeouts: Record<string, number>;
  /** By `TYPE.ID`. */
  plugins: Record<string, Table>;
  /** Where it is from, in the order in which it was read. */
  files: string[];
  /** Keys that were given and have no use here. */
  unused: string[];
}

/** What the command line says; it comes last. */
export interface Overrides {
  readonly address?: string;
  readonly root?: string;
  readonly state?: string;
  readonly logLevel?: string;
  readonly logFormat?: string;
}

/** The file that is read when none is named, if it is there. */
export function findConfig(): string | undefined {
  return existsSync(DEFAULT_FILE) ? DEFAULT_FILE : undefined;
}

/**
 * @param path the file; without one the defaults hold
 * @throws ConfigError with file, line and column
 */
export function loadConfig(path: string | undefined, overrides: Overrides = {}): Config {
  const config = defaults();
  const pending = path === undefined ? [] : [resolve(path)];
  for (let next = pending.shift(); next !== undefined; next = pending.shift()) {
    if (config.files.includes(next)) continue;
    const file = readConfigFile(next);
    config.files.push(next);
    merge(config, file);
    pending.push(...importsOf(file));
  }
  override(config, overrides);
  config.ttrpc.address ||= `${config.grpc.address}.ttrpc`;
  return config;
}

function defaults(): Config {
  const value = (section: string, key: string): unknown => SECTIONS[section]!.settings[key]!.value;
  return {
    version: 2,
    root: value('', 'root') as string,
    state: value('', 'state') as string,
    oomScore: 0,
    grpc: {
      address: value('grpc', 'address') as string,
      uid: 0,
      gid: 0,
      maxReceive: value('grpc', 'max_recv_message_size') as number,
      maxSend: value('grpc', 'max_send_message_size') as number,
    },
    ttrpc: { address: '', uid: 0, gid: 0 },
    debug: { level: 'info', format: '' },
    metrics: { address: '' },
    cgroup: { path: '' },
    disabledPlugins: [],
    requiredPlugins: [],
    externalPlugins: [],
    defaultRuntime: value('', 'default_runtime') as string,
    runtimes: [],
    timeouts: {},
    plugins: {},
    files: [],
    unused: [],
  };
}

/** Puts a file's settings over those of the files before it: single values and sections replace, lists grow. Empty ones say nothing. */
function merge(config: Config, file: ConfigFile): void {
  const { table } = file;
  const { version } = table as { version?: number };
  if (version !== undefined && (version < 0 || version > 4))
    throw file.fault(['version'], `version ${version} is unknown: this hawserd reads files of version 1 to 4`);
  const text = (section: string, key: string): string | undefined =>
    ((section === '' ? table : (table[section] as Table | undefined))?.[key] as string | undefined) || undefined;
  const number = (
    section: string,
    key: string,
    [least, most]: [number, number] = [0, 2 ** 31 - 1],
  ): number | undefined => {
    const given = (section === '' ? table : (table[section] as Table | undefined))?.[key] as number | undefined;
    if (given !== undefined && (given < least || given > most))
      throw file.fault(
        section === '' ? [key] : [section, key],
        `${key} must be from ${least} to ${most}, not ${given}`,
      );
    return given || undefined;
  };
  const list = (key: string): string[] => (table[key] ?? []) as string[];
  const absolute = (key: string, path: string | undefined): string | undefined => {
    if (path !== undefined && !isAbsolute(path))
      throw file.fault(key.split('.'), `${key} must be an absolute path, not ${JSON.stringify(path)}`);
    return path;
  };

  config.version = version ?? config.version;
  config.root = absolute('root', text('', 'root')) ?? config.root;
  config.state = absolute('state', text('', 'state')) ?? config.state;
  config.oomScore = number('', 'oom_score', [-1000, 1000]) ?? config.oomScore;
  config.defaultRuntime = text('', 'default_runtime') ?? config.defaultRuntime;
  config.disabledPlugins.push(...list('disabled_plugins'));
  config.requiredPlugins.push(...list('required_plugins'));
  for (const path of list('external_plugins')) config.externalPlugins.push(absolute('external_plugins', path)!);
  const { grpc, ttrpc, debug } = config;
  grpc.address = absolute('grpc.address', text('grpc', 'address')) ?? grpc.address;
  grpc.uid = number('grpc', 'uid') ?? grpc.uid;
  grpc.gid = number('grpc', 'gid') ?? grpc.gid;
  grpc.maxReceive = number('grpc', 'max_recv_message_size') ?? grpc.maxReceive;
  grpc.maxSend = number('grpc', 'max_send_message_size') ?? grpc.maxSend;
  ttrpc.address = absolute('ttrpc.address', text('ttrpc', 'address')) ?? ttrpc.address;
  ttrpc.uid = number('ttrpc', 'uid') ?? ttrpc.uid;
  ttrpc.gid = number('ttrpc', 'gid') ?? ttrpc.gid;
  debug.level = asLevel(text('debug', 'level'), (message) => file.fault(['debug', 'level'], message)) ?? debug.level;
  debug.format =
    asFormat(text('debug', 'format'), (message) => file.fault(['debug', 'format'], message)) ?? debug.format;
  config.metrics.address = text('metrics', 'address') ?? config.metrics.address;
  if (config.metrics.address !== '' && !/^(\[[\da-f:]+\]|[\w.-]*):\d{1,5}$/i.test(config.metrics.address))
    throw file.fault(['metrics', 'address'], 'address must be HOST:PORT');
  config.cgroup.path = text('cgroup', 'path') ?? config.cgroup.path;
  if (config.cgroup.path.split('/').includes('..'))
    throw file.fault(
      ['cgroup', 'path'],
      `path must be that of a cgroup, without .., not ${JSON.stringify(config.cgroup.path)}`,
    );
  mergeTables(config, file);
  config.unused.push(...file.unused);
}

function mergeTables(config: Config, file: ConfigFile): void {
  for (const [key, text] of Object.entries((file.table.timeouts ?? {}) as Record<string, string>)) {
    const ms = parseDuration(text);
    if (ms === undefined)
      throw file.fault(['timeouts', key], `${key} must be a time such as "5s" or "1m30s", not ${JSON.stringify(text)}`);
    if (!KNOWN_TIMEOUTS.has(key))
      throw file.fault(['timeouts', key], `unknown key ${key} in [timeouts]${didYouMean(key, KNOWN_TIMEOUTS)}`);
    config.timeouts[key] = ms;
  }
  for (const [name, table] of Object.entries((file.table.plugins ?? {}) as Record<string, Table>))
    config.plugins[RENAMED[name] ?? name] = table;
  for (const [name, table] of Object.entries((file.table.runtimes ?? {}) as Record<string, Table>)) {
    const runtime = asRuntime(name, table, file);
    config.runtimes = [...config.runtimes.filter((other) => other.name !== name), runtime];
  }
}

function asRuntime(name: string, table: Table, file: ConfigFile): Runtime {
  const { shim, options = {}, ...rest } = table;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined)
    throw file.fault(
      ['runtimes', name, unknown],
      `unknown key ${unknown} of runtime ${name}${didYouMean(unknown, ['shim', 'options'])}`,
    );
  if (typeof shim !== 'string' || shim === '')
    throw file.fault(
      ['runtimes', name, ...(shim === undefined ? [] : ['shim'])],
      `runtime ${name} needs a shim: an absolute path, or a name such as io.containerd.runc.v2`,
    );
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw file.fault(['runtimes', name, 'options'], `options of runtime ${name} must be a section`);
  return {
    name,
    shim,
    options: runtimeOptions(options as Table, (key, message) =>
      file.fault(['runtimes', name, 'options', key], `runtime ${name}: ${message}`),
    ),
  };
}

function importsOf(file: ConfigFile): string[] {
  return ((file.table.imports ?? []) as string[]).flatMap((given) => {
    const path = isAbsolute(given) ? given : join(dirname(file.path), given);
    if (!basename(path).includes('*')) return [resolve(path)];
    const pattern = new RegExp(
      `^${basename(path)
        .split('*')
        .map((part) => part.replace(/[\\^$.+?()[\]{}|]/g, '\\$&'))
        .join('.*')}$`,
    );
    try {
      return readdirSync(dirname(path))
        .filter((name) => pattern.test(name))
        .sort()
        .map((name) => resolve(dirname(path), name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw file.fault(['imports'], `cannot look for ${given}: ${(error as Error).message}`);
    }
  });
}

function override(config: Config, { address, root, state, logLevel, logFormat }: Overrides): void {
  const flag =
    (name: string) =>
    (message: string): Error =>
      new ConfigError(`--${name}: ${message}`);
  for (const [name, path] of [
    ['address', address],
    ['root', root],
    ['state', state],
  ] as const) {
    if (path !== undefined && !isAbsolute(path))
      throw flag(name)(`must be an absolute path, not ${JSON.stringify(path)}`);
  }
  config.grpc.address = address ?? config.grpc.address;
  config.root = root ?? config.root;
  config.state = state ?? config.state;
  config.debug.level = asLevel(logLevel, flag('log-level')) ?? config.debug.level;
  config.debug.format = asFormat(logFormat, flag('log-format')) ?? config.debug.format;
}

function asLevel(text: string | undefined, fault: (message: string) => Error): Level | undefined {
  const level = text === 'warning' ? 'warn' : text;
  if (level === undefined || (LEVELS as readonly string[]).includes(level)) return level as Level | undefined;
  throw fault(`unknown level ${JSON.stringify(text)}: give one of ${LEVELS.join(', ')}`);
}

function asFormat(text: string | undefined, fault: (message: string) => Error): Format | undefined {
  if (text === undefined || text === 'json' || text === 'text') return text;
  throw fault(`unknown format ${JSON.stringify(text)}: give json or text`);
}
