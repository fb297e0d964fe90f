/** An OCI runtime (runc, crun, …) as typed calls (contract §6). */
import { closeSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readPidFile, removeFile } from '../oci/bundle.js';
import { stringifyExact } from '../oci/json.js';
import type { Process } from '../oci/spec.js';
import { searchPath } from '../sys/index.js';
import { memoryFile, runCommand, type CommandOptions, type CommandResult } from './command.js';
import { CommandLog } from './command-log.js';
import { RuntimeError } from './error.js';
import { removeEnded } from './ended.js';
import { isRunc, releaseInit } from './exec-fifo.js';
import type { CommandObserver } from './totals.js';

/** Which runtime, and how all its commands are called. */
export interface RuntimeOptions {
  /** A path, or a name to look up in PATH. Default `runc`. */
  binary?: string;
  /** The runtime's state directory. Default: the runtime's own. */
  root?: string;
  /**
   * File that the runtime appends its log to, as JSON lines; error texts are taken from it. A command that begins while
   * another one has it gets a file of its own beside it, whose text is put there afterwards.
   */
  log?: string;
  /** Let systemd make the cgroups. */
  systemdCgroup?: boolean;
  /** Kills the commands of this object that are under way when it aborts, and those begun later. */
  signal?: AbortSignal;
  /** The criu binary, for runtimes that still take `--criu`. */
  criu?: string;
  /** Is told of each command, as `CommandTotals` is to count them. */
  observer?: CommandObserver;
}

/** Where a new process's standard streams go. */
export interface ProcessIo {
  /** Descriptors for its 0, 1 and 2, given to the runtime itself; absent with a terminal. */
  stdio?: readonly number[];
  /** Where to send the terminal's master to; see `ConsoleSocket`. */
  consoleSocket?: string;
  /** Called when the runtime has its descriptors, so that the caller can close its own copies. */
  onSpawn?: () => void;
  /** Called when the runtime has failed: what it wrote to `stdio`, for the error's text. */
  printed?: () => string;
}

export interface CreateOptions extends ProcessIo {
  bundle: string;
  /** File that the init's pid is written to. */
  pidFile: string;
  noPivotRoot?: boolean;
  noNewKeyring?: boolean;
}

export interface RestoreOptions extends ProcessIo {
  bundle: string;
  pidFile: string;
  imagePath: string;
  workPath: string;
  parentPath?: string;
  noPivotRoot?: boolean;
}

export interface ExecOptions extends ProcessIo {
  /** What the caller calls the process, for `runningCommands()`; the runtime is not told. */
  execId?: string;
  /** File that the process's pid is written to. */
  pidFile: string;
  /** Where the process description is put while the runtime reads it; runc itself is given it without a file. */
  processFile: string;
  /** Instead of the signal of the whole object. */
  signal?: AbortSignal;
}

/** Where a checkpoint goes, and what of the container is let through. */
export interface CheckpointOptions {
  imagePath: string;
  workPath: string;
  parentPath?: string;
  allowOpenTcp?: boolean;
  allowExternalUnixSockets?: boolean;
  allowTerminal?: boolean;
  fileLocks?: boolean;
  emptyNamespaces?: readonly string[];
  /** Default false: the container ends. */
  leaveRunning?: boolean;
}

/** Drives one runtime binary with one state directory. Every call is one process, awaited to its end. */
export class Runtime {
  readonly binary: string;
  /** Known once it has created a container. */
  #isRunc = false;

  /** Nothing is run before a method is called. */
  constructor(readonly options: RuntimeOptions = {}) {
    this.binary = options.binary || 'runc';
  }

  /** Makes the container; its init waits for `start`. Resolves to the init's pid. */
  async create(id: string, options: CreateOptions): Promise<number> {
    const args = ['create', '--bundle', options.bundle, '--pid-file', options.pidFile, ...consoleArgs(options)];
    if (options.noPivotRoot) args.push('--no-pivot');
    if (options.noNewKeyring) args.push('--no-new-keyring');
    const created = this.#runForPid(id, [...args, id], options.pidFile, ioOf(options));
    this.#lookAtProgram();
    return created;
  }

  /** The container is there, and another process has made it with the same runtime. */
  resumed(): void {
    this.#lookAtProgram();
  }

