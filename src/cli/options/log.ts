/** Where a container's output is kept, by --log-driver and --log-opt. */
import { resolve } from 'node:path';
import { logPlace } from '../../client/log/place.js';
import { UsageError } from '../errors.js';
import { parseSize } from '../format/size.js';
import { pairs } from './environment.js';

/** What a log is rotated at, unless --log-opt says otherwise. */
const MAX_SIZE = '10m';
const MAX_FILES = '3';

export interface LogTarget {
  readonly path: string;
  /** For the shim. */
  readonly uri: string;
}

/** Undefined for none. `path` may also stand behind the driver's name, as `file:/var/log/web.log`. */
export function logTarget(
  driver: string | undefined,
  options: readonly string[] | undefined,
  defaultPath: string,
): LogTarget | undefined {
  const given = pairs(options, '--log-opt');
  const [, name = '', inline] = /^([^:=]*)[:=]?([^]*)$/.exec(driver ?? 'file') ?? [];
  const unknown = Object.keys(given).find(
    (key) => !['path', 'format', 'max-size', 'max-file', 'max-files'].includes(key),
  );
  if (unknown !== undefined)
    throw new UsageError(`--log-opt ${unknown}: there are path, format, max-size and max-file`);
  if (name === 'none') return undefined;
  if (name !== 'file') throw new UsageError(`--log-driver ${JSON.stringify(driver)}: there are file and none`);
  const own = inline || given.path;
  const path = resolve(own || defaultPath);
  // With times, and which of both outputs it was; but who names a file has others read it.
  const format = given.format ?? (own ? 'raw' : 'cri');
  if (format !== 'raw' && format !== 'cri')
    throw new UsageError(`--log-opt format=${format}: there are cri, with times, and raw, what is printed as it is`);
  const size = given['max-size'] ?? MAX_SIZE;
  // As docker has it: no limit.
  if (size === '-1') return { path, uri: `${uriOf(path)}?format=${format}` };
  parseSize(size, '--log-opt max-size');
  const files = given['max-file'] ?? given['max-files'] ?? MAX_FILES;
  if (!/^[1-9]\d{0,3}$/.test(files)) throw new UsageError(`--log-opt max-file=${files}: it is a number from 1 to 9999`);
  return { path, uri: `${uriOf(path)}?format=${format}&max-size=${size.replace(/i?b$/i, '')}&max-files=${files}` };
}

function uriOf(path: string): string {
  return `file://${encodeURI(path).replaceAll('?', '%3F').replaceAll('#', '%23')}`;
}

/** The log file that a task was given, when it was given one. */
export function logPathOf(stdout: string): string | undefined {
  return logPlace(stdout)?.path;
}
