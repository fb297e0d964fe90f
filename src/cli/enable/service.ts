/** Units of systemd, as far as it matters for which programs a daemon finds: read from files, so that systemd need not run. */
import { SHIM } from './own-shim.js';
import type { Root } from './root.js';

/** In the order in which systemd prefers them. */
const DIRECTORIES = [
  '/etc/systemd/system',
  '/run/systemd/system',
  '/usr/local/lib/systemd/system',
  '/usr/lib/systemd/system',
  '/lib/systemd/system',
];
/** Comes after the drop-ins of others, as the last assignment holds. */
const DROP_IN = 'zz-hawser.conf';
/** What systemd gives to services by itself, and the directories of systems whose /bin is no link. */
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface Service {
  readonly name: string;
  readonly unit: string;
  /** Words of the last ExecStart. */
  readonly command: readonly string[];
  /** As it is written down, and by which file; systemd's own when nobody says anything. */
  readonly path: string;
  /** The file that sets PATH in a way that no drop-in changes. */
  readonly pathFile: string | undefined;
  /** Its restart ends what it has started. */
  readonly killsAll: boolean;
}

/** @returns undefined when there is no such unit, or it is masked */
export function readService(root: Root, name: string): Service | undefined {
  const unit = DIRECTORIES.map((dir) => `${dir}/${name}`).find((file) => root.exists(file));
  const text = unit === undefined ? undefined : root.read(unit);
  if (unit === undefined || !text) return undefined;
  const settings = [text, ...dropIns(root, name).map((file) => root.read(file) ?? '')].flatMap(serviceSettings);
  return {
    name,
    unit,
    command: words(last(settings, 'ExecStart') ?? '').map((word) => word.replace(/^[-@:+!]+(?=\/)/, '')),
    path: assigned(
      settings.filter(({ key }) => key === 'Environment').map(({ value }) => value),
      DEFAULT_PATH,
    ),
    pathFile: settings
      .filter(({ key }) => key === 'EnvironmentFile')
      .map(({ value }) => value.replace(/^-/, ''))
      .find((file) => file !== '' && /^\s*PATH=/m.test(root.read(file) ?? '')),
    killsAll: (last(settings, 'KillMode') ?? 'control-group') !== 'process',
  };
}

export function dropInOf(service: string): string {
  return `${DIRECTORIES[0]}/${service}.d/${DROP_IN}`;
}

/** The PATH that a service is started with, our drop-in included. */
export function pathOf(root: Root, service: Service): string {
  if (service.pathFile !== undefined)
    return /^\s*PATH=(.*)$/m.exec(root.read(service.pathFile) ?? '')?.[1]?.replace(/^["']|["']$/g, '') ?? service.path;
  const ours = (root.read(dropInOf(service.name)) ?? '').split('\n').find((line) => line.startsWith('Environment='));
  return ours === undefined ? service.path : assigned([ours.slice('Environment='.length)], service.path);
}

/**
 * The drop-in's text: a directory before all others; and zygotes end before the service does, as systemd warns of every process that
 * is left of one that has ended.
 */
export function dropInText(directory: string, path: string): string {
  const escaped = directory.replaceAll('%', '%%');
  const program = quoted(`-${escaped}/${SHIM}`.replaceAll('$', '$$$$'));
  return `[Service]\nEnvironment=${quoted(`PATH=${escaped}:${path}`)}\nExecStop=${program} end-zygotes\n`;
}

function quoted(word: string): string {
  return /[\s"'\\]/.test(word) ? `"${word.replace(/["\\]/g, '\\$&')}"` : word;
}

/** The value of a flag in a command line, in whatever form it was given; undefined without it. */
export function flagOf(command: readonly string[], ...names: readonly string[]): string | undefined {
  for (const [i, word] of command.entries()) {
    const [, name, value] = /^--?([^=]+)(?:=(.*))?$/.exec(word) ?? [];
    if (name !== undefined && names.includes(name)) return value ?? command[i + 1];
  }
  return undefined;
}

/** All drop-ins but ours, in the order in which they are read. A name counts once, in the directory that comes first. */
function dropIns(root: Root, name: string): string[] {
  const found = new Map<string, string>();
  for (const dir of DIRECTORIES)
    for (const of of ['service.d', `${name}.d`])
      for (const file of root.list(`${dir}/${of}`))
        if (file.endsWith('.conf') && file !== DROP_IN && !found.has(file)) found.set(file, `${dir}/${of}/${file}`);
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, file]) => file);
}

interface Setting {
  readonly key: string;
  readonly value: string;
}

function serviceSettings(text: string): Setting[] {
  let section = '';
  const settings: Setting[] = [];
  for (const line of text.replace(/\\\n/g, ' ').split('\n')) {
    section = /^\s*\[(.*)\]\s*$/.exec(line)?.[1] ?? section;
    const [, key, value] = /^\s*([A-Za-z]+)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (section === 'Service' && key !== undefined) settings.push({ key, value: value! });
  }
  return settings;
}

/** An empty value takes back those before it. */
function last(settings: readonly Setting[], key: string): string | undefined {
  return settings.filter((one) => one.key === key).at(-1)?.value;
}

function assigned(environments: readonly string[], otherwise: string): string {
  let path = otherwise;
  for (const value of environments) {
    if (value === '') path = otherwise;
    for (const word of words(value)) if (word.startsWith('PATH=')) path = word.slice('PATH='.length);
  }
  return path;
}

/** By systemd's quoting, without its escapes. */
function words(text: string): string[] {
  return [...text.matchAll(/"((?:[^"\\]|\\.)*)"|'([^']*)'|(\S+)/g)].map(
    ([, double, single, plain]) => double?.replace(/\\(.)/g, '$1') ?? single ?? plain!,
  );
}
