/** Test files in a guest: how they get there, and how it is started. */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { basename } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

export const TOP = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
export const MACHINE = `${TOP}/test/vm/run`;

/**
 * Test files made one each. As they are, the guest would compile the tests for longer than it runs them.
 *
 * @param files below test, without `.ts`
 * @param dir below the checkout, where they go
 */
export async function bundled(files: readonly string[], dir: string): Promise<string[]> {
  await build({
    absWorkingDir: TOP,
    entryPoints: files.map((file) => `test/${file}.ts`),
    outdir: dir,
    entryNames: '[name]',
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    target: 'node20',
    logLevel: 'warning',
  });
  return files.map((file) => `${dir}/${basename(file)}.js`);
}

export const quote = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;

/** Starts a guest by these words for run. It ends with this process, however that ends. */
export function startGuest(words: readonly string[]): ChildProcessByStdio<null, Readable, null> {
  return spawn('setpriv', ['--pdeathsig', 'TERM', '--', MACHINE, ...words], {
    cwd: TOP,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}
