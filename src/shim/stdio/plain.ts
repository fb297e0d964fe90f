/**
 * Stdio without a terminal. The process has pipes, and nothing that has a name on the host: what it may do to its streams it
 * does to those. The shim moves what is in them to where the client says, and the end of a pipe is that of all who wrote to
 * it in the container. A logger has the other end of the process's own pipe for standard output. Standard error always has
 * one of its own, as a runtime has it too, and complains there of a create or exec that fails, in words that are none of the
 * container's. Input: who opens /dev/stdin when all has been written finds it and its end there, while a FIFO would make it
 * wait for a writer that never comes.
 */
import { closeSync, fchownSync, fstatSync } from 'node:fs';
import { copyOf, isHungUp, makePipe, setNonblock } from '../../sys/index.js';
import { beingRead } from './being-read.js';
import { Copies } from './copies.js';
import { Descriptors } from './descriptors.js';
import { startFeed, type Feed } from './feed.js';
import { openInput, openKeeper } from './fifo.js';
import { Held } from './held.js';
import { openNowhere } from './nowhere.js';
import { Pump } from './pump.js';
import { CountingSink, DescriptorSink } from './sink.js';
import { CannotRest, type Copied, type Found, type Leaving } from '../worker/leaving.js';
import { closeTargets, openTargets, restTargets, resumeTargets, type Target, type Targets } from './target.js';
import type { RestingStdio, Stdio, StdioObserver, StdioRequest, StreamName } from './types.js';

const STREAMS: readonly StreamName[] = ['stdout', 'stderr'];

export class PlainStdio implements Stdio {
  readonly consoleSocket = undefined;
  /** `NAME` is the process's, `NAME-shim` the shim's end of a pipe between them; stdin has the client's ends too. */
  readonly #fds: Descriptors;
  readonly #copies: Copies;
  #targets: Targets = new Map();
  #given: number[] = [];
  /** While streams are opened, one of them that goes nowhere. */
  #null: number | undefined;
  #input: Feed | undefined;
  /** Read for the sake of who writes to it: streams that go nowhere, of a container without a /dev/null. */
  readonly #lost = new Map<StreamName, Pump>();
  /** What the runtime says in its process's standard error. */
  #held: Held | undefined;
  #stdinClosed = false;

  private constructor(
    private readonly request: StdioRequest,
    private readonly warn: (text: string) => void,
    private readonly observer: StdioObserver,
  ) {
    this.#fds = new Descriptors(observer.changes);
    this.#copies = new Copies(request.id, warn, observer.counters);
  }

  static async open(request: StdioRequest, warn: (text: string) => void, observer: StdioObserver): Promise<PlainStdio> {
    const stdio = new PlainStdio(request, warn, observer);
    try {
      await stdio.#open();
      return stdio;
    } catch (error) {
      await stdio.close();
      throw error;
    }
  }

  /** Goes on with what another process has left. */
  static resume(
    request: StdioRequest,
    warn: (text: string) => void,
    observer: StdioObserver,
    { descriptors, copying, input, targets, stdinClosed = false, isGiven = false, lost = [], nowhere }: RestingStdio,
    found: Found,
  ): PlainStdio {
    const stdio = new PlainStdio(request, warn, observer);
    stdio.#fds.addAll(found.all(descriptors));
    stdio.#targets = resumeTargets(targets, false, found, request, warn, observer);
    stdio.#stdinClosed = stdinClosed;
    for (const target of stdio.#targets.values()) stdio.#copies.add(target);
    for (const name of copying as StreamName[])
      stdio.#copies.resume(
        name,
        stdio.#fds.get(`${name}-shim`)!,
        stdio.#targets.get(name)!,
        () => stdio.#fds.close(`${name}-shim`),
        found.copied(descriptors[`${name}-shim`]!),
      );
    if (nowhere !== undefined) closeSync(found.fd(nowhere));
    for (const name of lost) {
      observer.counters.bytesCopied += found.copied(descriptors[`${name}-lost`]!).bytes;
      stdio.#lose(name);
    }
    if (input) stdio.#resumeFeed(found.copied(descriptors['stdin-client']!));
    if (isGiven) stdio.#given = [stdio.#fds.get('stdin')!, ...STREAMS.map((name) => stdio.#opened(name)!)];
    return stdio;
  }

