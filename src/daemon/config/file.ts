/** One configuration file: read and checked, every complaint with its place. */
import { readFileSync } from 'node:fs';
import { parse, TomlError } from 'smol-toml';
import { didYouMean } from '../../text/nearest.js';
import { locate } from './locate.js';
import { SECTIONS, SERVERS, TABLES, type Kind, type Section } from './schema.js';
import type { Table } from './table.js';
import { upgrade } from './upgrade.js';

/** Something in the configuration that cannot be: `FILE:LINE:COLUMN: what`. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** A file's content in the form of version 4 and with hawserd's names of plugins, with its place for complaints. */
export class ConfigFile {
  /** As the file has it. */
  readonly version: number | undefined;
  /** All but the sections of plugins. */
  readonly table: Table;
  /** Sections of plugins, by hawserd's names; `[grpc]` and the like are among them. */
  readonly plugins: Readonly<Record<string, Table>>;
  /** Keys of containerd's that have no use here. */
  readonly unused: string[] = [];
  readonly #given: Table;
  #places: ReadonlyMap<string, readonly string[]> = new Map();

  constructor(
    readonly path: string,
    private readonly text: string,
  ) {
    try {
      this.#given = parse(text);
    } catch (error) {
      if (!(error instanceof TomlError)) throw error;
      const [reason = ''] = error.message.replace(/^Invalid TOML document: /, '').split('\n');
      throw new ConfigError(`${path}:${error.line}:${error.column}: not TOML: ${reason}`, { cause: error });
    }
    this.#check();
    this.version = this.#checkVersion();
    const upgraded = upgrade(this.#given, this.version ?? 1);
    this.table = upgraded.table;
    this.plugins = upgraded.plugins;
    this.#places = upgraded.places;
    this.unused.push(...upgraded.unused);
  }

  /** Where a key of {@link table}, or of a plugin's section, stands in the file. */
  placeOf(key: readonly string[]): readonly string[] {
    const [first, name = '', ...rest] = key;
    return first === 'plugins' ? [...(this.#places.get(name) ?? ['plugins', name]), ...rest] : key;
  }

  /** A complaint about a key of {@link table}, or of a plugin's section. */
  fault(key: readonly string[], message: string): ConfigError {
    const { line, column } = locate(this.text, this.placeOf(key));
    return new ConfigError(`${this.path}:${line}:${column}: ${message}`);
  }

  #checkVersion(): number | undefined {
    const { version } = this.#given as { version?: number };
    if (version !== undefined && (version < 0 || version > 4))
      throw this.fault(['version'], `version ${version} is unknown: this hawserd reads files of version 1 to 4`);
    if (version === undefined || version < 2) return version;
    for (const key of ['disabled_plugins', 'required_plugins'])
      for (const name of (this.#given[key] ?? []) as string[])
        if (!name.includes('.'))
          throw this.fault(
            [key],
            `${key} names ${JSON.stringify(name)}, which has no type: since version 2 it must be TYPE.ID, such as io.containerd.grpc.v1.${name}`,
          );
    return version;
  }

  #check(): void {
    const top = SECTIONS['']!.settings;
    for (const [key, value] of Object.entries(this.#given)) {
      if (Object.hasOwn(top, key)) this.#checkValue([key], value, top[key]!.kind, top[key]!.doc !== undefined);
      else if (key !== '' && Object.hasOwn(SECTIONS, key)) this.#checkSection(key, value);
      else if (Object.hasOwn(TABLES, key)) this.#checkTable(key, value);
      else
        throw this.fault(
          [key],
          `unknown key ${key}${didYouMean(key, [...Object.keys(top), ...Object.keys(SECTIONS), ...Object.keys(TABLES)])}`,
        );
    }
  }

  #checkSection(name: string, value: unknown): void {
    this.#checkValue([name], value, 'table', true);
    this.#checkSettings([name], SECTIONS[name]!.settings, value as Table);
  }

  #checkSettings(place: readonly string[], settings: Section['settings'], table: Table): void {
    for (const [key, one] of Object.entries(table)) {
      if (!Object.hasOwn(settings, key))
        throw this.fault(
          [...place, key],
          `unknown key ${key} in [${place.join('.')}]${didYouMean(key, Object.keys(settings))}`,
        );
      this.#checkValue([...place, key], one, settings[key]!.kind, settings[key]!.doc !== undefined);
    }
  }

  #checkTable(name: string, value: unknown): void {
    this.#checkValue([name], value, 'table', TABLES[name]!.doc !== undefined);
    for (const [key, one] of Object.entries(value as Table)) {
      this.#checkValue([name, key], one, name === 'timeouts' ? 'string' : 'table', true);
      if (name === 'plugins' && Object.hasOwn(SERVERS, key))
        this.#checkSettings([name, key], SECTIONS[SERVERS[key]!]!.settings, one as Table);
    }
  }

  #checkValue(path: readonly string[], value: unknown, kind: Kind, used: boolean): void {
    if (!isKind(value, kind))
      throw this.fault(path, `${path.join('.')} must be ${KIND_NAMES[kind]}, not ${kindOf(value)}`);
    if (!used && value !== '' && value !== false && value !== 0 && Object.keys(value as object).length !== 0)
      this.unused.push(path.join('.'));
  }
}

const KIND_NAMES: Readonly<Record<Kind, string>> = {
  string: 'a text in quotes',
  integer: 'a whole number',
  boolean: 'true or false',
  strings: 'a list of texts in quotes',
  table: 'a section',
};

function isKind(value: unknown, kind: Kind): boolean {
  switch (kind) {
    case 'string':
    case 'boolean':
      return typeof value === kind;
    case 'integer':
      return Number.isSafeInteger(value);
    case 'strings':
      return Array.isArray(value) && value.every((one) => typeof one === 'string');
    case 'table':
      return kindOf(value) === KIND_NAMES.table;
  }
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (value instanceof Date) return 'a date';
  if (typeof value === 'string' || typeof value === 'boolean')
    return KIND_NAMES[typeof value === 'string' ? 'string' : 'boolean'];
  if (typeof value === 'number') return Number.isSafeInteger(value) ? KIND_NAMES.integer : 'a number with a fraction';
  return KIND_NAMES.table;
}

/** @throws ConfigError when it cannot be read */
export function readConfigFile(path: string): ConfigFile {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigError(`cannot read the configuration ${path}: ${(error as Error).message}`, { cause: error });
  }
  return new ConfigFile(path, text);
}
