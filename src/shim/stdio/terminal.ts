/** Stdio with a terminal: the runtime sends its master, and the shim copies between it and the client's FIFOs. */
import { ConsoleSocket } from '../../runc/index.js';
import { copyDescriptor, openTerminalPeer, setNonblock, setWindowSize } from '../../sys/index.js';
import { Descriptors } from './descriptors.js';
import { openInput, openKeeper, openOutput } from './fifo.js';
import { Pump } from './pump.js';
import type { Stdio, StdioRequest } from './types.js';

/** How long the runtime may take to send the master after it said that the process exists (contract appendix B). */
const MASTER_TIMEOUT_MS = 30_000;

export class TerminalStdio implements Stdio {
  readonly given = undefined;
  readonly #fds = new Descriptors();
  readonly #console = new ConsoleSocket();
  #output: Pump | undefined;
  #input: Pump | undefined;
  #exited = false;
  #ended = false;
  #waiters: (() => void)[] = [];
  #size: [number, number] | undefined;

  private constructor(private readonly request: StdioRequest, private readonly warn: (text: string) => void) {}

  /** Opens the client's FIFOs; the terminal itself comes with attach(). */
  static async open(request: StdioRequest, warn: (text: string) => void): Promise<TerminalStdio> {
    const stdio = new TerminalStdio(request, warn);
    try {
      await stdio.#open();
      return stdio;
    } catch (error) {
      await stdio.close();
      throw error;
    }
  }

  get consoleSocket(): string { return this.#console.path; }

  handedOver(): void { /* The runtime is given nothing of ours. */ }

  beforeStart(): void { /* A terminal without input is still one to look at. */ }

  async attach(): Promise<void> {
    const master = this.#fds.add('master', await this.#console.receive(MASTER_TIMEOUT_MS));
    this.#console.close();
    setNonblock(master, true);
    this.#keepPeer(master);
    if (this.#size) setWindowSize(master, ...this.#size);
    const stdout = this.#fds.get('stdout');
    if (stdout !== undefined) {
      this.#output = new Pump(master, stdout, {
        onEnd: () => this.#outputEnded(),
        onSinkError: (error) => this.warn(`output of ${this.request.id} is dropped from now on: ${error.message}`),
      });
    }
    const stdin = this.#fds.get('stdin');
    if (stdin !== undefined) {
      // Its own number, as the loop keeps one watch for each.
      const sink = this.#fds.add('master-input', copyDescriptor(master));
      this.#input = new Pump(stdin, sink, { onEnd: () => this.#inputEnded() });
    }
    if (this.#exited) this.processExited();
  }

  closeStdin(): void { this.#fds.close('stdin-keeper'); }

  resize(columns: number, rows: number): void {
    this.#size = [columns, rows];
    const master = this.#fds.get('master');
    if (master !== undefined) setWindowSize(master, columns, rows);
  }

  processExited(): void {
    this.#exited = true;
    this.#stopInput();
    if (this.#output) this.#output.finish();
    else this.#outputEnded();
  }

  drained(timeoutMs: number): Promise<boolean> {
    if (this.#ended || !this.#output) return Promise.resolve(true);
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), timeoutMs);
      this.#waiters.push(() => {
        clearTimeout(timer);
        resolve(true);
      });
    });
  }

  close(): Promise<void> {
    this.#stopInput();
    this.#output?.stop();
    this.#outputEnded();
    this.#console.close();
    this.#fds.closeAll();
    return Promise.resolve();
  }

  describe(): Record<string, unknown> {
    return { kind: 'terminal', descriptors: this.#fds.list(), exited: this.#exited, drained: this.#ended };
  }

  async #open(): Promise<void> {
    const { stdin, stdout } = this.request;
    if (stdin) {
      const input = await openInput(stdin, { nonblocking: true });
      this.#fds.add('stdin', input.reader);
      this.#fds.add('stdin-observer', input.observer);
      this.#fds.add('stdin-keeper', openKeeper(input.observer));
    }
    const output = await openOutput(stdout || '/dev/null', { nonblocking: true });
    this.#fds.add('stdout', output.writer);
    if (output.keeper !== undefined) this.#fds.add('stdout-keeper', output.keeper);
  }

  /**
   * While a slave end is open somewhere, an empty master reads as EAGAIN. Without this one a container that closes its
   * terminal for a while would make it EIO, which polls as ready for ever.
   */
  #keepPeer(master: number): void {
    try {
      this.#fds.add('peer', openTerminalPeer(master));
    } catch (error) {
      this.warn(`terminal of ${this.request.id}: ${(error as Error).message}; falling back to polling when it is closed`);
    }
  }

  /** The end of stdin does not hang the terminal up: output that is still to come would be lost (contract §8, 52). */
  #inputEnded(): void {
    this.#stopInput();
  }

  #stopInput(): void {
    this.#input?.stop();
    this.#input = undefined;
    this.#fds.close('stdin', 'stdin-keeper', 'stdin-observer', 'master-input');
  }

  /** At once, not at Delete: clients wait for the end of the output before they delete (contract §6.6). */
  #outputEnded(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#output?.stop();
    this.#fds.close('stdout', 'stdout-keeper', 'master', 'peer');
    for (const wake of this.#waiters.splice(0)) wake();
  }
}
