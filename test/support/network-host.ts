/**
 * A network like a host's for a daemon and its containers, so that no bridge, rule or setting of the machine's is touched: a network namespace
 * that a sleeping process holds. It has a way to another one, which knows nothing of the containers' addresses: all the world for them.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { execa } from 'execa';
import { eventually } from './eventually.js';

/** The host's address outside, and that of somebody there (RFC 5737). */
export const [HOST, WORLD] = ['198.51.100.2', '198.51.100.1'];

export class NetworkHost {
  readonly dir = mkdtempSync(join(tmpdir(), 'hawser-host-'));

  private constructor(
    private readonly holder: ChildProcess,
    private readonly world: ChildProcess,
  ) {}

  static async open(): Promise<NetworkHost> {
    const host = new NetworkHost(hold(), hold());
    const [up, down] = [host.run.bind(host), host.runOutside.bind(host)];
    for (const run of [up, down])
      await eventually('the loopbacks', async () => (await run('ip', '-br', 'address')).includes('127.0.0.1'));
    await up('ip', 'link', 'add', 'up0', 'type', 'veth', 'peer', 'name', 'down0', 'netns', String(host.world.pid));
    await up('ip', 'address', 'add', `${HOST}/24`, 'dev', 'up0');
    await up('ip', 'link', 'set', 'up0', 'up');
    await up('ip', 'route', 'add', 'default', 'via', WORLD);
    await down('ip', 'address', 'add', `${WORLD}/24`, 'dev', 'down0');
    await down('ip', 'link', 'set', 'down0', 'up');
    return host;
  }

  /** What to put before a command. */
  get prefix(): string[] {
    return inside(this.holder);
  }

  /** The same for another machine. */
  get prefixOutside(): string[] {
    return inside(this.world);
  }

  /** A program of the same name that runs there. */
  program(path: string): string {
    const file = join(this.dir, basename(path));
    writeFileSync(file, `#!/bin/sh\nexec ${this.prefix.join(' ')} ${path} "$@"\n`, { mode: 0o755 });
    return file;
  }

  /** What a command prints there; empty when it fails. */
  run(...command: string[]): Promise<string> {
    return printed([...this.prefix, ...command]);
  }

  /** The same from another machine's view. */
  runOutside(...command: string[]): Promise<string> {
    return printed([...this.prefixOutside, ...command]);
  }

  /** What containers have there: ends of their interfaces, and rules that name a container. */
  async traces(name: string): Promise<string[]> {
    const links = (await this.run('ip', '-br', 'link')).split('\n').filter((line) => line.startsWith('veth'));
    const rules = (await this.run('iptables-save')).split('\n').filter((line) => line.includes(name));
    return [...links, ...rules];
  }

  close(): void {
    this.holder.kill('SIGKILL');
    this.world.kill('SIGKILL');
    rmSync(this.dir, { recursive: true, force: true });
  }
}

function hold(): ChildProcess {
  return spawn('unshare', ['--net', 'sh', '-c', 'ip link set lo up && exec sleep infinity'], { stdio: 'ignore' });
}

function inside({ pid }: ChildProcess): string[] {
  return ['nsenter', `--net=/proc/${pid ?? 0}/ns/net`, '--'];
}

async function printed([file = '', ...args]: readonly string[]): Promise<string> {
  const { stdout, exitCode } = await execa(file, args, { reject: false, stdin: 'ignore' });
  return exitCode === 0 ? stdout : '';
}
