/** The daemon's configuration: a file, those that it imports, and the command line over them. */
import { existsSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { asFormat, asLevel, defaults, type Config } from './config.js';
import { ConfigError, readConfigFile } from './file.js';
import { importsOf } from './imports.js';
import { merge } from './merge.js';
import { DEFAULT_FILE } from './schema.js';

export { LEVELS, type Config, type Format, type Level } from './config.js';
export { ConfigError } from './file.js';

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
  let follows = path === undefined || overrides.address !== undefined;
  const pending = path === undefined ? [] : [resolve(path)];
  for (let next = pending.shift(); next !== undefined; next = pending.shift()) {
    if (config.files.includes(next)) continue;
    const file = readConfigFile(next);
    config.files.push(next);
    merge(config, file);
    follows ||= (file.version ?? 1) < 4;
    pending.push(...importsOf(file));
  }
  override(config, overrides);
  if (config.ttrpc.address === '') placeTtrpc(config, follows);
  return config;
}

/** The socket of events is beside that of the API and belongs to the same; in version 4 it does not follow where a file puts that. */
function placeTtrpc({ grpc, ttrpc }: Config, follows: boolean): void {
  ttrpc.address = `${follows ? grpc.address : defaults().grpc.address}.ttrpc`;
  if (!follows) return;
  ttrpc.uid ||= grpc.uid;
  ttrpc.gid ||= grpc.gid;
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
