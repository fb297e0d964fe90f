/** From a runtime to the program that is its shim (contract §1.1). */
import { accessSync, constants, realpathSync, statSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { invalidArgument, unknown } from '../../api/errdefs.js';
import { searchPath } from '../../sys/index.js';

/** The shim that Hawser brings along. */
const OWN_SHIM = 'containerd-shim-runc-v2';

/** Where to look for a shim that is not named by its path. */
export interface ShimSearch {
  /** Directories that come before all others: that of Hawser's own shim. */
  readonly first: readonly string[];
  /** As in the environment variable PATH. */
  readonly path: string;
  /** Directories that come after it: that of the daemon's program. */
  readonly last: readonly string[];
}

/**
 * The program's name that follows from a runtime's: `io.containerd.runc.v2` is `containerd-shim-runc-v2`.
 *
 * @throws InvalidArgument for a name that is no runtime's
 */
export function shimName(runtime: string): string {
  const parts = runtime.split('.');
  if (runtime.includes('/') || parts.length < 2 || parts.some((part) => part === '')) {
    throw invalidArgument(
      `invalid runtime name ${JSON.stringify(runtime)}: it must be an absolute path, or like io.containerd.runc.v2`,
    );
  }
  return `containerd-shim-${parts.at(-2)}-${parts.at(-1)}`;
}

/**
 * The shim's absolute path. It is looked up each time: where it lies may change while the daemon runs.
 *
 * @throws InvalidArgument for a name that is no runtime's, Unknown (as containerd has it) when there is no such program
 */
export function resolveShim(runtime: string, search: ShimSearch): string {
  if (runtime === '')
    throw invalidArgument('no runtime name: the container must name one, such as io.containerd.runc.v2');
  if (isAbsolute(runtime)) {
    if (statSync(runtime, { throwIfNoEntry: false })?.isFile()) return runtime;
    throw unknown(`runtime ${JSON.stringify(runtime)} binary not installed: file does not exist`);
  }
  const name = shimName(runtime);
  for (const dir of search.first) if (isProgram(join(dir, name))) return join(dir, name);
  const found = searchPath(name, search.path);
  if (found !== undefined && isAbsolute(found)) return found;
  for (const dir of search.last) if (isProgram(join(dir, name))) return join(dir, name);
  throw unknown(`runtime ${JSON.stringify(runtime)} binary not installed ${JSON.stringify(name)}: file does not exist`);
}

/**
 * The directory of Hawser's own programs: that of the program that was called, or the `bin` near this code, be it source,
 * a bundle in `dist` (in a package from npm the programs are in `npm`) or one in `lib/hawser`, which has the shim in its own `bin`.
 */
export function programDir(): string | undefined {
  const here = dirname(fileURLToPath(import.meta.url));
  const called = process.argv[1];
  const dirs = ['bin', '../bin', '../npm', '../../bin', '../../../bin'].map((up) => join(here, up));
  if (called !== undefined && statSync(called, { throwIfNoEntry: false })) dirs.unshift(dirname(realpathSync(called)));
  return dirs.find((dir) => isProgram(join(dir, OWN_SHIM)));
}

/** Own programs first, then PATH, then whatever lies beside the daemon. */
export function defaultSearch(env: NodeJS.ProcessEnv = process.env): ShimSearch {
  const own = programDir();
  const called = process.argv[1];
  return {
    first: own === undefined ? [] : [own],
    path: env.PATH ?? '',
    last: called === undefined ? [] : [dirname(called)],
  };
}

function isProgram(file: string): boolean {
  if (!statSync(file, { throwIfNoEntry: false })?.isFile()) return false;
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EACCES') return false;
    throw error;
  }
}
