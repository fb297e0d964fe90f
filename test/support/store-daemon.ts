/** hawserd with directories of its own, and ctr for it. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { execa, type Options, type Result } from 'execa';
import { eventually } from './eventually.js';
import { workDirectory } from './records.js';

const MAIN = fileURLToPath(new URL('../../src/daemon/main.ts', import.meta.url));
const COMMAND_MS = 60_000;

export class StoreDaemon {
  #process: ChildProcess | undefined;

  constructor(readonly dir: string) {}

  /** One that ends with the test, its directories with it. */
  static async start(t: TestContext): Promise<StoreDaemon> {
    const dir = workDirectory();
    const daemon = new StoreDaemon(dir);
    // Hooks run in the order in which they were set: the directory must not go first.
    t.after(() => daemon.kill('SIGTERM'));
    await daemon.start();
    return daemon;
  }

  get socket(): string {
    return join(this.dir, 'hawserd.sock');
  }

  get log(): string {
    return readFileSync(join(this.dir, 'log'), 'utf8');
  }

  async start(): Promise<void> {
    const log = openSync(join(this.dir, 'log'), 'a');
    const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
    this.#process = spawn(
      process.execPath,
      [
        '--import',
        'tsx',
        MAIN,
        '--root',
        join(this.dir, 'root'),
        '--state',
        join(this.dir, 'state'),
        '--address',
        this.socket,
      ],
      { stdio: ['ignore', log, log], env },
    );
    closeSync(log);
    await eventually(
      'hawserd to answer',
      async () => existsSync(this.socket) && (await this.ctr(['version'], { reject: false })).exitCode === 0,
    );
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    if (child?.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }

  /** Runs ctr, this machine's unless a path is given. */
  ctr(
    args: readonly string[],
    { program = 'ctr', ...options }: Options & { reject?: boolean; program?: string } = {},
  ): Promise<Result<{ encoding: 'utf8' }>> {
    return execa(program, ['-a', this.socket, ...args], {
      stdin: 'ignore',
      timeout: COMMAND_MS,
      killSignal: 'SIGKILL',
      env: { CONTAINERD_SUPPRESS_DEPRECATION_WARNINGS: '1' },
      ...options,
    } as Options) as unknown as Promise<Result<{ encoding: 'utf8' }>>;
  }

  /** The lines of a table that ctr prints, without its heading, as words. */
  async table(...args: string[]): Promise<string[][]> {
    const { stdout } = await this.ctr(args);
    return stdout
      .split('\n')
      .slice(1)
      .filter(Boolean)
      .map((line) => line.split(/\s+/).filter(Boolean));
  }
}