  rest(leaving: Leaving): RestingStdio {
    const { id } = this.request;
    const lost = [...this.#lost.keys()];
    for (const pump of this.#lost.values())
      if (!leaving.isSudden && !pump.rest()) throw new CannotRest(`output of ${id} that goes nowhere is being read`);
    if (this.#given.length > 0) leaving.underWay(`${id} has not been made yet`);
    if (!leaving.isSudden && this.#input?.rest() === false) throw new CannotRest(`input of ${id} is under way`);
    const descriptors = leaving.keepAll(this.#fds.list());
    const { resting, into } = restTargets(this.#targets, leaving);
    const copying = this.#copies.rest(
      leaving,
      (name) => descriptors[`${name}-shim`]!,
      (name) => into(name as StreamName),
    );
    if (this.#input) leaving.copies(descriptors['stdin-client']!, { place: descriptors['stdin-shim']! });
    const nowhere = lost.length > 0 ? leaving.nowhere() : undefined;
    for (const name of lost) leaving.copies(descriptors[`${name}-lost`]!, nowhere);
    return {
      descriptors,
      copying,
      input: this.#input !== undefined,
      targets: resting,
      stdinClosed: this.#stdinClosed,
      isGiven: this.#given.length > 0,
      lost,
      nowhere: nowhere?.place,
    };
  }

  get given(): readonly number[] {
    return this.#given;
  }

  handedOver(): void {
    this.#given = [];
    this.#fds.close('stdin', ...STREAMS);
    for (const target of this.#targets.values()) if (target.direct !== undefined) target.handedOver();
    // A runtime must not be made to wait: not for what it says in its standard output, which is the process's, ...
    for (const name of this.#targets.keys()) if (name !== this.#complaints()) this.#startCopy(name);
    const source = this.#fds.get(`${this.#complaints()}-shim`);
    // ... nor where it says more in its standard error than can be held.
    if (source !== undefined) this.#held ??= new Held(source, () => this.#startCopy(this.#complaints()));
  }

  printed(): string {
    return this.#held?.take().toString() ?? '';
  }

  attach(): Promise<void> {
    for (const name of this.#targets.keys()) this.#startCopy(name);
    return Promise.resolve();
  }

  /** Which pipe a runtime has as its standard error. */
  #complaints(): StreamName {
    return this.#isShared ? 'stdout' : 'stderr';
  }

  get #isShared(): boolean {
    return this.#targets.has('stderr') && this.#targets.get('stderr') === this.#targets.get('stdout');
  }

  #startCopy(name: StreamName): void {
    const [source, target] = [this.#fds.get(`${name}-shim`), this.#targets.get(name)!];
    if (source === undefined) this.#copies.add(target);
    else if (!this.#copies.has(name))
      this.#copy(name, source, target, name === this.#complaints() ? this.#held?.take() : undefined);
  }

  #copy(name: StreamName, source: number, target: Target, first: Buffer | undefined): void {
    this.#copies.start(name, source, target, () => this.#fds.close(`${name}-shim`), first);
  }

  beforeStart(): void {
    const client = this.#fds.get('stdin-client');
    if (client === undefined || this.#input || this.#fds.get('stdin-keeper') !== undefined) return;
    // Hung up: the client has been there and has left. One that has yet to come is waited for.
    if (!this.#stdinClosed && fstatSync(client).isFIFO() && !isHungUp(client))
      this.#fds.add('stdin-keeper', openKeeper(client));
    this.#feed();
  }

  #resumeFeed({ held, bytes }: Copied): void {
    this.observer.counters.bytesCopied += bytes;
    this.#feed(held);
  }

  #feed(first?: Buffer): void {
    const [client, sink] = [this.#fds.get('stdin-client'), this.#fds.get('stdin-shim')];
    if (client === undefined || sink === undefined) return;
    const { counters } = this.observer;
    this.#input = startFeed(client, new DescriptorSink(sink), counters, () => this.#endInput(), first);
  }

  closeStdin(): void {
    this.#stdinClosed = true;
    this.#fds.close('stdin-keeper');
  }

  resize(): void {
    /* A process without a terminal has no size; asking is no error (contract §3.5). */
  }

  /** Others in the container may still write; its pipes end when the last of them is gone. Where none is left, nobody of it holds them. */
  processExited(noneLeft: boolean): void {
    this.#endInput();
    if (noneLeft) for (const name of this.#copies.names()) this.#copies.finish(name);
    for (const target of this.#targets.values()) target.processExited();
  }

  beingRead(): Promise<void> | undefined {
    return beingRead(() =>
      [...this.#targets.values()].reduce((sum, target) => sum + target.unread(), this.#copies.unread()),
    );
  }

  /** Who goes on writing in the background is waited for, but not one who has standard error alone, unless that is a file. */
  drained(timeoutMs: number): Promise<boolean> {
    if (!this.#isShared && this.#targets.get('stderr')?.kind !== 'file') this.#copies.finish('stderr');
    return this.#copies.drained(timeoutMs);
  }

  async close(): Promise<void> {
    this.#given = [];
    this.#endInput();
    this.#held?.stop();
    this.#copies.stopAll();
    for (const pump of this.#lost.values()) pump.stop();
    this.#fds.closeAll();
    await closeTargets(this.#targets);
  }

  describe(): Record<string, unknown> {
    return {
      kind: 'plain',
      descriptors: this.#fds.list(),
      copying: [...this.#copies.names(), ...(this.#input ? ['stdin'] : [])],
      targets: Object.fromEntries([...this.#targets].map(([name, target]) => [name, target.describe()])),
    };
  }

  async #open(): Promise<void> {
    const { stdin, uid, gid } = this.request;
    if (stdin) await this.#openInput(stdin);
    this.#targets = await openTargets(this.request, false, this.warn, this.observer);
    this.#given = [this.#fds.get('stdin') ?? this.#nowhere('stdin'), ...STREAMS.map((name) => this.#outputEnd(name))];
    this.#null = undefined;
    // Never a /dev/null.
    if (uid || gid) for (const fd of this.#given) if (fstatSync(fd).isFIFO()) fchownSync(fd, uid, gid);
  }

  async #openInput(path: string): Promise<void> {
    this.#fds.add('stdin-client', await openInput(path));
    const pipe = makePipe();
    this.#fds.add('stdin', pipe.read);
    setNonblock(this.#fds.add('stdin-shim', pipe.write), true);
  }

  #outputEnd(name: StreamName): number {
    const target = this.#targets.get(name);
    if (!target) return this.#nowhere(name);
    if (target.direct !== undefined) return target.direct;
    if (name === 'stderr' && this.#isShared) return this.#fds.get('stdout')!;
    const pipe = makePipe();
    setNonblock(this.#fds.add(`${name}-shim`, pipe.read), true);
    return this.#fds.add(name, pipe.write);
  }

  /** What the process is to have of an output that is open. */
  #opened(name: StreamName): number | undefined {
    const own = this.#fds.get(name) ?? this.#targets.get(name)?.direct;
    return own ?? (name === 'stderr' && this.#isShared ? this.#fds.get('stdout') : undefined);
  }

  #nowhere(name: 'stdin' | StreamName): number {
    // One is as good as the other: nobody finds anything there, or leaves anything.
    const nowhere = this.#null === undefined ? openNowhere(this.request.init) : copyOf(this.#null);
    if (nowhere !== undefined) return (this.#null = this.#fds.add(name, nowhere));
    const pipe = makePipe();
    if (name === 'stdin') {
      closeSync(pipe.write);
      return this.#fds.add(name, pipe.read);
    }
    setNonblock(this.#fds.add(`${name}-lost`, pipe.read), true);
    this.#lose(name);
    return this.#fds.add(name, pipe.write);
  }

  /** Reads it for as long as there is somebody who writes. */
  #lose(name: StreamName): void {
    const onEnd = (): void => {
      this.#lost.delete(name);
      this.#fds.close(`${name}-lost`);
    };
    const { counters } = this.observer;
    this.#lost.set(name, new Pump(this.#fds.get(`${name}-lost`)!, new CountingSink(), { counters, onEnd }));
  }

  /** The process finds the end of its input. What its client still writes stays in the FIFO, which is open until Delete. */
  #endInput(): void {
    if (!this.#input) return;
    this.#input.stop();
    this.#input = undefined;
    this.#fds.close('stdin-shim');
  }
}