  /** While it does something else. */
  #lookAtProgram(): void {
    const file = searchPath(this.binary);
    this.#isRunc = file !== undefined && isRunc(file);
  }

  /**
   * Lets the init of a created container go on.
   *
   * @param ended settles when the init has ended. With it no process is run, where this object has created the container and
   *   the runtime is runc itself: see exec-fifo.ts
   */
  async start(id: string, ended?: Promise<unknown>): Promise<void> {
    const { root } = this.options;
    if (this.#isRunc && root && ended && (await releaseInit(join(root, id, 'exec.fifo'), ended))) return;
    await this.#run(id, ['start', id]);
  }

  /** Runs one more process in the container and leaves it running. Resolves to its pid. */
  async exec(id: string, process: Process, options: ExecOptions): Promise<number> {
    const text = Buffer.from(stringifyExact(process));
    const run = (processFile: string, more: readonly number[]): Promise<number> => {
      const args = [
        'exec',
        '--process',
        processFile,
        ...consoleArgs(options),
        '--detach',
        '--pid-file',
        options.pidFile,
        id,
      ];
      return this.#runForPid(id, args, options.pidFile, {
        ...ioOf(options),
        more,
        subject: { container: id, ...(options.execId === undefined ? {} : { exec: options.execId }) },
        ...(options.signal ? { signal: options.signal } : {}),
      });
    };
    // A wrapper may not hand on more than the three descriptors that everybody knows.
    const memory = this.#isRunc ? memoryFile('process', text) : undefined;
    if (memory === undefined) writeFileSync(options.processFile, text, { mode: 0o600 });
    try {
      return await (memory === undefined ? run(options.processFile, []) : run('/proc/self/fd/3', [memory]));
    } finally {
      if (memory === undefined) removeFile(options.processFile);
      else closeSync(memory);
    }
  }

  /** Sends a signal, by number, to the init, or with `all` to every process of the container. */
  async kill(id: string, signal: number, options: { all?: boolean } = {}): Promise<void> {
    await this.#run(id, ['kill', ...(options.all ? ['--all'] : []), id, String(signal)]);
  }

  /** Removes the container. With `force` its processes are killed first, and one that is already gone is no error. */
  async delete(id: string, options: { force?: boolean } = {}): Promise<void> {
    await this.#run(id, ['delete', ...(options.force ? ['--force'] : []), id]);
  }

  /**
   * Removes a container whose init has been seen to end, without a process, where this object has created it and the
   * runtime is runc itself: see ended.ts. Resolves to false when `delete` is to be called.
   */
  async removeEnded(id: string, pid: number): Promise<boolean> {
    const { root } = this.options;
    return this.#isRunc && root !== undefined && (await removeEnded(join(root, id), pid));
  }

  /** Freezes all processes of the container. */
  async pause(id: string): Promise<void> {
    await this.#run(id, ['pause', id]);
  }

  /** Lets a frozen container go on. */
  async resume(id: string): Promise<void> {
    await this.#run(id, ['resume', id]);
  }

  /** Pids of all processes of the container, as the runtime sees them; none when it has stopped. */
  async ps(id: string): Promise<number[]> {
    const { output } = await this.#run(id, ['ps', '--format', 'json', id]);
    const pids: unknown = JSON.parse(output);
    if (pids === null) return [];
    if (!Array.isArray(pids) || !pids.every((pid) => typeof pid === 'number')) {
      throw new RuntimeError(`${this.binary} ps printed no list of pids: ${output.slice(0, 200)}`, { output });
    }
    return pids;
  }

  /** Changes limits. `resources` is the JSON of an OCI LinuxResources, handed on as it is. */
  async update(id: string, resources: Uint8Array): Promise<void> {
    await this.#run(id, ['update', '--resources=-', id], { input: resources });
  }

  /** Writes the images of the container with criu; it ends then, unless it is to be left running. */
  async checkpoint(id: string, options: CheckpointOptions): Promise<void> {
    const args = ['checkpoint', '--image-path', options.imagePath, '--work-path', options.workPath];
    if (options.parentPath) args.push('--parent-path', options.parentPath);
    if (options.allowOpenTcp) args.push('--tcp-established');
    if (options.allowExternalUnixSockets) args.push('--ext-unix-sk');
    if (options.allowTerminal) args.push('--shell-job');
    if (options.fileLocks) args.push('--file-locks');
    for (const namespace of options.emptyNamespaces ?? []) args.push('--empty-ns', namespace);
    if (options.leaveRunning) args.push('--leave-running');
    await this.#run(id, [...args, id]);
  }

  /** Makes and starts a container from a checkpoint. Resolves to the init's pid. */
  async restore(id: string, options: RestoreOptions): Promise<number> {
    const args = ['restore', '--image-path', options.imagePath, '--work-path', options.workPath];
    if (options.parentPath) args.push('--parent-path', options.parentPath);
    args.push('--detach', '--pid-file', options.pidFile, ...consoleArgs(options));
    if (options.noPivotRoot) args.push('--no-pivot');
    return this.#runForPid(
      id,
      [...args, '-no-subreaper', '--bundle', options.bundle, id],
      options.pidFile,
      ioOf(options),
    );
  }

  /** What the runtime can do, as the JSON text of an OCI Features object. Takes no state directory. */
  async features(): Promise<string> {
    const { status, output } = await runCommand(this.binary, ['features']);
    if (status !== 0) throw this.#failure({ status, output }, undefined);
    return output;
  }

  #globals(log: string | undefined): string[] {
    const { root, criu, systemdCgroup } = this.options;
    const args: string[] = [];
    if (root) args.push('--root', root);
    if (log) args.push('--log', log, '--log-format', 'json');
    if (criu) args.push('--criu', criu);
    if (systemdCgroup) args.push('--systemd-cgroup');
    return args;
  }

  /** Runs a command that writes a pid; an earlier command's must not be taken for it. */
  async #runForPid(id: string, args: readonly string[], pidFile: string, options: CommandOptions): Promise<number> {
    removeFile(pidFile);
    await this.#run(id, args, options);
    try {
      return readPidFile(pidFile);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      // Not "no such file or directory": dockerd takes that for a command missing in the container.
      throw new RuntimeError(`${this.binary} ${args[0]} succeeded, but wrote no pid into ${pidFile}`, {
        status: 0,
        cause: error,
      });
    }
  }

  async #run(id: string, args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    const log = this.options.log === undefined ? undefined : new CommandLog(this.options.log);
    const begun = Date.now();
    this.options.observer?.begins(args[0]!);
    let failed = true;
    try {
      const result = await this.#runCommand([...this.#globals(log?.file), ...args], {
        name: args[0],
        subject: { container: id },
        ...options,
      });
      failed = result.status !== 0;
      if (failed) throw this.#failure(result, log);
      return result;
    } finally {
      log?.release();
      this.options.observer?.ended(args[0]!, Date.now() - begun, failed);
    }
  }

  async #runCommand(args: readonly string[], options: CommandOptions): Promise<CommandResult> {
    const { signal } = this.options;
    try {
      return await runCommand(this.binary, args, { ...(signal ? { signal } : {}), ...options });
    } catch (error) {
      throw new RuntimeError((error as Error).message, { cause: error });
    }
  }

  #failure({ status, output }: CommandResult, log: CommandLog | undefined): RuntimeError {
    const text = output.trim();
    let message = `${this.binary} did not terminate successfully: exit status ${status}${text ? `: ${text}` : ''}`;
    let logged: string | undefined;
    try {
      logged = log?.lastError();
    } catch (error) {
      // By its code alone: clients look for words such as "permission denied" in these texts (contract §6.4).
      message = `unable to retrieve OCI runtime error (${(error as NodeJS.ErrnoException).code ?? 'unknown'}): ${message}`;
    }
    return new RuntimeError(message, { status, output, logged });
  }
}

function consoleArgs(io: ProcessIo): string[] {
  return io.consoleSocket === undefined ? [] : ['--console-socket', io.consoleSocket];
}

function ioOf(io: ProcessIo): CommandOptions {
  return {
    ...(io.stdio === undefined ? {} : { stdio: io.stdio }),
    ...(io.onSpawn === undefined ? {} : { onSpawn: io.onSpawn }),
    ...(io.printed === undefined ? {} : { printed: io.printed }),
  };
}
