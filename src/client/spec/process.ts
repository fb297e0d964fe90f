/** The process part of a spec, for a container's first process and for an exec. */
import { Code } from '../../ttrpc/status.js';
import { InvalidArgumentError } from '../errors.js';
import { boundCapabilities } from '../../oci/capabilities.js';
import { changeCapabilities } from './capabilities.js';
import { needsRoot, resolveGroups, resolveUser } from './user.js';
import type { ProcessOptions, SpecProcess } from './types.js';

/**
 * Finds the root file system for as long as it is looked at; `undefined` stands for one that nobody knows. With `optional` it stands for
 * one that this process cannot mount, too.
 */
export type WithRoot = <T>(look: (root: string | undefined) => T, optional?: boolean) => Promise<T>;

/** Applies the options to a process that has all that they leave out. */
export async function applyProcess(process: SpecProcess, options: ProcessOptions, withRoot: WithRoot): Promise<void> {
  const { args, env, cwd, user, terminal, privileged, noNewPrivileges } = options;
  if (args !== undefined) process.args = [...args];
  process.env = mergeEnv(process.env ?? [], env ?? []);
  if (cwd !== undefined) {
    if (!cwd.startsWith('/'))
      throw new InvalidArgumentError(
        Code.InvalidArgument,
        `working directory ${JSON.stringify(cwd)} must be an absolute path: invalid argument`,
      );
    process.cwd = cwd;
  }
  if (terminal !== undefined) process.terminal = terminal;
  if (process.terminal === true) process.env = mergeEnv(['TERM=xterm'], process.env);
  if (noNewPrivileges !== undefined) process.noNewPrivileges = noNewPrivileges;
  if (privileged === true) {
    const all = boundCapabilities();
    process.capabilities = { bounding: all, effective: all, permitted: all };
    process.noNewPrivileges = noNewPrivileges ?? false;
  }
  changeCapabilities(process, options.capAdd ?? [], options.capDrop ?? []);
  if (user !== undefined && user !== '') {
    const { umask } = process.user;
    const found = needsRoot(user) ? await withRoot((root) => resolveUser(user, root)) : resolveUser(user, undefined);
    process.user = { ...found, ...(umask === undefined ? {} : { umask }) };
  }
}

/** Puts a process into groups more, by name or number. */
export async function addGroups(process: SpecProcess, groups: readonly string[], withRoot: WithRoot): Promise<void> {
  const named = groups.some((group) => !/^\d+$/.test(group));
  const ids = await withRoot((root) => resolveGroups(groups, root), !named);
  process.user.additionalGids = [...new Set([...(process.user.additionalGids ?? []), ...ids])];
}

/** An environment with another's settings in it, by name. */
export function mergeEnv(
  base: readonly string[],
  more: readonly string[] | Readonly<Record<string, string>>,
): string[] {
  const settings = new Map<string, string>();
  const list = Array.isArray(more)
    ? (more as readonly string[])
    : Object.entries(more).map(([name, value]) => `${name}=${value}`);
  for (const setting of [...base, ...list]) settings.set(setting.split('=', 1)[0]!, setting);
  return [...settings.values()];
}
