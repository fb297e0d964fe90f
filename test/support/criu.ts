/** A criu that works on current kernels: Debian 12's own does not. It comes from a newer suite, see packages.sh. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { addToPath } from './runtime.js';

const SUITE = 'trixie';
const packages = fileURLToPath(new URL('packages.sh', import.meta.url));
let directory: string | undefined;

/**
 * The directory of criu's program, fetched when it is not in the cache yet.
 *
 * @throws with criu's own words when it cannot work on this kernel: these tests are never skipped
 */
export function criuDirectory(): string {
  if (directory !== undefined) return directory;
  const fetched = spawnSync('sh', [packages, `criu@${SUITE}`], {
    encoding: 'utf8',
    timeout: 1_200_000,
    killSignal: 'SIGKILL',
  });
  const found = /^criu@\S+ \S+ (\/.+)$/m.exec(fetched.stdout)?.[1];
  if (fetched.status !== 0 || found === undefined)
    throw new Error(`criu of ${SUITE} could not be fetched: ${fetched.stderr}${fetched.stdout}`);
  const check = spawnSync(`${found}/criu`, ['check'], { encoding: 'utf8', timeout: 60_000, killSignal: 'SIGKILL' });
  if (check.status !== 0)
    throw new Error(`criu cannot work on this kernel; criu check says: ${check.stdout}${check.stderr}`);
  return (directory = found);
}

/** Puts criu into the PATH of all shims, daemons and runtimes that this process starts. */
export function useCriu(): void {
  addToPath(criuDirectory());
  process.env.PATH = `${criuDirectory()}:${process.env.PATH}`;
}
