/**
 * A network like a host's for a daemon and its containers, so that no bridge, rule or setting of the machine's is touched: a network namespace
 * that a sleeping process holds.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { execa } from 'execa';
import { eventually } from './eventually.js';

export class NetworkHost {
  readonly dir = mkdtempSync(join(tmpdir(), 'hawser-host-'));

  private constructor(private readonly holder: ChildProcess) {}

  static async open(): Promise<NetworkHost> {
    const holder = spawn('unshare', ['--net', 'sh', '-c', 'ip link set lo up && exec sleep infinity'], {
      stdio: 'ignore',
    });
    const host = new NetworkHost(holder);
    await eventually('its loopback', async () => (await host.run('ip', '-br', 'address')).includes('127.0.0.1'));
    return host;
  }

  /** What to put before a command. */
  get prefix(): string[] {
    return ['nsenter', `--net=/proc/${this.holder.pid ?? 0}/ns/net`, '--'];
  }

  /** A program of the same name that runs there. */
  program(path: string): string {
    const file = join(this.dir, basename(path));
    writeFileSync(file, `#!/bin/sh\nexec ${this.prefix.join(' ')} ${path} "$@"\n`, { mode: 0o755 });
    return file;
  }

  /** What a command prints there; empty when it fails. */
  async run(...command: string[]): Promise<string> {
    const [file = '', ...args] = [...this.prefix, ...command];
    const { stdout, exitCode } = await execa(file, args, { reject: false, stdin: 'ignore' });
    return exitCode === 0 ? stdout : '';
  }

  /** What containers have there: ends of their interfaces, and rules that name a container. */
  async traces(name: string): Promise<string[]> {
    const links = (await this.run('ip', '-br', 'link')).split('\n').filter((line) => /^veth/.test(line));
    const rules = (await this.run('iptables-save')).split('\n').filter((line) => line.includes(name));
    return [...links, ...rules];
  }

  close(): void {
    this.holder.kill('SIGKILL');
    rmSync(this.dir, { recursive: true, force: true });
  }
}
