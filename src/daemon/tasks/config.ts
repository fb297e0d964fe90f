/** What the plugin of tasks can be told. */

export interface TaskConfig {
  /** Each shim and its containers share cores with nobody else. */
  readonly sched_core: boolean;
  /** Directories that shims are looked for in before all others. */
  readonly shim_dirs: readonly string[];
}

/** Reads it; throws an Error that names the key. containerd's `platforms` is passed over: there is but one. */
export function taskConfig(given: Readonly<Record<string, unknown>>): TaskConfig {
  const { sched_core = false, shim_dirs = [], platforms: _platforms, ...rest } = given;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) throw new Error(`${unknown} is no key of this plugin: it has sched_core and shim_dirs`);
  if (typeof sched_core !== 'boolean') throw new Error('sched_core must be true or false');
  if (!Array.isArray(shim_dirs) || !shim_dirs.every((dir) => typeof dir === 'string' && dir.startsWith('/'))) {
    throw new Error('shim_dirs must be a list of absolute paths');
  }
  return { sched_core, shim_dirs: shim_dirs as string[] };
}
