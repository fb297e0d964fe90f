/** Stdio with a terminal: the runtime sends its master, and the shim copies between it and where the client says. */
import { fstatSync } from 'node:fs';
import { ConsoleSocket } from '../../runc/index.js';
import { openTerminalPeer, setNonblock, setWindowSize } from '../../sys/index.js';
import { Copies } from './copies.js';
import { Descriptors } from './descriptors.js';
import { startFeed, type Feed } from './feed.js';
import { openBothEnds, openInput, openKeeper } from './fifo.js';
import { DescriptorSink } from './sink.js';
import { CannotRest, type Copied, type Found, type Leaving } from '../worker/leaving.js';
import { closeTargets, openTargets, restTargets, resumeTargets, type Targets } from './target.js';
import type { RestingStdio, Stdio, StdioObserver, StdioRequest } from './types.js';

/** How long the runtime may take to send the master after it said that the process exists (contract appendix B). */
const MASTER_TIMEOUT_MS = 30_000;

export class TerminalStdio implements Stdio {
  readonly given = undefined;
  readonly #fds: Descriptors;
  readonly #console = new ConsoleSocket();
  readonly #copies: Copies;
  #targets: Targets = new Map();
  #input: Feed | undefined;
  #exited = false;
  #size: [number, number] | undefined;

  private constructor(
    private readonly request: StdioRequest,
    private readonly warn: (text: string) => void,
    private readonly observer: StdioObserver,
  ) {
    this.#fds = new Descriptors(observer.changes);
    this.#copies = new Copies(request.id, warn, observer.counters);
  }

  /** Opens the client's FIFOs; the terminal itself comes with attach(). */
  static async open(
    request: StdioRequest,
    warn: (text: string) => void,
    observer: StdioObserver,
  ): Promise<TerminalStdio> {
    const stdio = new TerminalStdio(request, warn, observer);
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
    { descriptors, copying, input, targets, exited = false, size }: RestingStdio,
    found: Found,
  ): TerminalStdio {
    const stdio = new TerminalStdio(request, warn, observer);
    stdio.#console.close();
    stdio.#fds.addAll(found.all(descriptors));
    stdio.#targets = resumeTargets(targets, true, found, request, warn, observer);
    stdio.#exited = exited;
    stdio.#size = size && [...size];
    const master = stdio.#fds.get('master');
    if (master === undefined) return stdio;
    const target = stdio.#targets.get('stdout');
    if (copying.length > 0 && target)
      stdio.#copies.resume('output', master, target, () => stdio.#closeMaster(), found.copied(descriptors.master!));
    if (input) stdio.#resumeFeed(master, found.copied(descriptors.stdin!));
    return stdio;
  }

