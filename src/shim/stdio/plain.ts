/**
 * Stdio without a terminal. Where it can be, output is zero-copy: the process gets the client's own FIFOs, its log file, or
 * its logger's pipe, and no byte passes through the shim, which only keeps an end of each open. Where it cannot, the process
 * gets a pipe and the shim copies, as the Go shim always does: for a log file that is rotated; and for everything where a
 * security label forbids the process what is the client's. Input always comes by a pipe: who opens /dev/stdin when all has
 * been written finds it and its end there, while a FIFO would make it wait for a writer that never comes.
 */
import { constants, fchownSync, fstatSync, openSync } from 'node:fs';
import { isHungUp, makePipe, setNonblock } from '../../sys/index.js';
import { beingRead } from './being-read.js';
import { Copies } from './copies.js';
import { Descriptors } from './descriptors.js';
import { openInput, openKeeper } from './fifo.js';
import { Pump } from './pump.js';
import { closeTargets, openTargets, type Targets } from './target.js';
import type { Stdio, StdioRequest, StreamName } from './types.js';

const STREAMS: readonly StreamName[] = ['stdout', 'stderr'];

export class PlainStdio implements Stdio {
  readonly consoleSocket = undefined;
  /** `NAME` is the process's, `NAME-shim` the shim's end of a pipe between them; stdin has the client's ends too. */
  readonly #fds = new Descriptors();
  readonly #copies: Copies;
  #targets: Targets = new Map();
  #given: number[] = [];
  #input: Pump | undefined;
  #stdinClosed = false;

  private constructor(private readonly request: StdioRequest, private readonly copying: boolean, private readonly warn: (text: string) => void) {
    this.#copies = new Copies(request.id, warn);
  }

  /** @param copying the process may have nothing that is the client's */
  static async open(request: StdioRequest, copying: boolean, warn: (text: string) => void): Promise<PlainStdio> {
    const stdio = new PlainStdio(request, copying, warn);
    try {
      await stdio.#open();
      return stdio;
    } catch (error) {
      await stdio.close();
      throw error;
    }
  }

  get given(): readonly number[] { return this.#given; }

  handedOver(): void {
    this.#given = [];
    this.#fds.close('stdin', ...STREAMS);
    for (const target of this.#targets.values()) if (target.direct !== undefined) target.handedOver();
  }

  attach(): Promise<void> {
    for (const [name, target] of this.#targets) {
      const source = this.#fds.get(`${name}-shim`);
      if (source === undefined) this.#copies.add(target);
      else if (!this.#copies.has(name)) this.#copies.start(name, source, target, () => this.#fds.close(`${name}-shim`));
    }
    return Promise.resolve();
  }

  beforeStart(): void {
    const observer = this.#fds.get('stdin-observer');
    if (observer === undefined || this.#input || this.#fds.get('stdin-keeper') !== undefined) return;
    // Hung up: the client has been there and has left. One that has yet to come is waited for.
    if (!this.#stdinClosed && !isHungUp(observer)) this.#fds.add('stdin-keeper', openKeeper(observer));
    const [source, sink] = [this.#fds.get('stdin-client'), this.#fds.get('stdin-shim')];
    if (source !== undefined && sink !== undefined) this.#input = new Pump(source, sink, { onEnd: () => this.#endInput() });
  }

  closeStdin(): void {
    this.#stdinClosed = true;
    this.#fds.close('stdin-keeper');
  }

  resize(): void { /* A process without a terminal has no size; asking is no error (contract §3.5). */ }

  /** Others in the container may still write; its pipes end when the last of them is gone. */
  processExited(): void {
    this.#endInput();
    for (const target of this.#targets.values()) target.processExited();
  }

  beingRead(): Promise<void> | undefined {
    return beingRead(() => [...this.#targets.values()].reduce((sum, target) => sum + target.unread(), 0));
  }

  drained(timeoutMs: number): Promise<boolean> {
    return this.#copies.drained(timeoutMs);
  }

  async close(): Promise<void> {
    this.#given = [];
    this.#endInput();
    this.#copies.stopAll();
    this.#fds.closeAll();
    await closeTargets(this.#targets);
  }

  describe(): Record<string, unknown> {
    return {
      kind: 'plain', descriptors: this.#fds.list(), copying: [...this.#copies.names(), ...(this.#input ? ['stdin'] : [])],
      targets: Object.fromEntries([...this.#targets].map(([name, target]) => [name, target.describe()])),
    };
  }

  async #open(): Promise<void> {
    const { stdin, uid, gid } = this.request;
    if (stdin) await this.#openInput(stdin);
    this.#targets = await openTargets(this.request, this.copying, this.warn);
    this.#given = [this.#fds.get('stdin') ?? this.#nowhere('stdin'), ...STREAMS.map((name) => this.#outputEnd(name))];
    // Only what is the client's and made for this, and our pipes: never the host's /dev/null, nor somebody's log file.
    if (uid || gid) for (const fd of this.#given) if (fstatSync(fd).isFIFO()) fchownSync(fd, uid, gid);
  }

  async #openInput(path: string): Promise<void> {
    const input = await openInput(path);
    this.#fds.add('stdin-observer', input.observer);
    // What is no FIFO cannot be watched, and is at its end when it is.
    if (!fstatSync(input.reader).isFIFO()) {
      setNonblock(this.#fds.add('stdin', input.reader), false);
      return;
    }
    this.#fds.add('stdin-client', input.reader);
    const pipe = makePipe();
    this.#fds.add('stdin', pipe.read);
    setNonblock(this.#fds.add('stdin-shim', pipe.write), true);
  }

  #outputEnd(name: StreamName): number {
    const target = this.#targets.get(name);
    if (!target) return this.#nowhere(name);
    if (target.direct !== undefined) return target.direct;
    const pipe = makePipe();
    setNonblock(this.#fds.add(`${name}-shim`, pipe.read), true);
    return this.#fds.add(name, pipe.write);
  }

  #nowhere(name: string): number {
    return this.#fds.add(name, openSync('/dev/null', constants.O_RDWR));
  }

  /** The process finds the end of its input. What its client still writes stays in the FIFO, which is open until Delete. */
  #endInput(): void {
    if (!this.#input) return;
    this.#input.stop();
    this.#input = undefined;
    this.#fds.close('stdin-shim', 'stdin-client');
  }
}
