/** docker-compose on a dockerd of the tests, with compose.yaml: of a newer Debian suite, as Debian 12's is of the line in Python. */
import { spawnSync } from 'node:child_process';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { top, type Dockerd } from './daemons.js';
import { patiently } from './eventually.js';

export const COMPOSE_FILE = join(top, 'test/support/compose.yaml');
const PACKAGE = 'docker-compose@trixie';
/** Of `up`, which waits until what is depended on is healthy. */
const COMMAND_MS = patiently(120_000);
const ERASE = '\x1b[2K';
/** What its containers need of busybox beyond what other tests do. */
const APPLETS = ['httpd', 'wget', 'nslookup', 'mv'];

/** The directory of docker-compose, or why there is none; installs nothing. */
export function composeProgram(): { readonly dir: string } | { readonly missing: string } {
  const { stdout, stderr, status } = spawnSync('sh', [join(top, 'test/support/packages.sh'), PACKAGE], {
    encoding: 'utf8',
    timeout: 1_200_000,
    killSignal: 'SIGKILL',
  });
  const dir = /^docker-compose@\S+ \S+ (\/.+)$/m.exec(stdout)?.[1];
  return status === 0 && dir !== undefined
    ? { dir }
    : { missing: `Debian's package ${PACKAGE} cannot be had here: ${stderr.trim().split('\n').at(-1) ?? ''}` };
}

/** What the file calls `box`. */
export async function importComposeImage(dockerd: Dockerd): Promise<void> {
  const { rootfs } = dockerd.containerd;
  for (const applet of APPLETS) symlinkSync('busybox', join(rootfs, 'bin', applet));
  await dockerd.importImage(rootfs, 'box');
}

export interface ComposeResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number | undefined;
}

/** docker-compose with {@link COMPOSE_FILE}, whose project is called `shop`. */
export class Compose {
  constructor(
    private readonly dir: string,
    private readonly dockerd: Dockerd,
  ) {}

  async run(...args: string[]): Promise<ComposeResult> {
    const { stdout, stderr, exitCode } = await execa(join(this.dir, 'docker-compose'), ['-f', COMPOSE_FILE, ...args], {
      stdin: 'ignore',
      reject: false,
      timeout: COMMAND_MS,
      killSignal: 'SIGKILL',
      extendEnv: false,
      env: { PATH: process.env.PATH, HOME: this.dockerd.dir, DOCKER_HOST: `unix://${this.dockerd.socket}` },
    });
    // `logs` erases the line that it is on, terminal or not.
    return { stdout: stdout.replaceAll(ERASE, ''), stderr, exitCode };
  }

  /** What it prints; fails when it does, with what both daemons said last. */
  async ok(...args: string[]): Promise<string> {
    const { stdout, stderr, exitCode } = await this.run(...args);
    if (exitCode === 0) return stdout;
    const logs = [this.dockerd, this.dockerd.containerd].map(
      (daemon) => `${daemon.name} said last:\n${daemon.logText().split('\n').slice(-40).join('\n')}`,
    );
    throw new Error([`docker-compose ${args.join(' ')} ended with ${exitCode}: ${stderr}`, ...logs].join('\n\n'));
  }
}
