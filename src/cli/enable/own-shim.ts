/** The shim that belongs to this hawser. */
import { existsSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { CliError } from '../errors.js';

export const SHIM = 'containerd-shim-runc-v2';

/**
 * Its path: installed (lib/hawser/bin), in a checkout (bin), or in a package from npm (npm).
 *
 * @param library the directory that hawser.cjs lies in
 * @throws CliError when there is none
 */
export function ownShim(library = dirname(process.argv[1] ?? '')): string {
  const places = ['bin', '../bin', '../npm'].map((place) => resolve(library, place, SHIM));
  const found = places.find((path) => existsSync(path));
  if (found === undefined)
    throw new CliError(`${SHIM} is missing from ${places.join(', ')}: run 'make build' or 'make install'`);
  return found;
}

/** Why it should not be run by root: its owner, or anybody, could put another in its place. */
export function distrust(shim: string): string | undefined {
  for (const path of [shim, dirname(shim)]) {
    const { uid, mode } = statSync(path);
    if (uid !== 0) return `${path} belongs to user ${uid}, who can have the daemon run anything as root`;
    if (mode & 0o002) return `anybody may write to ${path}, and so have the daemon run anything as root`;
  }
  return undefined;
}
