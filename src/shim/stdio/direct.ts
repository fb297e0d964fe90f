/**
 * Stdio without a terminal, zero-copy: the process gets the client's own FIFOs, or files, and no byte passes through the
 * shim. The shim only keeps an end of each open, see fifo.ts.
 */
import { constants, fchownSync, fstatSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { isHungUp, setNonblock } from '../../sys/index.js';
import { Descriptors } from './descriptors.js';
import { openInput, openKeeper, openOutput } from './fifo.js';
import type { Stdio, StdioRequest } from './types.js';

const { O_APPEND, O_CREAT, O_NONBLOCK, O_RDWR, O_WRONLY } = constants;

export class DirectStdio implements Stdio {
  readonly consoleSocket = undefined;
  readonly #fds = new Descriptors();
  #given: number[] = [];
  #stdinClosed = false;

  private constructor(private readonly request: StdioRequest) {}

  static async open(request: StdioRequest): Promise<DirectStdio> {
    const stdio = new DirectStdio(request);
    try {
      await stdio.#open();
      return stdio;
    } catch (error) {
      stdio.#fds.closeAll();
      throw error;
    }
  }

  get given(): readonly number[] { return this.#given; }

  handedOver(): void {
    this.#fds.close('stdin', 'stdout', 'stderr');
    this.#given = [];
  }

  attach(): Promise<void> {
    return Promise.resolve();
  }

  beforeStart(): void {
    const observer = this.#fds.get('stdin-observer');
    // Hung up: the client has been there and has left. One that has yet to come is waited for.
    if (observer === undefined || this.#fds.get('stdin-keeper') !== undefined || this.#stdinClosed || isHungUp(observer)) return;
    this.#fds.add('stdin-keeper', openKeeper(observer));
  }

  closeStdin(): void {
    this.#stdinClosed = true;
    this.#fds.close('stdin-keeper');
  }

  resize(): void { /* A process without a terminal has no size; asking is no error (contract §3.5). */ }

  processExited(): void { /* The kernel gives the client its end when the last writer in the container is gone. */ }

  drained(): Promise<boolean> {
    return Promise.resolve(true);
  }

  close(): Promise<void> {
    this.#fds.closeAll();
    this.#given = [];
    return Promise.resolve();
  }

  describe(): Record<string, unknown> {
    return { kind: 'direct', descriptors: this.#fds.list() };
  }

  async #open(): Promise<void> {
    const { stdin, stdout, stderr, uid, gid } = this.request;
    const fds = this.#fds;
    if (stdin) {
      const input = await openInput(stdin);
      fds.add('stdin', input.reader);
      fds.add('stdin-observer', input.observer);
    }
    await this.#openOutput('stdout', stdout);
    await this.#openOutput('stderr', stderr);
    this.#given = ['stdin', 'stdout', 'stderr'].map((name) => fds.get(name) ?? fds.add(name, openSync('/dev/null', O_RDWR)));
    // Only what is the client's and made for this: never the host's /dev/null, nor somebody's log file.
    if (uid || gid) for (const fd of this.#given) if (fstatSync(fd).isFIFO()) fchownSync(fd, uid, gid);
  }

  async #openOutput(name: 'stdout' | 'stderr', target: string): Promise<void> {
    if (!target) return;
    const file = fileOf(target);
    if (file !== undefined) {
      mkdirSync(dirname(file), { recursive: true, mode: 0o755 });
      // Should it be a FIFO that nobody reads, this fails, where a blocking open would stop the whole shim.
      setNonblock(this.#fds.add(name, openSync(file, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK, 0o644)), false);
      return;
    }
    const output = await openOutput(target);
    this.#fds.add(name, output.writer);
    if (output.keeper !== undefined) this.#fds.add(`${name}-keeper`, output.keeper);
  }
}

/** The path in a `file://` URI, or undefined for a FIFO's plain path. */
function fileOf(target: string): string | undefined {
  return target.startsWith('file://') ? decodeURIComponent(new URL(target).pathname) : undefined;
}
