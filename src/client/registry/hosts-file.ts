/** containerd's hosts.toml. */
import { readFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import type { TomlTable, TomlValue } from 'smol-toml';
import { Code } from '../../ttrpc/status.js';
import { InvalidArgumentError } from '../errors.js';
import type { Certificates } from './certificates.js';
import { CAPABILITIES, type Capability, type HostEntry } from './host-types.js';

/** What such a file says. */
export interface HostsFile {
  /** In the order of the file. */
  readonly hosts: readonly HostEntry[];
  /** The registry itself, where the file says where that is. */
  readonly server: HostEntry | undefined;
  /** What stands at the top of the file holds for the registry itself. */
  readonly defaults: Omit<HostEntry, 'url'>;
}

/** The file of a directory; undefined when there is none. @throws InvalidArgumentError that says where it is wrong */
export async function readHostsFile(directory: string): Promise<HostsFile | undefined> {
  const file = join(directory, 'hosts.toml');
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw invalid(file, (error as Error).message, error);
  }
  const { parse } = await import('smol-toml');
  try {
    const table = parse(text);
    const defaults = entry(table, directory);
    const hosts = Object.entries(tableAt(table, 'host')).map(([url, value]) => {
      if (!isTable(value)) throw new Error(`host.${JSON.stringify(url)} is no table`);
      return { ...entry(value, directory), url: urlOf(url) };
    });
    const server =
      table.server === undefined || table.server === '' ? undefined : urlOf(stringAt(table.server, 'server'));
    return { hosts, server: server === undefined ? undefined : { ...defaults, url: server }, defaults };
  } catch (error) {
    throw invalid(file, (error as Error).message, error);
  }
}

function entry(table: TomlTable, directory: string): Omit<HostEntry, 'url'> {
  const capabilities = table.capabilities === undefined ? undefined : listAt(table.capabilities, 'capabilities');
  const unknown = capabilities?.find((name) => !(CAPABILITIES as readonly string[]).includes(name));
  if (unknown !== undefined)
    throw new Error(`there is no capability ${JSON.stringify(unknown)}: there are pull, resolve and push`);
  return {
    capabilities: capabilities as Capability[] | undefined,
    overridePath: table.override_path === true,
    headers: Object.fromEntries(
      Object.entries(tableAt(table, 'header')).map(([name, value]) => [name, listAt(value, `header.${name}`)]),
    ),
    certificates: certificates(table, directory),
  };
}

function certificates(table: TomlTable, directory: string): Certificates {
  const place = (path: string): string => (isAbsolute(path) ? path : join(directory, path));
  const { ca, client, skip_verify: skipVerify } = table;
  return {
    ...(ca === undefined ? {} : { ca: listAt(ca, 'ca').map(place) }),
    ...(client === undefined ? {} : { client: pairs(client).map(([one, key]) => [place(one), place(key)] as const) }),
    ...(skipVerify === true ? { skipVerify } : {}),
  };
}

/** A file with both, several such, or pairs of certificate and key. */
function pairs(value: TomlValue): [string, string][] {
  const list = Array.isArray(value) ? value : [value];
  return list.map((one) => {
    const [certificate = '', key = ''] = listAt(one, 'client');
    return [certificate, key === '' ? certificate : key];
  });
}

function urlOf(text: string): string {
  const url = /^https?:\/\//.test(text) ? text : `https://${text}`;
  if (!URL.canParse(url)) throw new Error(`${JSON.stringify(text)} is no address of a host`);
  return url;
}

function tableAt(table: TomlTable, key: string): TomlTable {
  const value = table[key];
  if (value === undefined) return {};
  if (!isTable(value)) throw new Error(`${key} is no table`);
  return value;
}

function isTable(value: TomlValue): value is TomlTable {
  return typeof value === 'object' && !Array.isArray(value) && !(value instanceof Date);
}

function listAt(value: TomlValue, what: string): string[] {
  return (Array.isArray(value) ? value : [value]).map((one) => stringAt(one, what));
}

function stringAt(value: TomlValue, what: string): string {
  if (typeof value !== 'string') throw new Error(`${what} is no text`);
  return value;
}

function invalid(file: string, reason: string, cause: unknown): InvalidArgumentError {
  return new InvalidArgumentError(Code.InvalidArgument, `${file}: ${reason}: invalid argument`, { cause });
}
