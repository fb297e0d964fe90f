/** Runs one command of an OCI runtime and collects what it printed. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { execFailure, makeMemfd, searchPath, spawn, type Child, type ExitStatus } from '../sys/index.js';
import { OutputCapture } from './capture.js';

export interface CommandOptions {
  /** Descriptors for the command's 0, 1 and 2; without it 0 is empty and 1 and 2 are captured. */
  stdio?: readonly number[];
  /** Descriptors that the command gets as its 3, 4, … */
  more?: readonly number[];
  /** Text for standard input, instead of nothing. Not together with `stdio`. */
  input?: Uint8Array;
  /** Called when the command has its descriptors, so that the caller can close its own copies. */
  onSpawn?: () => void;
  /** Called when the command has failed: what it wrote to `stdio`. */
  printed?: () => string;
  /** What the command is called in {@link runningCommands}; its first argument unless given. */
  name?: string | undefined;
  /** Whom it is for, see {@link RunningCommand}. */
  subject?: CommandSubject;
  /** Kills the command's process group when it aborts; the call ends as for any command that is killed. */
  signal?: AbortSignal;
}

export interface CommandResult {
  status: ExitStatus;
  /** Standard output and standard error, together; with `stdio`, what `printed` gives of a command that failed. */
  output: string;
}

/** Whom a command is for. */
export interface CommandSubject {
  readonly container: string;
  /** The exec's id. */
  readonly exec?: string;
}

/** A command in flight: for "why is it stuck". */
export interface RunningCommand extends Partial<CommandSubject> {
  /** `create`, `start`, … */
  readonly name: string;
  readonly argv: readonly string[];
  readonly pid: number;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
}

const running = new Set<RunningCommand>();

/** The runtime's commands that have not ended yet. */
export function runningCommands(): RunningCommand[] {
  return [...running];
}

/**
 * Runs a runtime's command to its end. The result comes when the command has ended, and never waits for somebody who
 * inherited its output and lives on.
 *
 * @param binary a path, or a name to look up in PATH
 * @throws when the binary is missing or cannot be executed
 */
export async function runCommand(
  binary: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const file = searchPath(binary);
  if (file === undefined) throw new Error(`exec: ${JSON.stringify(binary)}: executable file not found in $PATH`);
  const opened: number[] = [];
  const own = (fd: number): number => {
    opened.push(fd);
    return fd;
  };
  let call: RunningCommand | undefined;
  let capture: OutputCapture | undefined;
  try {
    const input = (): number =>
      options.input === undefined ? own(openSync('/dev/null', 'r')) : own(memoryFile('runtime-input', options.input));
    capture = options.stdio ? undefined : new OutputCapture();
    const stdio = options.stdio ?? [input(), capture!.writer, capture!.writer];
    const argv = [binary, ...args];
    const child = start(file, argv, options.more ? [...stdio, ...options.more] : stdio);
    options.onSpawn?.();
    capture?.handedOver();
    call = { name: options.name ?? args[0] ?? '', argv, pid: child.pid, startedAt: Date.now(), ...options.subject };
    running.add(call);
    const status = await endOf(child, options.signal);
    return { status, output: capture?.finish() ?? (status === 0 ? undefined : options.printed?.()) ?? '' };
  } finally {
    if (call) running.delete(call);
    capture?.finish();
    for (const fd of opened) closeSync(fd);
  }
}

async function endOf(child: Child, signal: AbortSignal | undefined): Promise<ExitStatus> {
  const kill = (): void => killGroup(child.pid);
  if (signal?.aborted) kill();
  signal?.addEventListener('abort', kill, { once: true });
  try {
    return await child.exited;
  } finally {
    signal?.removeEventListener('abort', kill);
  }
}

/** With its hooks and helpers, which would outlive it. What has become a container has a session of its own. */
function killGroup(pid: number): void {
  try {
    // Until its end is seen the pid is its own.
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function start(file: string, argv: string[], stdio: readonly number[]): ReturnType<typeof spawn> {
  try {
    // systemd's readiness socket is the daemon's business, not that of a runtime that would forward it.
    return spawn(file, argv, { stdio, without: 'NOTIFY_SOCKET', ownGroup: true });
  } catch (error) {
    throw execFailure(file, error);
  }
}

/** A file that is nowhere on a disk, to be read from its start, and closed by the caller. */
export function memoryFile(name: string, bytes: Uint8Array): number {
  const fd = makeMemfd(name);
  for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at, bytes.length - at, at);
  return fd;
}
