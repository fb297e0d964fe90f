/** A person at a terminal: runs a program on a real pty, types, and looks at what it shows. */
import { spawn, type IPty } from '@lydell/node-pty';
import { patiently } from './eventually.js';

const BOUND_MS = patiently(30_000);

export class Terminal {
  #screen = '';
  #seen = 0;
  #exit: { exitCode: number } | undefined;
  #changed: (() => void)[] = [];
  readonly #pty: IPty;

  constructor(file: string, args: string[], options: { cols?: number; rows?: number } = {}) {
    this.#pty = spawn(file, args, {
      cols: options.cols ?? 80,
      rows: options.rows ?? 24,
      env: { PATH: process.env.PATH ?? '', TERM: 'xterm' },
    });
    this.#pty.onData((data) => {
      this.#screen += data;
      this.#wake();
    });
    this.#pty.onExit((exit) => {
      this.#exit = exit;
      this.#wake();
    });
  }

  /** Everything shown so far. */
  get screen(): string {
    return this.#screen;
  }

  type(text: string): void {
    this.#pty.write(text);
  }

  resize(cols: number, rows: number): void {
    this.#pty.resize(cols, rows);
  }

  /** Waits until what has been shown since the last match matches; returns the match. */
  async shows(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#until(`${String(pattern)} to show`, () => {
      const match = pattern.exec(this.#screen.slice(this.#seen));
      if (match) this.#seen += match.index + match[0].length;
      return match ?? undefined;
    });
  }

  /** Asks the shell in it for the terminal's size until it is that: clients set it when the shell runs already. */
  async showsSize(columns: number, rows: number): Promise<void> {
    for (const deadline = Date.now() + BOUND_MS; Date.now() < deadline;) {
      this.type('stty size\r');
      const [, answer] = await this.shows(/\n(\d+ \d+|stty: [^\r]+)\r/);
      if (answer === `${rows} ${columns}`) return;
    }
    throw new Error(`the terminal did not become ${columns} by ${rows}; it shows:\n${this.#screen}`);
  }

  /** Waits for the program's end; returns its exit code. */
  async ends(): Promise<number> {
    return (await this.#until('the program to end', () => this.#exit)).exitCode;
  }

  kill(): void {
    if (!this.#exit) this.#pty.kill('SIGKILL');
  }

  #wake(): void {
    for (const wake of this.#changed.splice(0)) wake();
  }

  async #until<T>(what: string, look: () => T | undefined): Promise<T> {
    const deadline = Date.now() + BOUND_MS;
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`waited in vain for ${what}; the terminal shows:\n${this.#screen}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#changed.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }
}
