/** Configurations of networks as the standard has them (CNI specification, sections 1 and "Network configuration format"). */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf, precondition, textOf } from '../failure.js';
import type { Places } from '../places.js';

/** One plugin's part of a network. */
export interface PluginConfig {
  readonly type: string;
  readonly capabilities?: Readonly<Record<string, boolean>>;
  readonly ipam?: Readonly<Record<string, unknown>>;
  readonly [key: string]: unknown;
}

/** What Hawser writes into those that it makes. Others pass over what they do not know. */
export interface OwnPart {
  readonly labels?: Readonly<Record<string, string>>;
  readonly createdAt?: string;
  readonly internal?: boolean;
}

export interface NetworkConfig {
  readonly name: string;
  readonly cniVersion: string;
  readonly plugins: readonly PluginConfig[];
  readonly file: string;
  readonly own: OwnPart | undefined;
  /** As it is written. */
  readonly raw: Readonly<Record<string, unknown>>;
}

/** Of a configuration that names none. */
const FIRST_VERSION = '0.1.0';

/**
 * All networks, in the order of their files' names; of two of one name the first counts. A file that is none is passed over, as with the standard's
 * library: it may be half written. In a directory of a namespace's name are those that nerdctl has made for that alone.
 *
 * @param bad is told of those
 */
export function readConfigs(
  { confDir, namespace }: Pick<Places, 'confDir' | 'namespace'>,
  bad: (file: string, why: string) => void = () => undefined,
): NetworkConfig[] {
  const files = [confDir, ...(namespace === undefined ? [] : [join(confDir, namespace)])].flatMap(filesOf);
  const found = new Map<string, NetworkConfig>();
  for (const file of files) {
    try {
      const config = parseConfig(readFileSync(file, 'utf8'), file);
      if (!found.has(config.name)) found.set(config.name, config);
    } catch (error) {
      bad(file, textOf(error));
    }
  }
  return [...found.values()];
}

function filesOf(dir: string): string[] {
  try {
    const names = readdirSync(dir).filter((one) => /\.(conf|conflist|json)$/.test(one));
    return names.sort().map((name) => join(dir, name));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw precondition(`networks cannot be read from ${dir}: ${textOf(error)}`, error);
  }
}

/** A list of plugins, or one plugin alone (`.conf` of the standard before 1.0). @throws Error that says what is wrong */
export function parseConfig(text: string, file: string): NetworkConfig {
  const raw: unknown = JSON.parse(text);
  if (!isObject(raw)) throw new Error('it must be an object');
  const { name, cniVersion = FIRST_VERSION, plugins, hawser } = raw;
  if (typeof name !== 'string' || name === '') throw new Error('it has no name');
  if (typeof cniVersion !== 'string') throw new Error('cniVersion must be a text');
  const list: unknown[] = Array.isArray(plugins) ? (plugins as unknown[]) : 'type' in raw ? [raw] : [];
  if (list.length === 0) throw new Error('it has no plugins');
  for (const one of list)
    if (!isObject(one) || typeof one.type !== 'string' || !/^[^/]+$/.test(one.type))
      throw new Error('each of its plugins must have a type');
  return {
    name,
    cniVersion,
    plugins: list as PluginConfig[],
    file,
    own: isObject(hawser) ? hawser : undefined,
    raw,
  };
}

/** The plugins that a network runs: those of its list, and those for addresses. */
export function pluginTypes({ plugins }: Pick<NetworkConfig, 'plugins'>): string[] {
  return [
    ...new Set(
      plugins.flatMap(({ type, ipam }) => [type, ...(typeof ipam?.type === 'string' && ipam.type ? [ipam.type] : [])]),
    ),
  ];
}

/** Whether one of its plugins can do something, such as portMappings. */
export function hasCapability({ plugins }: Pick<NetworkConfig, 'plugins'>, name: string): boolean {
  return plugins.some(({ capabilities }) => capabilities?.[name] === true);
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The subnets from which host-local gives addresses, in both of the forms that it takes. */
export function subnetsOf({ plugins }: Pick<NetworkConfig, 'plugins'>): { subnet: string; gateway?: string }[] {
  return plugins.flatMap(({ ipam }) => {
    if (!isObject(ipam)) return [];
    const ranges = Array.isArray(ipam.ranges) ? (ipam.ranges as unknown[]).flat() : [];
    return [ipam, ...ranges].flatMap((one) =>
      isObject(one) && typeof one.subnet === 'string'
        ? [{ subnet: one.subnet, ...(typeof one.gateway === 'string' ? { gateway: one.gateway } : {}) }]
        : [],
    );
  });
}
