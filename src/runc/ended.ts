/**
 * Taking away a container that has ended. With its init all of it has ended when it had a pid namespace of its own, and then
 * runc's `delete` only removes empty cgroups and the directory of its state, and runs hooks if there are some. Doing so
 * here saves a process. Whatever is not plain is left to runc, which can go on from any point of it.
 *
 * Where systemd made the cgroup, runc also stops the scope, and forgets it if it has failed: see scope.ts.
 */
import { readdirSync, rmdirSync, unlinkSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { tryRead } from '../oci/bundle.js';
import { isForgotten, TRANSIENT_UNITS } from './scope.js';

/** What runc 1.0 to 1.4 writes down of a container. A later one that has more may have more to clean up. */
const KNOWN = new Set([
  'id',
  'init_process_pid',
  'init_process_start',
  'created',
  'config',
  'rootless',
  'cgroup_paths',
  'namespace_paths',
  'external_descriptors',
  'intel_rdt_path',
]);

interface RuncState {
  init_process_pid?: unknown;
  rootless?: unknown;
  intel_rdt_path?: unknown;
  cgroup_paths?: Record<string, unknown> | null;
  config?: {
    namespaces?: { type?: unknown; path?: unknown }[] | null;
    cgroups?: { Systemd?: unknown; Rootless?: unknown } | null;
    Hooks?: Record<string, unknown> | null;
  };
}

/**
 * Removes what is left of a container of runc's.
 *
 * @param directory of its state, below runc's root
 * @param pid its init's, whose end the caller has seen
 * @param transientUnits systemd's directory of the units that it was asked for
 * @returns false when runc is to do it: by then some of it may be gone
 * @throws what a file system does that refuses
 */
export async function removeEnded(directory: string, pid: number, transientUnits = TRANSIENT_UNITS): Promise<boolean> {
  const text = tryRead(join(directory, 'state.json'));
  if (text === undefined) return false;
  const state = JSON.parse(text) as RuncState;
  const cgroups = cgroupsOf(state, pid);
  if (cgroups === undefined) return false;
  const isSystemd = state.config?.cgroups?.Systemd;
  if (isSystemd === true ? !(await isForgotten(cgroups, transientUnits)) : isSystemd !== false) return false;
  if (isSystemd === false && !cgroups.every(tryRemoveCgroup)) return false;
  const entries = readdirSync(directory, { withFileTypes: true });
  if (entries.some((entry) => entry.isDirectory())) return false;
  for (const { name } of entries) unlinkSync(join(directory, name));
  rmdirSync(directory);
  return true;
}

/** Undefined when there is more to it. */
function cgroupsOf(state: RuncState, pid: number): string[] | undefined {
  const { config = {} } = state;
  const hasOwnPids = config.namespaces?.some(({ type, path }) => type === 'NEWPID' && path === '') ?? false;
  const isOrdinary = state.rootless === false && config.cgroups?.Rootless !== true && !state.intel_rdt_path;
  const hasHooks =
    !config.Hooks ||
    !('poststop' in config.Hooks) ||
    (Array.isArray(config.Hooks.poststop) ? config.Hooks.poststop.length > 0 : config.Hooks.poststop !== null);
  if (state.init_process_pid !== pid || !hasOwnPids || !isOrdinary || hasHooks) return undefined;
  if (Object.keys(state).some((key) => !KNOWN.has(key))) return undefined;
  const paths = [...new Set(Object.values(state.cgroup_paths ?? {}))];
  return paths.every((path): path is string => typeof path === 'string' && isAbsolute(path)) ? paths : undefined;
}

/** Only when it is empty: one that has cgroups of its own, or a process that still ends, takes more than one try. */
function tryRemoveCgroup(directory: string): boolean {
  try {
    rmdirSync(directory);
    return true;
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return true;
    if (code === 'EBUSY' || code === 'ENOTEMPTY') return false;
    throw error;
  }
}
