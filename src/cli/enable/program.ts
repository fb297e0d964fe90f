/** The daemons' programs, and which version they are. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Root } from './root.js';

const DIRECTORIES = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];
const PATIENCE_MS = 10_000;

export interface Program {
  /** As it is found from here. */
  readonly file: string;
  /** Such as 1.6.20; undefined when it cannot be run here, or does not say. */
  readonly version: string | undefined;
  /** The first numbers of that. */
  readonly major: number;
  readonly minor: number;
}

/**
 * A program of a file system.
 *
 * @param path where it is said to be; else it is looked for where programs are
 */
export function findProgram(root: Root, name: string, path?: string): Program | undefined {
  const places = [...(path?.startsWith('/') ? [path] : []), ...DIRECTORIES.map((dir) => `${dir}/${name}`)];
  const file = places.map((place) => root.at(place)).find((place) => existsSync(place));
  if (file === undefined) return undefined;
  const version = /\bv?(\d+\.\d+(?:\.\d+)?)/.exec(said(file, ['--version']) ?? '')?.[1];
  const [major = 0, minor = 0] = (version ?? '').split('.').map(Number);
  return { file, version, major, minor };
}

/** What a program prints; undefined when it cannot be run, or fails. */
export function said(file: string, args: readonly string[]): string | undefined {
  try {
    return execFileSync(file, args, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: PATIENCE_MS,
      maxBuffer: 16 << 20,
      env: { PATH: DIRECTORIES.join(':') },
    });
  } catch (error) {
    if (error instanceof Error) return undefined;
    throw error;
  }
}