  rest(leaving: Leaving): RestingStdio {
    if (!leaving.isSudden && this.#input?.rest() === false)
      throw new CannotRest(`input of ${this.request.id} is under way`);
    const descriptors = leaving.keepAll(this.#fds.list());
    const { resting, into } = restTargets(this.#targets, leaving);
    const copying = this.#copies.rest(
      leaving,
      () => descriptors.master!,
      () => into('stdout'),
    );
    if (this.#input) leaving.copies(descriptors.stdin!, { place: descriptors.master! });
    return {
      descriptors,
      copying,
      input: this.#input !== undefined,
      targets: resting,
      exited: this.#exited,
      size: this.#size,
    };
  }

  get consoleSocket(): string {
    return this.#console.path;
  }

  handedOver(): void {
    /* The runtime is given nothing of ours. */
  }

  /** What it prints is its own. */
  printed(): string {
    return '';
  }

  beforeStart(): void {
    /* A terminal without input is still one to look at. */
  }

  async attach(): Promise<void> {
    const master = this.#fds.add(
      'master',
      await this.observer.waits.for('terminal', this.request.id, this.#console.receive(MASTER_TIMEOUT_MS)),
    );
    this.#console.close();
    setNonblock(master, true);
    this.#keepPeer(master);
    if (this.#size) setWindowSize(master, ...this.#size);
    this.#copyOutput(master);
    this.#feed(master);
    if (this.#exited) this.processExited();
  }

  #copyOutput(master: number): void {
    const target = this.#targets.get('stdout');
    if (target) this.#copies.start('output', master, target, () => this.#closeMaster());
  }

  #resumeFeed(master: number, { held, bytes }: Copied): void {
    this.observer.counters.bytesCopied += bytes;
    this.#feed(master, held);
  }

  #feed(master: number, first?: Buffer): void {
    const stdin = this.#fds.get('stdin');
    const { counters } = this.observer;
    if (stdin !== undefined)
      this.#input = startFeed(stdin, new DescriptorSink(master, true), counters, () => this.#inputEnded(), first);
  }

  closeStdin(): void {
    this.#fds.close('stdin-keeper');
  }

  resize(columns: number, rows: number): void {
    this.#size = [columns, rows];
    const master = this.#fds.get('master');
    if (master !== undefined) setWindowSize(master, columns, rows);
  }

  processExited(): void {
    this.#exited = true;
    this.#stopInput();
    for (const target of this.#targets.values()) target.processExited();
    if (this.#copies.has('output')) this.#copies.finish('output');
    else this.#closeMaster();
  }

  /** What a terminal still has to give is copied; its client is told the end when it has it all. */
  beingRead(): undefined {
    return undefined;
  }

  drained(timeoutMs: number): Promise<boolean> {
    return this.#copies.drained(timeoutMs);
  }

  async close(): Promise<void> {
    this.#stopInput();
    this.#copies.stopAll();
    this.#console.close();
    this.#fds.closeAll();
    await closeTargets(this.#targets);
  }

  describe(): Record<string, unknown> {
    return {
      kind: 'terminal',
      descriptors: this.#fds.list(),
      exited: this.#exited,
      copying: this.#copies.names(),
      targets: Object.fromEntries([...this.#targets].map(([name, target]) => [name, target.describe()])),
    };
  }

  async #open(): Promise<void> {
    const { stdin, stdout, stderr } = this.request;
    if (stdin) {
      const input = this.#fds.add('stdin', await openInput(stdin));
      if (fstatSync(input).isFIFO()) this.#fds.add('stdin-keeper', openKeeper(input));
    }
    this.#targets = await openTargets(
      { ...this.request, stdout: stdout || '/dev/null' },
      true,
      this.warn,
      this.observer,
    );
    this.#openUnused(stderr);
  }

  /**
   * Nothing will come by it, and Go's client names a FIFO that it never makes; but one that has been made may have a client
   * that waits, with its open too, for the end. Having both ends open waits for nobody.
   */
  #openUnused(stderr: string): void {
    if (!stderr.startsWith('/')) return;
    try {
      const both = openBothEnds(stderr);
      if (both !== undefined) this.#fds.add('stderr', both);
    } catch (error) {
      this.warn(
        `stderr of ${this.request.id}: a terminal has no use for ${stderr}, which cannot be opened: ${(error as Error).message}`,
      );
    }
  }

  /**
   * While a slave end is open somewhere, an empty master reads as EAGAIN. Without this one a container that closes its
   * terminal for a while would make it EIO, which polls as ready for ever.
   */
  #keepPeer(master: number): void {
    try {
      this.#fds.add('peer', openTerminalPeer(master));
    } catch (error) {
      this.warn(
        `terminal of ${this.request.id}: ${(error as Error).message}; falling back to polling when it is closed`,
      );
    }
  }

  /** The end of stdin does not hang the terminal up: output that is still to come would be lost (contract §8, 52). */
  #inputEnded(): void {
    this.#stopInput();
  }

  #stopInput(): void {
    this.#input?.stop();
    this.#input = undefined;
    this.#fds.close('stdin', 'stdin-keeper');
  }

  #closeMaster(): void {
    this.#fds.close('master', 'peer', 'stderr');
  }
}
