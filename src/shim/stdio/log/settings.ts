/** What a client may say in a `file://` or `binary://` URI's query, and what it means (README, "Where output goes"). */
import { invalidArgument } from '../../../api/errdefs.js';
import { valueOf, type OutputUri } from '../uri.js';

/** Container annotation for {@link OnDeath}; a URI's own key wins. */
export const ON_DEATH_ANNOTATION = 'io.hawser.log.on-death';
/** Begins the query keys that are for the shim, and not passed on to a logging binary. */
const OWN = 'hawser.';
const ON_DEATH = `${OWN}on-death`;
const READY_TIMEOUT = `${OWN}ready-timeout`;

/** How long a logging binary may take to say that it is ready. The Go shim would wait for ever. */
const READY_MS = 60_000;
/** Files kept of a rotated log when the URI does not say. */
const MAX_FILES = 5;

/**
 * What becomes of output while what takes it is dead: a logging binary that has ended, a file that cannot be written.
 * `block`: it waits, and the process blocks once its pipe is full. `drop`: it is counted and forgotten. `spill`: it goes
 * into a file. `restart`: it waits, and the logging binary is started anew.
 */
export type OnDeath = { kind: 'block' | 'drop' | 'restart' } | { kind: 'spill'; path: string };

export interface LoggerSettings {
  file: string;
  args: readonly string[];
  /** It must write a byte when it is ready; otherwise closing the descriptor is enough. */
  mustSignal: boolean;
  readyMs: number;
  onDeath: OnDeath;
}

export interface LogFileSettings {
  path: string;
  /** In bytes; no file grows beyond. Undefined: it is never rotated. */
  maxSize: number | undefined;
  /** Files kept, the one being written among them. */
  maxFiles: number;
  onDeath: OnDeath;
  /** What is written: bytes as they come, unless it is `cri`, kubelet's form of a log's entries. */
  format?: 'cri' | undefined;
}

/**
 * Settings of a logging binary: `binary://` or `binary-v2://`.
 *
 * @throws InvalidArgument for a key or value of ours that makes no sense
 */
export function loggerSettings(uri: OutputUri, annotation: string): LoggerSettings {
  for (const [key] of uri.query) {
    if (key.startsWith(OWN) && key !== ON_DEATH && key !== READY_TIMEOUT)
      throw invalidArgument(
        `${key} is no key for the output of ${uri.path}; there are ${ON_DEATH} and ${READY_TIMEOUT}`,
      );
  }
  const timeout = valueOf(uri, READY_TIMEOUT);
  return {
    file: uri.path,
    args: uri.query.filter(([key]) => !key.startsWith(OWN)).flat(),
    mustSignal: uri.scheme === 'binary-v2',
    readyMs: timeout === undefined ? READY_MS : milliseconds(timeout),
    onDeath: onDeathOf(uri, annotation),
  };
}

/**
 * Settings of a `file://`.
 *
 * @throws InvalidArgument for a value that makes no sense
 */
export function logFileSettings(uri: OutputUri, annotation: string): LogFileSettings {
  const [maxSize, maxFiles] = [valueOf(uri, 'max-size'), valueOf(uri, 'max-files')];
  if (maxSize === undefined && maxFiles !== undefined)
    throw invalidArgument(`max-files=${maxFiles} says nothing without a max-size, in file://${uri.path}`);
  const onDeath = onDeathOf(uri, annotation);
  const format = formatOf(uri);
  // The annotation may be meant for the logging binary of another stream.
  if (onDeath.kind === 'restart' && maxSize === undefined && valueOf(uri, ON_DEATH) === undefined)
    return { path: uri.path, maxSize, maxFiles: 1, onDeath: { kind: 'block' }, ...format };
  if (onDeath.kind === 'restart')
    throw invalidArgument(`${ON_DEATH}=restart is for logging binaries; file://${uri.path} may block, drop or spill`);
  return {
    path: uri.path,
    maxSize: maxSize === undefined ? undefined : bytes(maxSize),
    maxFiles: maxFiles === undefined ? MAX_FILES : count(maxFiles),
    onDeath,
    ...format,
  };
}

/** Keys in a `file://` query that mean nothing: a misspelt one would go unnoticed otherwise. */
export function unknownFileKeys(uri: OutputUri): string[] {
  return uri.query.map(([key]) => key).filter((key) => !['format', 'max-size', 'max-files', ON_DEATH].includes(key));
}

/** A file that what cannot be written is spilled to: it has no other one behind it. */
export function spillSettings(path: string): LogFileSettings {
  return { path, maxSize: undefined, maxFiles: 1, onDeath: { kind: 'drop' } };
}

function formatOf(uri: OutputUri): Pick<LogFileSettings, 'format'> {
  const format = valueOf(uri, 'format');
  if (format === undefined || format === 'raw') return {};
  if (format === 'cri') return { format };
  throw invalidArgument(`format=${format}: there are raw and cri, in file://${uri.path}`);
}

function onDeathOf(uri: OutputUri, annotation: string): OnDeath {
  const key = valueOf(uri, ON_DEATH);
  const [name, text] = key === undefined ? [ON_DEATH_ANNOTATION, annotation] : [ON_DEATH, key];
  if (text === '' && key === undefined) return { kind: 'block' };
  if (text === 'block' || text === 'drop' || text === 'restart') return { kind: text };
  const path = text.startsWith('spill:') ? text.slice('spill:'.length) : '';
  if (!path.startsWith('/') || path === uri.path)
    throw invalidArgument(`${name}=${text}: it is block, drop, restart, or spill:/path/to/another/file`);
  return { kind: 'spill', path };
}

/** `10m`: a number, with k, m or g for powers of 1024. */
function bytes(text: string): number {
  const [, digits, unit = ''] = /^(\d{1,12})([kmg]?)$/i.exec(text) ?? [];
  const value = Number(digits) * 1024 ** ['', 'k', 'm', 'g'].indexOf(unit.toLowerCase());
  if (!(value > 0) || !Number.isSafeInteger(value))
    throw invalidArgument(`max-size=${text}: it is a number of bytes above 0, with k, m or g behind it for more`);
  return value;
}

function count(text: string): number {
  if (!/^[1-9]\d{0,3}$/.test(text))
    throw invalidArgument(`max-files=${text}: it is a number from 1 to 9999, the file being written included`);
  return Number(text);
}

function milliseconds(text: string): number {
  const [, digits, unit = ''] = /^(\d{1,7})(ms|s|m)$/.exec(text) ?? [];
  const value = Number(digits) * ({ ms: 1, s: 1000, m: 60_000 }[unit] ?? NaN);
  if (!(value > 0 && value <= 3_600_000))
    throw invalidArgument(`${READY_TIMEOUT}=${text}: it is a time of up to an hour, such as 500ms, 30s or 2m`);
  return value;
}
