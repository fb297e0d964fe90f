/** A daemon of one's own, and hawser as a user has it: by its program, from a shell or at a terminal. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { execa, type Options, type Result } from 'execa';
import { Containerd, daemonProgram, makeImage, shimDir, top } from '../support/daemons.js';
import type { NetworkHost } from '../support/network-host.js';
import { patiently } from '../support/eventually.js';
import { Terminal } from '../support/terminal.js';

export const PROGRAM = join(top, 'bin/hawser');
const COMMAND_MS = patiently(60_000);

export class Lab {
  readonly env: Record<string, string>;

  private constructor(
    readonly daemon: Containerd,
    private readonly prefix: readonly string[] = [],
  ) {
    this.env = {
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      HOME: daemon.dir,
      TERM: 'xterm',
      CONTAINERD_ADDRESS: daemon.socket,
      CONTAINERD_NAMESPACE: daemon.namespace,
      HAWSER_DATA: join(daemon.dir, 'cli'),
      // Bridges are the host's: who tests networks has a host of their own.
      HAWSER_NETWORK: 'none',
      NETCONFPATH: join(daemon.dir, 'cni'),
    };
  }

  /** The daemon that the tests are run on, as for the client's, with our shim, unless others are named. */
  static async open(program = daemonProgram, shims = shimDir): Promise<Lab> {
    return new Lab(await new Containerd(shims, program).start());
  }

  /** In a network of its own, daemon and all, with docker's default network. */
  static async openInside(host: NetworkHost, program = daemonProgram, shims = shimDir): Promise<Lab> {
    const lab = new Lab(await new Containerd(shims, host.program(program)).start(), host.prefix);
    delete lab.env.HAWSER_NETWORK;
    return lab;
  }

  get rootfs(): string {
    return this.daemon.rootfs;
  }

  /** An archive of an image called docker.io/library/box:latest. */
  image(): Promise<string> {
    return makeImage(this.daemon.dir, this.rootfs, 'docker.io/library/box:latest', ['/bin/echo', 'from the image']);
  }

  /** Runs hawser and gives whatever comes of it. Standard input is empty unless given. */
  async hawser(args: readonly string[], options: Options = {}): Promise<Result<{ encoding: 'utf8' }>> {
    const [file = PROGRAM, ...before] = [...this.prefix, PROGRAM];
    return (await execa(file, [...before, ...args], {
      ...(options.input === undefined && options.stdin === undefined ? { stdin: 'ignore' } : {}),
      timeout: COMMAND_MS,
      killSignal: 'SIGKILL',
      reject: false,
      env: this.env,
      extendEnv: false,
      cwd: '/',
      ...options,
    } as Options)) as unknown as Result<{ encoding: 'utf8' }>;
  }

  /** What it prints; fails when it does. */
  async ok(args: readonly string[], options: Options = {}): Promise<string> {
    const { stdout, stderr, exitCode, signal } = await this.hawser(args, options);
    if (exitCode !== 0)
      throw new Error(
        `hawser ${args.join(' ')} ended with ${exitCode ?? signal}: ${stderr}\n${this.daemon.logText().split('\n').slice(-20).join('\n')}`,
      );
    return stdout;
  }

  /** `hawser run` with the root file system. */
  run(flags: readonly string[], command: readonly string[], options: Options = {}): ReturnType<Lab['hawser']> {
    return this.hawser(['run', ...flags, '--rootfs', this.rootfs, ...command], options);
  }

  /** `hawser run -d`, by name. */
  async start(name: string, script: string, flags: readonly string[] = []): Promise<void> {
    await this.ok(['run', '-d', '--name', name, ...flags, '--rootfs', this.rootfs, '/bin/sh', '-c', script]);
  }

  /** At a terminal. */
  terminal(args: readonly string[], size: { cols?: number; rows?: number } = {}): Terminal {
    return new Terminal(
      '/usr/bin/env',
      ['-i', ...Object.entries(this.env).map(([name, value]) => `${name}=${value}`), PROGRAM, ...args],
      size,
    );
  }

  async removeAll(): Promise<void> {
    const ids = (await this.ok(['ps', '-aq', '--no-trunc'])).split('\n').filter(Boolean);
    if (ids.length > 0) await this.ok(['rm', '-f', ...ids]);
  }

  async close(): Promise<void> {
    try {
      await this.removeAll();
    } finally {
      await this.daemon.cleanUp();
    }
  }
}

/** The fields of a tty's settings, as stty shows them. */
export function ttySettings(path: string): string {
  return execFileSync('stty', ['-F', path, '-a'], { encoding: 'utf8' });
}
