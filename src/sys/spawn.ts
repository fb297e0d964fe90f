import { delimiter, join } from 'node:path';
import { checked, SysError } from './error.js';
import { arm, onExit, type ExitStatus } from './exit.js';
import { native } from './native.js';

/** What a process gets, and how it is bound to this one. */
export interface SpawnOptions {
  /** Descriptors the child gets as its 0, 1, 2, …; it gets no others. They stay open here. */
  stdio: readonly number[];
  cwd?: string;
  /** Default: this process's environment. */
  env?: Readonly<Record<string, string | undefined>>;
  /** A variable of this process's environment that it does not get; not together with `env`. */
  without?: string;
  /** SIGKILL when this process ends (prctl(2), PR_SET_PDEATHSIG). Default true. */
  dieWithParent?: boolean;
  /** Leads a process group of its own. Default false. */
  ownGroup?: boolean;
}

/** A process that was started. */
export interface Child {
  readonly pid: number;
  /** Settles when the process has ended, whoever may still hold its descriptors. */
  readonly exited: Promise<ExitStatus>;
}

/**
 * Starts a program. Unlike node:child_process it reports a failing exec as an error at once, passes exactly the given
 * descriptors, and waits for the process only, never for its pipes.
 *
 * @param file absolute, or relative to this process's cwd; see {@link searchPath} for names
 * @throws SysError of the call that failed: ENOENT, EACCES, …
 */
export function spawn(file: string, argv: readonly string[], options: SpawnOptions): Child {
  const pid = spawnUnwatched(file, argv, options);
  if (native.monitorSpawned()) arm(pid);
  return { pid, exited: new Promise((resolve) => onExit(pid, resolve)) };
}

/** The same for who is to call {@link onExit} for the pid that this gives, later on. */
export function spawnUnwatched(file: string, argv: readonly string[], options: SpawnOptions): number {
  return checked(
    native.spawn(
      file,
      argv,
      options.env ? textsOf(options.env) : (options.without ?? null),
      options.cwd ?? null,
      options.stdio,
      options.dieWithParent ?? true,
      options.ownGroup ?? false,
    ),
    'spawn',
    file,
  );
}

function textsOf(env: NonNullable<SpawnOptions['env']>): string[] {
  return Object.entries(env).flatMap(([key, value]) => (value === undefined ? [] : [`${key}=${value}`]));
}

/**
 * Makes this process another program (execve(2)): the pid, the process group and the descriptors 0, 1 and 2 stay. Signals are no longer ignored or held.
 *
 * @param file absolute, or relative to this process's cwd
 * @param env NAME=VALUE each
 * @throws SysError when that fails; signals end the process then
 */
export function exec(file: string, argv: readonly string[], env: readonly string[]): never {
  throw new SysError(native.exec(file, argv, env), 'execve', file);
}

/**
 * The soft limit of open files that children get (getrlimit(2), RLIMIT_NOFILE). Node raises its own to the hard limit
 * when it starts, and containers would inherit that.
 */
export function limitChildrenNofile(soft: number): void {
  native.setChildrenNofile(soft);
}

/** Why a program could not be started, in the words that Go has for it. */
export function execFailure(file: string, error: unknown): Error {
  const code = (error as NodeJS.ErrnoException).code;
  const reason =
    { ENOENT: 'no such file or directory', EACCES: 'permission denied', ENOEXEC: 'exec format error' }[code ?? ''] ??
    code ??
    String(error);
  return new Error(`fork/exec ${file}: ${reason}`, { cause: error });
}

/** The file that a shell would run for a program's name, or undefined. A name with a slash is that file itself. */
export function searchPath(name: string, path = process.env.PATH ?? ''): string | undefined {
  if (name.includes('/')) return name;
  if (name.includes('\0')) return undefined;
  const files = path.split(delimiter).map((dir) => join(dir || '.', name));
  return files[native.firstProgram(files)];
}
