/** A process's three streams as this process has them. */
import { Readable, Writable } from 'node:stream';
import { Code } from '../../ttrpc/status.js';
import { FailedPreconditionError } from '../errors.js';
import type { StdioOptions, StdioTarget } from '../types/process.js';
import { isFifo, makeFifos, removeFifos, type FifoOwner, type StreamName } from './fifos.js';
import { FifoReadable } from './reader.js';
import { FifoWritable } from './writer.js';

/** How long output may rest after the end of the process, while others have it open, until it counts as ended. */
const QUIET_MS = 250;

/** What the shim is told. */
export interface StdioPaths {
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly terminal: boolean;
}

export class Streams {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  readonly #readers: FifoReadable[] = [];
  #writer: FifoWritable | undefined;
  #inherited: NodeJS.ReadStream | undefined;

  private constructor(
    readonly paths: StdioPaths,
    private readonly fifoDir: string,
    open: Partial<Record<StreamName, 'pipe' | 'inherit'>>,
    closeIo: () => Promise<void>,
  ) {
    try {
      this.stdout = this.#output(open.stdout, paths.stdout, process.stdout);
      this.stderr = this.#output(open.stderr, paths.stderr, process.stderr);
      this.stdin = this.#input(open.stdin, paths.stdin, closeIo);
    } catch (error) {
      this.destroy();
      throw error;
    }
  }

  /** Makes the FIFOs that the options ask for, and opens those to read from. */
  static make(
    fifoDir: string,
    owner: FifoOwner,
    id: string,
    options: StdioOptions,
    terminal: boolean,
    closeIo: () => Promise<void>,
  ): Streams {
    const targets = {
      stdin: options.stdin ?? 'ignore',
      stdout: options.stdout ?? 'pipe',
      stderr: terminal ? 'ignore' : (options.stderr ?? 'pipe'),
    } satisfies Record<StreamName, StdioTarget>;
    const open: Partial<Record<StreamName, 'pipe' | 'inherit'>> = {};
    for (const name of ['stdin', 'stdout', 'stderr'] as const) {
      const target = targets[name];
      if (target === 'pipe' || target === 'inherit') open[name] = target as 'pipe' | 'inherit';
    }
    const fifos = makeFifos(fifoDir, owner, id, Object.keys(open) as StreamName[]);
    const pathOf = (name: StreamName): string => fifos[name] ?? (targets[name] === 'ignore' ? '' : targets[name]);
    try {
      return new Streams(
        { stdin: pathOf('stdin'), stdout: pathOf('stdout'), stderr: pathOf('stderr'), terminal },
        fifoDir,
        open,
        closeIo,
      );
    } catch (error) {
      removeFifos(fifoDir, Object.values(fifos));
      throw error;
    }
  }

  /** Opens FIFOs that a process has. */
  static reopen(
    fifoDir: string,
    paths: StdioPaths,
    wanted: readonly StreamName[],
    closeIo: () => Promise<void>,
  ): Streams {
    const open = Object.fromEntries(
      wanted.filter((name) => isFifo(paths[name])).map((name) => [name, 'pipe' as const]),
    );
    const streams = new Streams(paths, fifoDir, open, closeIo);
    streams.started();
    return streams;
  }

  /** The shim has opened its ends. */
  started(): void {
    this.#writer?.open();
  }

  /** The process has ended. Resolves when its output has come to its end, or rests: the shim may be told to close what is still open. */
  async exited(): Promise<void> {
    this.#endInput();
    await Promise.all(this.#readers.map((reader) => reader.drained(QUIET_MS)));
  }

  /** Nothing more will come. */
  finish(): void {
    this.#endInput();
    for (const reader of this.#readers) reader.finish();
  }

  /** Closes everything here, and leaves the FIFOs. */
  destroy(): void {
    this.#endInput();
    for (const reader of this.#readers) reader.destroy();
  }

  /** Removes the FIFOs' directory. Whoever has one open goes on. */
  remove(): void {
    removeFifos(this.fifoDir, [this.paths.stdin, this.paths.stdout, this.paths.stderr]);
  }

  #output(open: 'pipe' | 'inherit' | undefined, path: string, own: NodeJS.WriteStream): Readable {
    if (open === undefined) return empty();
    const reader = new FifoReadable(path);
    this.#readers.push(reader);
    if (open === 'pipe') return reader;
    reader.pipe(own, { end: false });
    return empty();
  }

  #input(open: 'pipe' | 'inherit' | undefined, path: string, closeIo: () => Promise<void>): Writable {
    // Another's FIFO may be there, whose end the shim has to be told of.
    if (open === undefined) return unwritable(path === '' || this.paths.terminal ? undefined : closeIo);
    this.#writer = new FifoWritable(path, this.paths.terminal ? undefined : closeIo);
    if (open === 'pipe') return this.#writer;
    this.#inherited = process.stdin;
    process.stdin.pipe(this.#writer);
    return unwritable();
  }

  #endInput(): void {
    if (this.#writer !== undefined && !this.#writer.destroyed) {
      if (this.#inherited !== undefined) {
        this.#inherited.unpipe(this.#writer);
        // Else waiting for more of it would keep this process from ending.
        this.#inherited.pause();
      }
      this.#writer.abandon();
    }
  }
}

function empty(): Readable {
  return Readable.from([]);
}

function unwritable(closeIo?: () => Promise<void>): Writable {
  return new Writable({
    ...(closeIo && { final: (callback) => void closeIo().then(() => callback(), callback) }),
    write: (_chunk, _encoding, callback) =>
      callback(
        new FailedPreconditionError(
          Code.FailedPrecondition,
          "the process's input is no stream of this process; give stdin: 'pipe': failed precondition",
        ),
      ),
  });
}
