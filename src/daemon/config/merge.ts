/** A file's settings over those of the files before it. */
import { isAbsolute } from 'node:path';
import { didYouMean } from '../../text/nearest.js';
import { TIMEOUT_KEYS } from '../tasks/timeouts.js';
import { asFormat, asLevel, type Config } from './config.js';
import { parseDuration } from './duration.js';
import type { ConfigFile } from './file.js';
import type { Table } from './table.js';
import { asRuntime } from './runtime.js';
import { SERVERS } from './schema.js';

/** Ours, and those of containerd's for what is not here. */
const KNOWN_TIMEOUTS = new Set([
  ...Object.values(TIMEOUT_KEYS),
  'io.containerd.timeout.bolt.open',
  'io.containerd.timeout.cri.defercleanup',
]);

/** What version 4 still has; the rest of what has no use here is a plugin's there. */
const PASSED = ['temp', 'proxy_plugins', 'stream_processors'];

/**
 * Single values replace, lists and sections grow, key by key. Empty ones say nothing.
 *
 * @throws ConfigError with the place of what is wrong
 */
export function merge(config: Config, file: ConfigFile): void {
  config.version = file.version ?? config.version;
  mergeTop(config, file);
  mergeServers(config, file);
  mergeTables(config, file);
  config.unused.push(...file.unused);
}

function mergeTop(config: Config, file: ConfigFile): void {
  const top = new Settings(file, [], file.table);
  config.root = top.path('root') ?? config.root;
  config.state = top.path('state') ?? config.state;
  config.oomScore = top.number('oom_score', [-1000, 1000]) ?? config.oomScore;
  config.defaultRuntime = top.text('default_runtime') ?? config.defaultRuntime;
  add(config.disabledPlugins, top.list('disabled_plugins'));
  add(config.requiredPlugins, top.list('required_plugins'));
  const external = top.list('external_plugins');
  for (const path of external) top.checkPath('external_plugins', path);
  add(config.externalPlugins, external);
  const { log_trace_id: traced } = (file.table.debug ?? {}) as Table;
  if (traced === true) config.passed = { ...config.passed, debug: { log_trace_id: traced } };
  for (const key of PASSED) {
    const value = file.table[key];
    if (value === undefined || value === '') continue;
    const before = config.passed[key];
    config.passed = { ...config.passed, [key]: typeof value === 'object' ? { ...(before as Table), ...value } : value };
  }
}

function mergeServers(config: Config, file: ConfigFile): void {
  const [grpcIn, ttrpcIn, metricsIn] = Object.keys(SERVERS).map(
    (name) => new Settings(file, ['plugins', name], file.plugins[name]),
  ) as [Settings, Settings, Settings];
  const { grpc, ttrpc, debug, metrics, cgroup } = config;
  grpc.address = grpcIn.path('address') ?? grpc.address;
  grpc.uid = grpcIn.number('uid') ?? grpc.uid;
  grpc.gid = grpcIn.number('gid') ?? grpc.gid;
  grpc.maxReceive = grpcIn.number('max_recv_message_size') ?? grpc.maxReceive;
  grpc.maxSend = grpcIn.number('max_send_message_size') ?? grpc.maxSend;
  ttrpc.address = ttrpcIn.path('address') ?? ttrpc.address;
  ttrpc.uid = ttrpcIn.number('uid') ?? ttrpc.uid;
  ttrpc.gid = ttrpcIn.number('gid') ?? ttrpc.gid;
  metrics.address = metricsIn.text('address') ?? metrics.address;
  if (metrics.address !== '' && !/^(\[[\da-f:]+\]|[\w.-]*):\d{1,5}$/i.test(metrics.address))
    throw metricsIn.fault('address', 'address must be HOST:PORT');

  const debugIn = new Settings(file, ['debug'], file.table.debug);
  debug.level = asLevel(debugIn.text('level'), (message) => debugIn.fault('level', message)) ?? debug.level;
  debug.format = asFormat(debugIn.text('format'), (message) => debugIn.fault('format', message)) ?? debug.format;
  const cgroupIn = new Settings(file, ['cgroup'], file.table.cgroup);
  cgroup.path = cgroupIn.text('path') ?? cgroup.path;
  if (cgroup.path.split('/').includes('..'))
    throw cgroupIn.fault('path', `path must be that of a cgroup, without .., not ${JSON.stringify(cgroup.path)}`);
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
  for (const [name, section] of Object.entries(file.plugins))
    if (!Object.hasOwn(SERVERS, name)) config.plugins[name] = over(config.plugins[name], section);
  for (const [name, table] of Object.entries((file.table.runtimes ?? {}) as Record<string, Table>)) {
    const runtime = asRuntime(name, table, file);
    config.runtimes = [...config.runtimes.filter((other) => other.name !== name), runtime];
  }
}

function add(list: string[], more: readonly string[]): void {
  for (const one of more) if (!list.includes(one)) list.push(one);
}

/** A plugin's section over that of an earlier file, as containerd 2 has it: tables in it grow, lists in it are replaced. */
function over(before: unknown, section: Table): Table {
  if (!isTable(before)) return section;
  return {
    ...before,
    ...Object.fromEntries(
      Object.entries(section).map(([key, value]) => [key, isTable(value) ? over(before[key], value) : value]),
    ),
  };
}

function isTable(value: unknown): value is Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

/** One section of a file, whose values have the right kinds. */
class Settings {
  readonly #table: Table;

  constructor(
    private readonly file: ConfigFile,
    private readonly place: readonly string[],
    table: unknown,
  ) {
    this.#table = (table ?? {}) as Table;
  }

  fault(key: string, message: string): Error {
    return this.file.fault([...this.place, key], message);
  }

  text(key: string): string | undefined {
    return (this.#table[key] as string | undefined) || undefined;
  }

  path(key: string): string | undefined {
    const path = this.text(key);
    if (path !== undefined) this.checkPath(key, path);
    return path;
  }

  checkPath(key: string, path: string): void {
    if (isAbsolute(path)) return;
    const name = this.file.placeOf([...this.place, key]).join('.');
    throw this.fault(key, `${name} must be an absolute path, not ${JSON.stringify(path)}`);
  }

  number(key: string, [least, most]: [number, number] = [0, 2 ** 31 - 1]): number | undefined {
    const given = this.#table[key] as number | undefined;
    if (given !== undefined && (given < least || given > most))
      throw this.fault(key, `${key} must be from ${least} to ${most}, not ${given}`);
    return given || undefined;
  }

  list(key: string): string[] {
    return (this.#table[key] ?? []) as string[];
  }
}
