/** One process of a container, with its streams. */
import type { Duplex, Readable, Writable } from 'node:stream';
import { Code } from '../ttrpc/status.js';
import { abortable, limit, pause, quietly } from './abort.js';
import { AbortError, ClientError, FailedPreconditionError, NotFoundError, UnavailableError } from './errors.js';
import type { Services } from './grpc/services.js';
import { exitOf } from './record.js';
import { signalNumber } from './signals.js';
import { Collected } from './stdio/collected.js';
import { ProcessDuplex } from './stdio/duplex.js';
import type { Streams } from './stdio/streams.js';
import type { CallOptions } from './types/calls.js';
import type { Exit, Output, PartialOutput, Process, ResultOptions, Signal, WindowSize } from './types/process.js';

const RETRY_MS = 100;
const MAX_OUTPUT = 64 * 1024 * 1024;

type Tasks = Services['tasks'];

export interface ProcessInit {
  readonly tasks: Tasks;
  readonly containerId: string;
  /** Empty for the container's first process. */
  readonly exec: string;
  readonly streams: Streams;
  /** What ends it, unless another signal is named. */
  readonly stopSignal: Signal;
  /** It is ours: it is taken away when it has ended. */
  readonly own: boolean;
}

export class ContainerProcess implements Process {
  readonly containerId: string;
  readonly terminal: boolean;
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Settles when nothing is left to do: it has ended, its streams have, and an exec of ours has been taken away. */
  readonly done: Promise<void>;
  readonly #init: ProcessInit;
  readonly #waiting = new AbortController();
  readonly #exit: Promise<Exit>;
  #pid = 0;
  #collected: { readonly stdout: Collected; readonly stderr: Collected } | undefined;
  #duplex: ProcessDuplex | undefined;

  /** It is waited for from now on, so it must be known to the daemon. */
  constructor(init: ProcessInit) {
    this.#init = init;
    const { containerId, streams } = init;
    this.containerId = containerId;
    this.terminal = streams.paths.terminal;
    this.stdin = streams.stdin;
    this.stdout = streams.stdout;
    this.stderr = streams.stderr;
    this.#exit = waitForExit(init.tasks, this.containerId, init.exec, this.#waiting.signal);
    this.done = this.#end();
    this.done.catch(() => undefined);
  }

  get id(): string {
    return this.#init.exec || this.containerId;
  }

  get duplex(): Duplex {
    return (this.#duplex ??= new ProcessDuplex(this.stdin, this.stdout));
  }

  get pid(): number {
    return this.#pid;
  }

  /** It has this pid; with `running`, the shim has its ends of the streams. */
  started(pid: number, running: boolean): void {
    this.#pid = pid;
    if (running) this.#init.streams.started();
  }

  wait(options: CallOptions = {}): Promise<Exit> {
    return abortable(this.#exit, limit(options));
  }

  result(options?: ResultOptions & { readonly encoding?: 'utf8' }): Promise<Output<string>>;
  result(options: ResultOptions & { readonly encoding: 'buffer' }): Promise<Output<Buffer>>;
  async result(options: ResultOptions = {}): Promise<Output<string> | Output<Buffer>> {
    const { maxBytes = MAX_OUTPUT } = options;
    const { stdout, stderr } = (this.#collected ??= {
      stdout: new Collected(this.stdout, `stdout of ${this.id}`, maxBytes),
      stderr: new Collected(this.stderr, `stderr of ${this.id}`, maxBytes),
    });
    stdout.maxBytes = stderr.maxBytes = maxBytes;
    const soFar = (): PartialOutput<string> | PartialOutput<Buffer> =>
      options.encoding === 'buffer'
        ? { stdout: stdout.bytes, stderr: stderr.bytes }
        : { stdout: stdout.bytes.toString(), stderr: stderr.bytes.toString() };
    try {
      const [{ exitCode }] = await abortable(Promise.all([this.#exit, stdout.ended, stderr.ended]), limit(options));
      // Whoever has the result has nothing to clean up.
      await this.done;
      return { ...soFar(), exitCode };
    } catch (error) {
      if (error instanceof AbortError || error instanceof ClientError) error.output = soFar();
      throw error;
    }
  }

  async kill(
    signal: Signal = this.#init.stopSignal,
    { all = false, ...options }: CallOptions & { readonly all?: boolean | undefined } = {},
  ): Promise<void> {
    const request = { containerId: this.containerId, execId: this.#init.exec, signal: signalNumber(signal), all };
    try {
      await this.#init.tasks.Kill(request, options);
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error;
    }
  }

  async resize({ columns, rows }: WindowSize, options: CallOptions = {}): Promise<void> {
    await this.#init.tasks.ResizePty(
      { containerId: this.containerId, execId: this.#init.exec, width: columns, height: rows },
      options,
    );
  }

  async closeStdin(options: CallOptions = {}): Promise<void> {
    if (this.stdin.destroyed) return;
    const ended = new Promise<void>((resolve, reject) => {
      this.stdin.once('close', resolve).once('error', reject);
      if (this.stdin.writableFinished) resolve();
      else if (this.stdin.writableEnded) this.stdin.once('finish', resolve);
      else this.stdin.end(resolve);
    });
    await abortable(ended, limit(options));
  }

  detach(): void {
    this.#waiting.abort(new UnavailableError(Code.Unavailable, `process ${this.id} was detached from: unavailable`));
    this.#init.streams.destroy();
  }

  /** The task is no more. */
  deleted(): void {
    this.#init.streams.finish();
    this.#init.streams.remove();
  }

  async #end(): Promise<void> {
    const { tasks, exec, streams, own } = this.#init;
    try {
      await this.#exit;
    } catch (error) {
      // What is gone writes no more; of what was left alone nothing is known.
      if (error instanceof NotFoundError) {
        streams.finish();
        if (own) streams.remove();
      } else streams.destroy();
      throw error;
    }
    await streams.exited();
    if (own && exec !== '') {
      // The shim puts what it still has into the FIFOs first.
      await quietly(
        tasks.DeleteProcess({ containerId: this.containerId, execId: exec }, { signal: this.#waiting.signal }),
      );
      streams.remove();
    }
    streams.finish();
  }
}

/** How a process has ended, whatever becomes of the daemon meanwhile. */
export async function waitForExit(
  tasks: Tasks,
  containerId: string,
  execId: string,
  signal?: AbortSignal,
): Promise<Exit> {
  for (;;) {
    try {
      return exitOf(await tasks.Wait({ containerId, execId }, { signal }));
    } catch (error) {
      if (signal?.aborted === true || !isPassing(error)) throw error;
    }
    await pause(RETRY_MS, signal);
  }
}

/** Has the shim close its end of a process's input; a daemon that is away is waited for. */
export async function closeIo(tasks: Tasks, containerId: string, execId: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await tasks.CloseIO({ containerId, execId, stdin: true });
      return;
    } catch (error) {
      // It has ended already.
      if (error instanceof NotFoundError || error instanceof FailedPreconditionError) return;
      if (!isPassing(error) || tries >= 300) throw error;
    }
    await pause(RETRY_MS);
  }
}

/** The daemon goes away, and may come back. The second text is that of its connection to a shim. */
export function isPassing(error: unknown): boolean {
  return error instanceof UnavailableError
    ? !error.message.startsWith('the client was closed')
    : error instanceof ClientError && error.message.includes('ttrpc: closed');
}
