/** A real registry: that of Debian's package docker-registry, on a port and with files of its own. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { digestOf } from './scripted-registry.js';
import { temporaryDirectory, top, until } from './daemons.js';

/** Whom a registry with a password lets in. */
export const USER = { username: 'someone', password: 'correct horse' } as const;
/** The same as htpasswd writes it (bcrypt). */
const HTPASSWD = 'someone:$2b$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2\n';

let program: string | undefined;

/** The program, installed or else from the package's own file. */
function registryProgram(): string {
  if (program !== undefined) return program;
  const suite = /^VERSION_CODENAME=(.*)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'bookworm';
  const [, , dir] = execFileSync('sh', [join(top, 'test/support/packages.sh'), `docker-registry@${suite}`], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
    .trim()
    .split(' ');
  return (program = join(dir!, 'docker-registry'));
}

export interface RegistryFlags {
  /** Lets in {@link USER} alone. */
  readonly password?: boolean;
}

export class Registry {
  readonly dir = temporaryDirectory('registry');
  #process: ChildProcess | undefined;
  #host: string | undefined;

  private constructor(private readonly flags: RegistryFlags) {}

  static async start(flags: RegistryFlags = {}): Promise<Registry> {
    const registry = new Registry(flags);
    await registry.#launch('127.0.0.1:0');
    return registry;
  }

  /** Name and port, as they stand before a repository's name. */
  get host(): string {
    if (this.#host === undefined) throw new Error('the registry does not run');
    return this.#host;
  }

  get log(): string {
    return readFileSync(join(this.dir, 'log'), 'utf8');
  }

  async #launch(address: string): Promise<void> {
    const file = join(this.dir, 'config.yml');
    const passwords = join(this.dir, 'htpasswd');
    writeFileSync(passwords, HTPASSWD);
    writeFileSync(
      file,
      JSON.stringify({
        version: 0.1,
        storage: { filesystem: { rootdirectory: join(this.dir, 'data') }, delete: { enabled: true } },
        http: { addr: address },
        ...(this.flags.password ? { auth: { htpasswd: { realm: 'test', path: passwords } } } : {}),
      }),
    );
    const log = openSync(join(this.dir, 'log'), 'w');
    this.#process = spawn(registryProgram(), ['serve', file], { stdio: ['ignore', log, log] });
    closeSync(log);
    this.#host = await until('the registry to listen', () => /listening on (127\.0\.0\.1:\d+)/.exec(this.log)?.[1]);
  }

  /** Uploads a blob, as it is. */
  async putBlob(repository: string, data: Buffer): Promise<void> {
    const base = `http://${this.host}`;
    const begun = await fetch(`${base}/v2/${repository}/blobs/uploads/`, { method: 'POST' });
    const url = new URL(begun.headers.get('location') ?? '', base);
    url.searchParams.set('digest', digestOf(data));
    const { status } = await fetch(url, {
      method: 'PUT',
      body: data,
      headers: { 'content-type': 'application/octet-stream' },
    });
    if (status !== 201) throw new Error(`the registry takes no blob: ${status}`);
  }

  /** Uploads a manifest or index. */
  async putManifest(repository: string, reference: string, type: string, data: Buffer): Promise<void> {
    const { status } = await fetch(`http://${this.host}/v2/${repository}/manifests/${reference}`, {
      method: 'PUT',
      body: data,
      headers: { 'content-type': type },
    });
    if (status !== 201) throw new Error(`the registry takes no manifest: ${status}`);
  }

  async stop(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child?.pid !== undefined && child.exitCode === null && child.signalCode === null) {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
    }
    rmSync(this.dir, { recursive: true, force: true });
  }
}
