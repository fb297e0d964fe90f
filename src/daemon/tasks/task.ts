/** A container's running side. It lives in its shim: nothing is known of it here but how to reach it. */
import { errdefs, millis, timestamp, type containerd, type google } from '../../api/full.js';
import { Code, TtrpcError, type CallOptions } from '../../ttrpc/index.js';
import type { LastWord } from '../shims/launcher.js';
import type { ShimConnection, TaskClient } from '../shims/connection.js';
import type { LogFifo } from '../shims/log-fifo.js';
import type { TaskBundle } from './bundle.js';
import type { Timeouts } from './timeouts.js';

type Process = containerd.v1.types.Process.$Properties;
type Any = google.protobuf.Any.$Properties;

/** Paths of FIFOs, or other addresses of streams that the shim knows. */
export interface TaskIo {
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly terminal: boolean;
}

/** How a process ended. */
export interface Exit {
  readonly pid: number;
  readonly exitStatus: number;
  readonly exitedAt: google.protobuf.Timestamp.$Properties | null;
}

export class Task {
  /** Kept when the shim has died and what it left has been cleaned up. Never, for a task that is deleted in good order. */
  readonly gone: Promise<LastWord>;
  settleGone!: (last: LastWord) => void;
  /** The daemon ends or deletes it: the end of the connection is no sign of death. */
  released = false;
  /** A deletion under way. */
  deletion: Promise<unknown> | undefined;

  constructor(
    readonly bundle: TaskBundle,
    readonly binary: string,
    readonly connection: ShimConnection,
    readonly logFifo: LogFifo | undefined,
    private readonly timeouts: Timeouts,
  ) {
    this.gone = new Promise((resolve) => {
      this.settleGone = resolve;
    });
  }

  get id(): string {
    return this.bundle.id;
  }
  get namespace(): string {
    return this.bundle.namespace;
  }

  /** The process's state as the shim has it; NotFound when there is no such process or the shim has died. */
  async state(execId = '', options?: CallOptions): Promise<containerd.task.v2.StateResponse.$Properties> {
    // As Go's clients ask it, whom a shim answers that sleeps.
    return this.routed((shim) => shim.State({ id: this.id, ...(execId && { execId }) }, options));
  }

  /**
   * The same for clients. A shim that gives no answer in time, or not a good one, leaves the status Unknown; `onFailure` is told why.
   *
   * @throws NotFound
   */
  async process(execId: string, onFailure: (error: Error) => void, options: CallOptions = {}): Promise<Process> {
    const timeoutMs = Math.min(this.timeouts.state, options.timeoutMs ?? Infinity);
    try {
      const { status, pid, stdin, stdout, stderr, terminal, exitStatus, exitedAt } = await this.state(execId, {
        ...options,
        timeoutMs,
      });
      return { id: execId || this.id, status, pid, stdin, stdout, stderr, terminal, exitStatus, exitedAt } as Process;
    } catch (error) {
      const failure = TtrpcError.from(error);
      if (failure.code === Code.NotFound || options.signal?.aborted) throw failure;
      onFailure(failure);
      return { id: execId || this.id, exitedAt: timestamp(undefined) };
    }
  }

  async start(execId = '', options?: CallOptions): Promise<number> {
    return (await this.routed((shim) => shim.Start({ id: this.id, execId }, options))).pid;
  }

  async kill(signal: number, all: boolean, execId = '', options?: CallOptions): Promise<void> {
    await this.routed((shim) => shim.Kill({ id: this.id, execId, signal, all }, options));
  }

  async exec(execId: string, spec: Any | null | undefined, io: TaskIo, options?: CallOptions): Promise<void> {
    await this.routed((shim) => shim.Exec({ id: this.id, execId, ...io, spec: spec ?? null }, options));
  }

  /** Removes a process that has ended, or was never started. */
  async deleteProcess(execId: string, options?: CallOptions): Promise<Exit> {
    const { pid, exitStatus, exitedAt } = await this.routed((shim) => shim.Delete({ id: this.id, execId }, options));
    return { pid, exitStatus, exitedAt: exitedAt ?? null };
  }

  async resizePty(width: number, height: number, execId = '', options?: CallOptions): Promise<void> {
    await this.routed((shim) => shim.ResizePty({ id: this.id, execId, width, height }, options));
  }

  async closeStdin(execId = '', options?: CallOptions): Promise<void> {
    await this.routed((shim) => shim.CloseIO({ id: this.id, execId, stdin: true }, options));
  }

  async pause(options?: CallOptions): Promise<void> {
    await this.routed((shim) => shim.Pause({ id: this.id }, options));
  }

  async resume(options?: CallOptions): Promise<void> {
    await this.routed((shim) => shim.Resume({ id: this.id }, options));
  }

  async pids(options?: CallOptions): Promise<containerd.v1.types.ProcessInfo.$Properties[]> {
    return (await this.routed((shim) => shim.Pids({ id: this.id }, options))).processes;
  }

  async checkpoint(path: string, checkpointOptions: Any | null | undefined, options?: CallOptions): Promise<void> {
    await this.routed((shim) => shim.Checkpoint({ id: this.id, path, options: checkpointOptions ?? null }, options));
  }

  async update(
    resources: Any | null | undefined,
    annotations: Record<string, string>,
    options?: CallOptions,
  ): Promise<void> {
    await this.routed((shim) => shim.Update({ id: this.id, resources: resources ?? null, annotations }, options));
  }

  async stats(options?: CallOptions): Promise<Any | undefined> {
    return (await this.routed((shim) => shim.Stats({ id: this.id }, options))).stats ?? undefined;
  }

  /** Kept when the process has ended. When the shim dies first, its processes die with it, and how is known once that is cleaned up. */
  async wait(execId = '', options?: CallOptions): Promise<Exit> {
    try {
      const { exitStatus, exitedAt } = await this.connection.task.Wait({ id: this.id, execId }, options);
      return { pid: 0, exitStatus, exitedAt: exitedAt ?? null };
    } catch (error) {
      if (!this.isDeath(error)) throw this.#translated(error);
      const { pid, exitStatus, exitedAt } = await this.gone;
      return execId === '' ? { pid, exitStatus, exitedAt } : { pid: 0, exitStatus: 137, exitedAt };
    }
  }

  /** Calls the shim, and tells of its death as of a process that is not there. */
  async routed<T>(call: (shim: TaskClient) => Promise<T>): Promise<T> {
    try {
      return await call(this.connection.task);
    } catch (error) {
      throw this.#translated(error);
    }
  }

  /** True when a call failed because the shim has died. */
  isDeath(error: unknown): boolean {
    return isClosed(error) && !this.released;
  }

  #translated(error: unknown): unknown {
    if (!isClosed(error)) return error;
    return this.released
      ? errdefs.unavailable(`task ${this.id}: the connection to its shim was closed`, error)
      : errdefs.notFound(`task ${this.id}: its shim has died, and what it left is being cleaned up`, error);
  }
}

/** The connection has ended, before the call or during it. */
export function isClosed(error: unknown): boolean {
  return error instanceof TtrpcError && error.code === Code.Unavailable && error.message.startsWith('ttrpc: closed');
}

/** Milliseconds of an exit; the present when it is not told. */
export function exitMillis(exit: Exit): number {
  return millis(exit.exitedAt) ?? Date.now();
}
