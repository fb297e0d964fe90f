/**
 * Stdio without a terminal where the client's FIFOs cannot be the process's own: a security label would forbid it to use
 * them. The process gets pipes, and the shim copies, as the Go shim always does.
 */
import { fchownSync } from 'node:fs';
import { isHungUp, makePipe, setNonblock } from '../../sys/index.js';
import { Descriptors } from './descriptors.js';
import { openInput, openKeeper, openOutput } from './fifo.js';
import { Pump } from './pump.js';
import type { Stdio, StdioRequest } from './types.js';

const OUTPUTS = ['stdout', 'stderr'] as const;

export class PipedStdio implements Stdio {
  readonly consoleSocket = undefined;
  readonly #fds = new Descriptors();
  readonly #pumps = new Map<string, Pump>();
  #stdinClosed = false;
  #waiters: (() => void)[] = [];

  private constructor(private readonly request: StdioRequest, private readonly warn: (text: string) => void) {}

  static async open(request: StdioRequest, warn: (text: string) => void): Promise<PipedStdio> {
    const stdio = new PipedStdio(request, warn);
    try {
      await stdio.#open();
      return stdio;
    } catch (error) {
      await stdio.close();
      throw error;
    }
  }

  get given(): readonly number[] {
    return ['stdin', ...OUTPUTS].map((name) => this.#fds.get(`${name}-process`)).filter((fd) => fd !== undefined);
  }

  handedOver(): void {
    this.#fds.close('stdin-process', 'stdout-process', 'stderr-process');
  }

  beforeStart(): void {
    const observer = this.#fds.get('stdin-client');
    if (observer === undefined || this.#pumps.has('stdin')) return;
    if (!this.#stdinClosed && !isHungUp(observer)) this.#fds.add('stdin-keeper', openKeeper(observer));
    this.#pump('stdin', observer, this.#fds.get('stdin-shim')!);
  }

  attach(): Promise<void> {
    for (const name of OUTPUTS) {
      const [source, sink] = [this.#fds.get(`${name}-shim`), this.#fds.get(`${name}-client`)];
      if (source !== undefined && sink !== undefined) this.#pump(name, source, sink);
    }
    return Promise.resolve();
  }

  closeStdin(): void {
    this.#stdinClosed = true;
    this.#fds.close('stdin-keeper');
  }

  resize(): void { /* No terminal, no size. */ }

  /** Others in the container may still write; the pipes end when the last of them is gone. */
  processExited(): void { this.#ended('stdin'); }

  drained(timeoutMs: number): Promise<boolean> {
    if (!OUTPUTS.some((name) => this.#pumps.has(name))) return Promise.resolve(true);
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), timeoutMs);
      this.#waiters.push(() => {
        clearTimeout(timer);
        resolve(true);
      });
    });
  }

  close(): Promise<void> {
    for (const name of [...this.#pumps.keys()]) this.#ended(name);
    this.#fds.closeAll();
    return Promise.resolve();
  }

  describe(): Record<string, unknown> {
    return { kind: 'piped', descriptors: this.#fds.list(), copying: [...this.#pumps.keys()] };
  }

  async #open(): Promise<void> {
    const { stdin, uid, gid } = this.request;
    for (const name of OUTPUTS) {
      const output = await openOutput(this.request[name] || '/dev/null', { nonblocking: true });
      this.#fds.add(`${name}-client`, output.writer);
      if (output.keeper !== undefined) this.#fds.add(`${name}-keeper`, output.keeper);
      const pipe = makePipe();
      setNonblock(this.#fds.add(`${name}-shim`, pipe.read), true);
      this.#fds.add(`${name}-process`, pipe.write);
    }
    if (stdin) this.#fds.add('stdin-client', (await this.#openStdin(stdin)));
    const pipe = makePipe();
    this.#fds.add('stdin-process', pipe.read);
    setNonblock(this.#fds.add('stdin-shim', pipe.write), true);
    // Without a client the process finds the end at once.
    if (!stdin) this.#fds.close('stdin-shim');
    if (uid || gid) for (const fd of this.given) fchownSync(fd, uid, gid);
  }

  async #openStdin(path: string): Promise<number> {
    const { observer, reader } = await openInput(path, { nonblocking: true });
    this.#fds.add('stdin-observer', observer);
    return reader;
  }

  #pump(name: string, source: number, sink: number): void {
    this.#pumps.set(name, new Pump(source, sink, {
      onEnd: () => this.#ended(name),
      onSinkError: (error) => this.warn(`${name} of ${this.request.id} is dropped from now on: ${error.message}`),
    }));
  }

  /** At once: clients wait for the end of the output before they delete (contract §6.6). */
  #ended(name: string): void {
    this.#pumps.get(name)?.stop();
    this.#pumps.delete(name);
    this.#fds.close(`${name}-shim`, `${name}-client`, `${name}-keeper`);
    if (OUTPUTS.some((output) => this.#pumps.has(output))) return;
    for (const wake of this.#waiters.splice(0)) wake();
  }
}
