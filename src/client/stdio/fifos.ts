/** Directories with the FIFOs of one process each. */
import { lstatSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { makeFifo } from '../../sys/index.js';

export type StreamName = 'stdin' | 'stdout' | 'stderr';

const PREFIX = 'io-';

/**
 * Makes a directory that only its owner may enter, with a FIFO for each name.
 *
 * @returns their paths by name
 */
export function makeFifos(parent: string, id: string, names: readonly StreamName[]): Partial<Record<StreamName, string>> {
  if (names.length === 0) return {};
  mkdirSync(parent, { recursive: true, mode: 0o700 });
  const dir = mkdtempSync(join(parent, PREFIX));
  try {
    return Object.fromEntries(names.map((name) => {
      const path = join(dir, `${id}-${name}`);
      makeFifo(path, 0o600);
      return [name, path];
    }));
  } catch (error) {
    rmSync(dir, { recursive: true, force: true });
    throw error;
  }
}

/** Removes the directories of FIFOs that {@link makeFifos} has made, by their paths; leaves what it has not made. */
export function removeFifos(parent: string, paths: readonly string[]): void {
  for (const dir of new Set(paths.filter((path) => path.startsWith('/')).map((path) => dirname(path)))) {
    if (dirname(dir) === parent && basename(dir).startsWith(PREFIX)) rmSync(dir, { recursive: true, force: true });
  }
}

export function isFifo(path: string): boolean {
  return path.startsWith('/') && lstatSync(path, { throwIfNoEntry: false })?.isFIFO() === true;
}
