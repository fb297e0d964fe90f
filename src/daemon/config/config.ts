/** What the daemon is told by its configuration, and what holds when that says nothing. */
import type { Runtime } from '../runtime/types.js';
import type { Table } from './table.js';
import { SECTIONS } from './schema.js';

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
  /** By `TYPE.ID`, as hawserd calls them. */
  plugins: Record<string, Table>;
  /** Where it is from, in the order in which it was read. */
  files: string[];
  /** Keys that were given and have no use here. */
  unused: string[];
  /** containerd's top-level keys that have no use here, with what they say: `hawserd config migrate` loses nothing. */
  passed: Table;
}

/** What holds without a file. */
export function defaults(): Config {
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
    passed: {},
  };
}

/** A level by its name; `warning` is one of `warn`. */
export function asLevel(text: string | undefined, fault: (message: string) => Error): Level | undefined {
  const level = text === 'warning' ? 'warn' : text;
  if (level === undefined || (LEVELS as readonly string[]).includes(level)) return level as Level | undefined;
  throw fault(`unknown level ${JSON.stringify(text)}: give one of ${LEVELS.join(', ')}`);
}

/** A form of the log by its name. */
export function asFormat(text: string | undefined, fault: (message: string) => Error): Format | undefined {
  if (text === undefined || text === 'json' || text === 'text') return text;
  throw fault(`unknown format ${JSON.stringify(text)}: give json or text`);
}
