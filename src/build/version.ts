/** What is being built, for the bundles to say. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const top = fileURLToPath(new URL('../..', import.meta.url));
export const { version } = JSON.parse(readFileSync(`${top}/package.json`, 'utf8')) as { version: string };

/** The commit this is built from, or nothing outside a checkout. */
export function revision(): string | undefined {
  try {
    return execFileSync('git', ['rev-parse', '--short=12', 'HEAD'], { cwd: top, stdio: ['ignore', 'pipe', 'ignore'] })
      .toString()
      .trim();
  } catch (error) {
    if (error instanceof Error) return undefined;
    throw error;
  }
}
