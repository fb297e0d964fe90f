/** What the plugin of tasks can be told. */
import { DEFAULT_TIMEOUTS, TIMEOUT_KEYS, type Timeouts } from './timeouts.js';

export interface TaskConfig {
  readonly timeouts: Timeouts;
  /** Each shim and its containers share cores with nobody else. */
  readonly sched_core: boolean;
  /** Directories that shims are looked for in before all others. */
  readonly shim_dirs: readonly string[];
}

const UNITS: Record<string, number> = { ns: 1e-6, us: 1e-3, 'µs': 1e-3, ms: 1, s: 1e3, m: 60e3, h: 3600e3 };

/** Reads it; throws an Error that names the key. */
export function taskConfig(given: Readonly<Record<string, unknown>>): TaskConfig {
  const { timeouts = {}, sched_core = false, shim_dirs = [], platforms: _platforms, ...rest } = given;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) throw new Error(`${unknown} is no key of this plugin: it has sched_core, shim_dirs and timeouts`);
  if (typeof sched_core !== 'boolean') throw new Error('sched_core must be true or false');
  if (!Array.isArray(shim_dirs) || !shim_dirs.every((dir) => typeof dir === 'string' && dir.startsWith('/'))) {
    throw new Error('shim_dirs must be a list of absolute paths');
  }
  if (typeof timeouts !== 'object' || timeouts === null) throw new Error('timeouts must be a table');
  return { timeouts: parseTimeouts(timeouts as Record<string, unknown>), sched_core, shim_dirs: shim_dirs as string[] };
}

/** Reads `[timeouts]`. Keys of other parts of the daemon are passed over, as there may be any; throws for a value that is no duration. */
export function parseTimeouts(given: Readonly<Record<string, unknown>>): Timeouts {
  const timeouts: { -readonly [Key in keyof Timeouts]: number } = { ...DEFAULT_TIMEOUTS };
  for (const [name, key] of Object.entries(TIMEOUT_KEYS)) {
    if (key in given) timeouts[name as keyof Timeouts] = duration(given[key], key);
  }
  return timeouts;
}

/** A duration as Go writes it, `1m30s` or `500ms`, in milliseconds. */
function duration(value: unknown, key: string): number {
  const parts = typeof value === 'string' ? [...value.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)] : [];
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== value) {
    throw new Error(`${key} must be a duration such as "5s" or "500ms", not ${JSON.stringify(value)}`);
  }
  return parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * UNITS[unit!]!, 0);
}
