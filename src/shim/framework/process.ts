/** Processes for shims that have no OCI runtime: stdio, terminals, and waiting for the start, as runc's do. */
import { closeSync, writeSync } from 'node:fs';
import { notFound } from '../../api/errdefs.js';
import { execFailure, makePipe, searchPath, sendTerminal, spawn, type Child } from '../../sys/index.js';
import { HELD, type Holder } from './held.js';
import type { TaskProcess } from './types.js';

/** How a process is to run. */
export interface ProcessOptions {
  /** Default: this process's own. */
  cwd?: string;
  /** All of its environment, as `NAME=value` or by name. Default: this process's own. */
  env?: readonly string[] | Readonly<Record<string, string>>;
}

/** A process that waits for its start. */
export interface HeldProcess extends Child {
  /** Lets it run its command. A second call does nothing. */
  release(): void;
}

/** Waits for a line on descriptor 3, and becomes its arguments; ends with the shim. */
const HOLD = 'read -r go <&3 || exit 1; exec "$@" 3<&-';

/**
 * Starts a program as a container's init or as an exec, with its stdio or terminal, as the leader of a process group. It is
 * killed when the shim dies.
 *
 * @param argv the program, by path or by a name in the PATH of its environment, and its arguments
 * @throws an error that names the program when it cannot be executed
 */
export function startProcess(task: TaskProcess, argv: readonly string[], options: ProcessOptions = {}): Child {
  return launch(task, argv, options, []);
}

/**
 * The same, but the program runs once it is released: there is a pid before the start, as containerd expects of `create`.
 *
 * @param argv the program, by path or by a name in the PATH of its environment, and its arguments
 */
export function holdProcess(task: TaskProcess, argv: readonly string[], options: ProcessOptions = {}): HeldProcess {
  findProgram(argv[0], environment(options));
  const { read, write } = makePipe();
  try {
    const child = launch(task, ['/bin/sh', '-c', HOLD, 'hawser-hold', ...argv], options, [read]);
    const { [HELD]: held } = task as Holder;
    if (held) held.count++;
    let isHeld = true;
    const open = (word: string): void => {
      if (!isHeld) return;
      isHeld = false;
      if (held) held.count--;
      // Its reader may be dead, and then nobody needs the word.
      if (word) ignoring('EPIPE', () => writeSync(write, word));
      closeSync(write);
    };
    void child.exited.then(() => open(''));
    return { ...child, release: () => open('go\n') };
  } catch (error) {
    closeSync(write);
    throw error;
  } finally {
    closeSync(read);
  }
}

/**
 * Sends a signal, by number, to a process that {@link startProcess} or {@link holdProcess} has started, or with `all` to its
 * whole group.
 *
 * @throws NotFound when it has ended
 */
export function signalProcess(pid: number, signal: number, { all = false }: { all?: boolean } = {}): void {
  try {
    process.kill(all ? -pid : pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') throw notFound('process already finished', error);
    throw error;
  }
}

function launch(
  { stdio, consoleSocket }: TaskProcess,
  argv: readonly string[],
  options: ProcessOptions,
  more: readonly number[],
): Child {
  const env = environment(options);
  const program = findProgram(argv[0], env);
  const cwd = options.cwd === undefined ? {} : { cwd: options.cwd };
  if (consoleSocket === undefined)
    return start(program, argv, { stdio: [...stdio, ...more], env, ...cwd, ownGroup: true });
  const terminal = sendTerminal(consoleSocket);
  try {
    // It leads a session then, which is what has a controlling terminal.
    return start(findProgram('setsid', process.env), ['setsid', '--ctty', program, ...argv.slice(1)], {
      stdio: [terminal, terminal, terminal, ...more],
      env,
      ...cwd,
    });
  } finally {
    closeSync(terminal);
  }
}

function start(program: string, argv: readonly string[], options: Parameters<typeof spawn>[2]): Child {
  try {
    return spawn(program, argv, options);
  } catch (error) {
    throw execFailure(program, error);
  }
}

function environment({ env }: ProcessOptions): Readonly<Record<string, string | undefined>> {
  if (env === undefined) return process.env;
  if (!Array.isArray(env)) return env as Readonly<Record<string, string>>;
  return Object.fromEntries(
    (env as readonly string[]).map((line) => {
      const at = line.indexOf('=');
      return at < 0 ? [line, ''] : [line.slice(0, at), line.slice(at + 1)];
    }),
  );
}

function findProgram(name: string | undefined, env: Readonly<Record<string, string | undefined>>): string {
  if (!name) throw new Error('there is no command to run: process.args of the container is empty');
  const file = searchPath(name, env.PATH ?? process.env.PATH);
  if (file === undefined) throw new Error(`exec: ${JSON.stringify(name)}: executable file not found in $PATH`);
  return file;
}

function ignoring(code: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== code) throw error;
  }
}
