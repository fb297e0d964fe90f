/** One configuration file: read and checked, every complaint with its place. */
import { readFileSync } from 'node:fs';
import { parse, TomlError } from 'smol-toml';
import { didYouMean } from '../nearest.js';
import { locate } from './locate.js';
import { SECTIONS, TABLES, type Kind } from './schema.js';

export type Table = Readonly<Record<string, unknown>>;

/** Something in the configuration that cannot be: `FILE:LINE:COLUMN: what`. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** A file's content, with its place for complaints. */
export class ConfigFile {
  readonly table: Table;
  /** Keys of containerd's that have no use here. */
  readonly unused: string[] = [];

  constructor(
    readonly path: string,
    private readonly text: string,
  ) {
    try {
      this.table = parse(text);
    } catch (error) {
      if (!(error instanceof TomlError)) throw error;
      const [reason = ''] = error.message.replace(/^Invalid TOML document: /, '').split('\n');
      throw new ConfigError(`${path}:${error.line}:${error.column}: not TOML: ${reason}`, { cause: error });
    }
    this.#check();
  }

  fault(key: readonly string[], message: string): ConfigError {
    const { line, column } = locate(this.text, key);
    return new ConfigError(`${this.path}:${line}:${column}: ${message}`);
  }

  #check(): void {
    const top = SECTIONS['']!.settings;
    for (const [key, value] of Object.entries(this.table)) {
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
    const { settings } = SECTIONS[name]!;
    for (const [key, one] of Object.entries(value as Table)) {
      if (!Object.hasOwn(settings, key))
        throw this.fault([name, key], `unknown key ${key} in [${name}]${didYouMean(key, Object.keys(settings))}`);
      this.#checkValue([name, key], one, settings[key]!.kind, settings[key]!.doc !== undefined);
    }
  }

  #checkTable(name: string, value: unknown): void {
    this.#checkValue([name], value, 'table', TABLES[name]!.doc !== undefined);
    for (const [key, one] of Object.entries(value as Table))
      this.#checkValue([name, key], one, name === 'timeouts' ? 'string' : 'table', true);
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
