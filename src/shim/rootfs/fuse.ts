/** File systems in user space are mounted by a program of their own (mount.fuse(8)). */
import { runCommand } from '../../runc/index.js';
import { searchPath } from '../../sys/index.js';
import type { Mount } from '../record/mount.js';

/** Type prefix and program. */
const helpers = [
  ['fuse.', 'mount.fuse'],
  ['fuse3.', 'mount.fuse3'],
] as const;

/** A helper that hangs must not hold a create up for ever: as long as kubelet waits for one. */
const HELPER_MS = 120_000;

/** Mounts what is of a type with a helper; false for all others, with nothing done. */
export async function mountWithHelper({ type, source, options }: Mount, target: string): Promise<boolean> {
  const [prefix, helper] = helpers.find(([start]) => type.startsWith(start)) ?? [];
  if (prefix === undefined || helper === undefined) return false;
  if (searchPath(helper) === undefined)
    throw new Error(`mount type ${type} takes the program ${helper}, which is nowhere in $PATH; install its package`);
  const args = [source, target, ...options.flatMap((option) => ['-o', option]), '-t', type.slice(prefix.length)];
  const late = AbortSignal.timeout(HELPER_MS);
  const { status, output } = await runCommand(helper, args, { signal: late });
  if (status === 0) return true;
  const why = late.aborted ? `not done within ${HELPER_MS / 1000} s` : `exit status ${status}`;
  throw new Error(`mount helper [${[helper, ...args].join(' ')}] failed: ${JSON.stringify(output)}: ${why}`);
}
