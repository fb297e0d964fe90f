/** docker's config.json: who one is to registries, in the file itself or with credential helpers. */
import { chmodSync, mkdirSync, readFileSync, realpathSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { Code } from '../../ttrpc/status.js';
import { InvalidArgumentError } from '../errors.js';
import { askHelper, eraseWithHelper, storeWithHelper } from './credential-helper.js';
import type { Credentials } from './types.js';

interface Entry {
  readonly auth?: string;
  readonly username?: string;
  readonly password?: string;
  readonly identitytoken?: string;
  readonly registrytoken?: string;
}

interface DockerConfig {
  readonly auths?: Readonly<Record<string, Entry>>;
  readonly credHelpers?: Readonly<Record<string, string>>;
  readonly credsStore?: string;
}

/** What docker's own registry is called there. */
const DOCKER_HUB = 'https://index.docker.io/v1/';

/** Where the file is: in $DOCKER_CONFIG, or else ~/.docker. */
export function dockerConfigPath(): string {
  return join(process.env.DOCKER_CONFIG || join(homedir(), '.docker'), 'config.json');
}

/** The file's name for a registry's host. */
function keyOf(host: string): string {
  return /^(?:(?:index\.|registry-1\.)?docker\.io)$/.test(host) ? DOCKER_HUB : host;
}

/**
 * Who one is to a host; undefined when nothing is said of it.
 *
 * @throws InvalidArgumentError when the file, or the helper that it names, is of no use
 */
export async function credentialsOf(host: string, path = dockerConfigPath()): Promise<Credentials | undefined> {
  const config = readConfig(path);
  const key = keyOf(host);
  const helper = helperOf(config, key);
  const found = helper === undefined ? undefined : await askHelper(helper, key);
  return found ?? fromEntry(entryOf(config, key), key, path);
}

/** Where credentials have been put. */
export interface Stored {
  /** The helper that keeps them; undefined for the file itself, where everybody who may read it can read them. */
  readonly helper: string | undefined;
  readonly path: string;
}

/** Keeps credentials for a host: with the helper that the file names, or in it. */
export async function storeCredentials(
  host: string,
  credentials: Credentials,
  path = dockerConfigPath(),
): Promise<Stored> {
  const config = readConfig(path);
  const key = keyOf(host);
  const helper = helperOf(config, key);
  if (helper !== undefined) await storeWithHelper(helper, key, credentials);
  // An empty entry says, to docker, that there is something with the helper.
  const entry = helper === undefined ? toEntry(credentials) : {};
  writeConfig(path, { ...config, auths: { ...config.auths, [key]: entry } });
  return { helper, path };
}

/** Forgets them. @returns whether there were any */
export async function eraseCredentials(host: string, path = dockerConfigPath()): Promise<boolean> {
  const config = readConfig(path);
  const key = keyOf(host);
  const helper = helperOf(config, key);
  const kept = helper !== undefined && (await askHelper(helper, key)) !== undefined;
  if (kept) await eraseWithHelper(helper, key);
  const { [key]: entry, ...others } = config.auths ?? {};
  if (entry !== undefined) writeConfig(path, { ...config, auths: others });
  return kept || entry !== undefined;
}

function helperOf({ credHelpers, credsStore }: DockerConfig, key: string): string | undefined {
  return credHelpers?.[key] || credsStore || undefined;
}

/** Older files have addresses in the place of host names. */
function entryOf({ auths = {} }: DockerConfig, key: string): Entry | undefined {
  if (auths[key] !== undefined) return auths[key];
  const plain = (name: string): string => name.replace(/^https?:\/\//, '').replace(/\/.*$/, '');
  return Object.entries(auths).find(([name]) => plain(name) === plain(key))?.[1];
}

function fromEntry(entry: Entry | undefined, key: string, path: string): Credentials | undefined {
  if (entry === undefined) return undefined;
  if (entry.registrytoken) return { registryToken: entry.registrytoken };
  if (entry.identitytoken) return { identityToken: entry.identitytoken };
  if (entry.auth) {
    const text = Buffer.from(entry.auth, 'base64').toString();
    const at = text.indexOf(':');
    if (at < 1) throw invalid(`${path}: auths.${JSON.stringify(key)}.auth is no name and password in Base64`);
    return { username: text.slice(0, at), password: text.slice(at + 1).replace(/\0+$/, '') };
  }
  return entry.username ? { username: entry.username, password: entry.password ?? '' } : undefined;
}

function toEntry(credentials: Credentials): Entry {
  if ('identityToken' in credentials) return { identitytoken: credentials.identityToken };
  if ('registryToken' in credentials) return { registrytoken: credentials.registryToken };
  return { auth: Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64') };
}

function readConfig(path: string): DockerConfig {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return {};
    throw invalid(`${path} cannot be read: ${(error as Error).message}`, error);
  }
  try {
    const config = JSON.parse(text || '{}') as DockerConfig | null;
    if (typeof config !== 'object' || config === null || Array.isArray(config))
      throw new SyntaxError('it is no object');
    return config;
  } catch (error) {
    throw invalid(`${path} is not to be understood: ${(error as Error).message}`, error);
  }
}

/** In one step, readable by its owner alone; all else in it stays, and a link stays one. */
function writeConfig(path: string, config: DockerConfig): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const there = statSync(path, { throwIfNoEntry: false });
  const target = there === undefined ? path : realpathSync(path);
  const temporary = `${target}.${process.pid}`;
  writeFileSync(temporary, `${JSON.stringify(config, null, '\t')}\n`, { mode: 0o600 });
  if (there !== undefined) chmodSync(temporary, there.mode & 0o700);
  renameSync(temporary, target);
}

function invalid(text: string, cause?: unknown): InvalidArgumentError {
  return new InvalidArgumentError(Code.InvalidArgument, `${text}: invalid argument`, { cause });
}
