/**
 * A file's content in the form of version 4, whichever version it has, with hawserd's own names of plugins. The rules are those by
 * which containerd 2.4 reads older files (`config migrate`), but for one: there, `sched_core` is lost on the way from version 1 or 2.
 */
import type { Table } from './table.js';
import { ownName, SHIM_PLUGIN, TASK_PLUGIN } from './names.js';
import { SERVERS } from './schema.js';

export interface Upgraded {
  readonly table: Table;
  readonly plugins: Readonly<Record<string, Table>>;
  /** Where a section of {@link plugins} stands in the file, by its name. */
  readonly places: ReadonlyMap<string, readonly string[]>;
  /** Keys that say nothing in a file of this version. */
  readonly unused: readonly string[];
}

type Plugins = Record<string, Table>;
type Move = readonly [from: string, to: string];

/** Keys that version 4 has at plugins which hawserd has not: it moves them as containerd does, and makes no use of them. */
const TCP: readonly Move[] = [
  ['tcp_address', 'address'],
  ['tcp_tls_ca', 'tls_ca'],
  ['tcp_tls_cert', 'tls_cert'],
  ['tcp_tls_key', 'tls_key'],
  ['tcp_tls_common_name', 'tls_common_name'],
  ['max_recv_message_size', 'max_recv_message_size'],
  ['max_send_message_size', 'max_send_message_size'],
];
const SOCKET: readonly Move[] = ['address', 'uid', 'gid'].map((key) => [key, key]);

/** @param table a file whose keys have the right kinds */
export function upgrade(table: Table, version: number): Upgraded {
  const plugins: Plugins = {};
  const places = new Map<string, readonly string[]>();
  for (const [given, section] of Object.entries((table.plugins ?? {}) as Plugins)) {
    const name = ownName(given, version);
    plugins[name] = { ...plugins[name], ...section };
    places.set(name, ['plugins', given]);
  }
  const unused = version < 4 ? moveServers(table, plugins, places) : leftServers(table);
  moveSchedCore(plugins, places);
  if (says(plugins[SHIM_PLUGIN]?.socket_dir)) unused.push(`plugins.${SHIM_PLUGIN}.socket_dir`);
  const names = (key: string): string[] => ((table[key] ?? []) as string[]).map((name) => ownName(name, version));
  return {
    table: { ...table, disabled_plugins: names('disabled_plugins'), required_plugins: names('required_plugins') },
    plugins,
    places,
    unused,
  };
}

const says = (value: unknown): boolean => value !== undefined && value !== '' && value !== 0 && value !== false;

/** Up to version 3 sockets have sections of their own, which hold where there is none of the plugin. */
function moveServers(table: Table, plugins: Plugins, places: Map<string, readonly string[]>): string[] {
  const unused: string[] = [];
  for (const [plugin, name] of Object.entries(SERVERS)) {
    const section = table[name] as Table | undefined;
    if (section === undefined) continue;
    if (plugins[plugin] === undefined) {
      plugins[plugin] = section;
      places.set(plugin, [name]);
    } else unused.push(...keysOf(name, section));
  }
  const move = (name: string, moves: readonly Move[], plugin: string): void => {
    const section = (table[name] ?? {}) as Table;
    if (!says(section[moves[0]![0]]) || plugins[plugin] !== undefined) return;
    plugins[plugin] = Object.fromEntries(
      moves.filter(([from]) => says(section[from])).map(([from, to]) => [to, section[from]]),
    );
    places.set(plugin, [name]);
  };
  move('grpc', TCP, 'io.containerd.server.v1.grpc-tcp');
  move('debug', SOCKET, 'io.containerd.server.v1.debug');
  move('metrics', [['grpc_histogram', 'grpc_histogram']], 'io.containerd.metrics.v1.grpc-prometheus');
  return unused;
}

/** In version 4 those sections say nothing, and containerd reads on. */
function leftServers(table: Table): string[] {
  return Object.values(SERVERS).flatMap((name) => keysOf(name, (table[name] ?? {}) as Table));
}

function keysOf(name: string, section: Table): string[] {
  return Object.entries(section)
    .filter(([, value]) => says(value))
    .map(([key]) => `${name}.${key}`);
}

/** `sched_core` is, since version 4, a variable that shims are given. */
function moveSchedCore(plugins: Plugins, places: Map<string, readonly string[]>): void {
  const { sched_core: schedCore, ...task } = plugins[TASK_PLUGIN] ?? {};
  if (schedCore !== true) return;
  const shims = plugins[SHIM_PLUGIN] ?? {};
  const { env = [] } = shims;
  // What is no list is for the plugin to complain of.
  if (!Array.isArray(env)) return;
  plugins[TASK_PLUGIN] = task;
  plugins[SHIM_PLUGIN] = { ...shims, env: [...(env as unknown[]), 'SCHED_CORE=1'] };
  if (!places.has(SHIM_PLUGIN)) places.set(SHIM_PLUGIN, places.get(TASK_PLUGIN)!);
}
