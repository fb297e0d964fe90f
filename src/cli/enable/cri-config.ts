/** containerd's configuration as its CRI plugin has it in the end, as containerd itself tells. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { parse, stringify } from 'smol-toml';
import { CliError, oneLine, textOf } from '../errors.js';
import { said, type Program } from './program.js';
import type { Root } from './root.js';

export type Table = Record<string, unknown>;

/** A runtime of the CRI plugin, by containerd's keys. */
export interface CriRuntime extends Table {
  readonly runtime_type?: string;
  readonly options?: Table;
}

/** Who has the runtimes: in files of version 3, 2 and 1. */
const PLUGINS = ['io.containerd.cri.v1.runtime', 'io.containerd.grpc.v1.cri', 'cri'] as const;

export function pluginOf(version: number): string {
  return PLUGINS[3 - version]!;
}

/** The tables of a runtime, as they stand in a file of a version. */
export function runtimeText(version: number, runtimes: Record<string, CriRuntime>): string {
  return `${stringify({ plugins: { [pluginOf(version)]: { containerd: { runtimes } } } })}\n`.replace(/\n+$/, '\n');
}

/** @throws CliError when it is no TOML */
export function parseConfig(text: string, file: string): Table {
  try {
    return parse(text);
  } catch (error) {
    throw new CliError(`${file} is no TOML: ${oneLine(textOf(error))}`, 1, { cause: error });
  }
}

/** The runtimes of a configuration, and which of them is the default. */
export function runtimesOf(config: Table): { runtimes: Record<string, CriRuntime>; byDefault: string } {
  for (const plugin of PLUGINS) {
    const containerd = table(table(table(config.plugins)?.[plugin])?.containerd);
    if (containerd?.runtimes !== undefined)
      return {
        runtimes: (table(containerd.runtimes) ?? {}) as Record<string, CriRuntime>,
        byDefault: typeof containerd.default_runtime_name === 'string' ? containerd.default_runtime_name : 'runc',
      };
  }
  return { runtimes: {}, byDefault: 'runc' };
}

/** What two configurations have besides a runtime, whatever is written out of it and what is left to itself. */
export function differOnlyIn(name: string, before: Table, after: Table): boolean {
  const others = ({ plugins }: Table): unknown => {
    const copy = structuredClone(plugins);
    for (const plugin of PLUGINS) {
      const runtimes = table(table(table(table(copy)?.[plugin])?.containerd)?.runtimes);
      if (runtimes !== undefined) delete runtimes[name];
    }
    return spoken(copy);
  };
  return isDeepStrictEqual(others(before), others(after));
}

/** Without what is empty, and so as good as absent. */
export function spoken(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? undefined : value.map(spoken);
  const inner = table(value);
  if (inner === undefined) return value === '' || value === 0 || value === false ? undefined : value;
  const kept = Object.entries(inner)
    .map(([key, one]) => [key, spoken(one)] as const)
    .filter(([, one]) => one !== undefined);
  return kept.length === 0 ? undefined : Object.fromEntries(kept);
}

export function table(value: unknown): Table | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)
    ? (value as Table)
    : undefined;
}

/** What a configuration imports, as it is found from here. */
export function importsOf(root: Root, config: Table, file: string): string[] {
  const imports = Array.isArray(config.imports) ? config.imports.filter((one) => typeof one === 'string') : [];
  return imports.map((pattern) => {
    const path = isAbsolute(pattern) ? pattern : join(dirname(file), pattern);
    return root.dir !== '' && path.startsWith(`${root.dir}/`) ? path : root.at(path);
  });
}

/**
 * What containerd makes of a configuration with everything that it imports, before it is put in its place.
 *
 * @param drop a file that it imports as well
 * @returns undefined when containerd cannot be asked, or takes the configuration for wrong
 */
export function effective(
  root: Root,
  program: Program | undefined,
  config: Table,
  file: string,
  drop?: string,
): Table | undefined {
  if (program === undefined) return undefined;
  const dir = mkdtempSync(join(tmpdir(), 'hawser-enable-'));
  try {
    const imports = importsOf(root, config, file);
    if (drop !== undefined) writeFileSync(join(dir, 'drop.toml'), drop);
    const main = { ...config, imports: [...imports, ...(drop === undefined ? [] : [join(dir, 'drop.toml')])] };
    writeFileSync(join(dir, 'config.toml'), stringify(main));
    const text = said(program.file, ['--config', join(dir, 'config.toml'), 'config', 'dump']);
    return text === undefined ? undefined : parse(text);
  } finally {
    rmSync(dir, { recursive: true });
  }
}
