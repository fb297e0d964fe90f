/** Whose shim a PATH leads to. */
import { readFileSync, statSync } from 'node:fs';
import { SHIM } from './own-shim.js';
import type { Root } from './root.js';

/** What the launcher has in it (src/monitor/launcher.h). */
const MARK = "hawser's library: ";
/** The launcher has less than one; shims in Go have many times that. */
const MAX_BYTES = 4 << 20;

/** A shim that somebody finds. */
export interface Found {
  readonly shim: string;
  readonly isOurs: boolean;
}

/**
 * The first shim in a PATH, as its file system calls it.
 *
 * @param own a shim that is there also if the file system doesn't have it
 */
export function firstShim(root: Root, path: string, own?: string): Found | undefined {
  const files = path
    .split(':')
    .filter((dir) => dir.startsWith('/'))
    .map((dir) => `${dir}/${SHIM}`);
  const shim = files.find((file) => file === own || root.exists(file));
  return shim === undefined ? undefined : { shim, isOurs: shim === own || isLauncher(root.at(shim)) };
}

/** Whether a file is Hawser's launcher. */
function isLauncher(file: string): boolean {
  return statSync(file).size < MAX_BYTES && readFileSync(file).includes(MARK);
}

/** The shim that a PATH leads to, if that is Hawser's. */
export function leadsToOurs(root: Root, path: string): string | undefined {
  const found = firstShim(root, path);
  return found?.isOurs ? found.shim : undefined;
}
