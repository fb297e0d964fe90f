/**
 * Real daemons for the end-to-end tests: a private containerd, a dockerd on top of it, their clients and their logs.
 * The machine's own ones, unless the environment names others: HAWSER_TEST_CONTAINERD, HAWSER_TEST_CTR,
 * HAWSER_TEST_DOCKERD, HAWSER_TEST_DOCKER (programs), HAWSER_TEST_STOCK (directory of that containerd's own shim) and
 * HAWSER_TEST_RUNC (a runtime). `make test-matrix` sets them. HAWSER_TEST_DAEMON=hawserd has our own daemon take
 * containerd's place.
 */
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { execa, type Options, type Result } from 'execa';
import { patiently } from './eventually.js';
import { quietly, removeCgroups, zygotesIn } from './machine.js';
import type { NetworkHost } from './network-host.js';
import { runtimePath } from './runtime.js';

export const top = fileURLToPath(new URL('../..', import.meta.url));
/** Where the built shim lies. */
export const shimDir = process.env.HAWSER_TEST_SHIM_DIR ?? join(top, 'bin');
/** Where the Go shim of the containerd under test lies. */
export const stockDir = process.env.HAWSER_TEST_STOCK || '/usr/bin';

/** The tests' containerd is Hawser's own. */
export const onHawserd = process.env.HAWSER_TEST_DAEMON === 'hawserd';
export const containerdProgram = process.env.HAWSER_TEST_CONTAINERD || 'containerd';
export const daemonProgram = onHawserd ? join(top, 'bin/hawserd') : containerdProgram;
const CTR = process.env.HAWSER_TEST_CTR || 'ctr';
const DOCKERD = process.env.HAWSER_TEST_DOCKERD || 'dockerd';
/** The client of the Debian package, whatever other one the machine has. */
const DOCKER = process.env.HAWSER_TEST_DOCKER || '/usr/bin/docker';

const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** No command of a client takes this long; one that does hangs. */
const COMMAND_MS = patiently(60_000);
const BOUND_MS = 30_000;

/** Polls until the condition gives something, and fails with what it was waiting for. */
export async function until<T>(
  what: string,
  condition: () => T | undefined | false | Promise<T | undefined | false>,
  boundMs = BOUND_MS,
): Promise<T> {
  for (const deadline = Date.now() + patiently(boundMs); Date.now() < deadline; await delay(20)) {
    const result = await condition();
    if (result !== undefined && result !== false) return result;
  }
  throw new Error(`waited ${patiently(boundMs) / 1000} s in vain for ${what}`);
}

/** A directory that is removed by cleanUp(). */
export function temporaryDirectory(name: string): string {
  return mkdtempSync(join(tmpdir(), `hawser-${name}-`));
}

/** A root file system of one static busybox. */
export function makeRootfs(dir: string): string {
  mkdirSync(join(dir, 'bin'), { recursive: true });
  for (const name of ['proc', 'sys', 'dev', 'tmp', 'etc', 'root']) mkdirSync(join(dir, name), { recursive: true });
  chmodSync(join(dir, 'tmp'), 0o1777);
  copyFileSync('/bin/busybox', join(dir, 'bin/busybox'));
  const applets = [
    'sh',
    'ash',
    'echo',
    'cat',
    'ls',
    'sleep',
    'true',
    'false',
    'stty',
    'id',
    'ps',
    'dd',
    'head',
    'tail',
    'seq',
    'wc',
    'md5sum',
    'touch',
    'kill',
    'env',
    'tty',
    'mount',
    'yes',
    'top',
    'hostname',
    'mkdir',
    'rm',
    'grep',
    'trap',
  ];
  for (const name of applets) symlinkSync('busybox', join(dir, 'bin', name));
  writeFileSync(join(dir, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n');
  writeFileSync(join(dir, 'etc/group'), 'root:x:0:\nnogroup:x:65534:\n');
  return dir;
}

/**
 * An image of that root file system, in the layout that `docker load` and `ctr images import` take.
 *
 * @param more what else its configuration says, such as `{ User: 'nobody' }`
 */
export async function makeImage(
  dir: string,
  rootfs: string,
  name: string,
  command: readonly string[] = ['/bin/sh'],
  more: object = {},
): Promise<string> {
  const work = join(dir, 'image');
  mkdirSync(work, { recursive: true });
  await execa('tar', ['-C', rootfs, '--xattrs', '--xattrs-include=*', '-cf', join(work, 'layer.tar'), '.']);
  const digest = (await execa('sha256sum', [join(work, 'layer.tar')])).stdout.split(' ')[0]!;
  const config = JSON.stringify({
    architecture: 'amd64',
    os: 'linux',
    config: { Env: ['PATH=/bin'], Cmd: command, ...more },
    rootfs: { type: 'layers', diff_ids: [`sha256:${digest}`] },
    history: [{ created: '2024-01-01T00:00:00Z' }],
  });
  writeFileSync(join(work, 'config.json'), config);
  writeFileSync(
    join(work, 'manifest.json'),
    JSON.stringify([{ Config: 'config.json', RepoTags: [name], Layers: ['layer.tar'] }]),
  );
  const file = join(dir, 'image.tar');
  await execa('tar', ['-C', work, '-cf', file, 'manifest.json', 'config.json', 'layer.tar']);
  return file;
}

/** One daemon process with its log in a file. */
class Daemon {
  protected process: ChildProcess | undefined;
  readonly log: string;

  constructor(
    readonly dir: string,
    readonly name: string,
  ) {
    this.log = join(dir, `${name}.log`);
    // The root of a container with mapped users must get through to what is mounted there.
    chmodSync(dir, 0o711);
  }

  protected launch(command: string, args: string[], env: NodeJS.ProcessEnv): void {
    const log = openSync(this.log, 'a');
    // Zygotes of its own: one that another daemon has left knows nothing of this one's end.
    this.process = spawn(command, args, {
      stdio: ['ignore', log, log],
      env: { ...env, HAWSER_RUN_DIR: this.dir },
      detached: true,
    });
    closeSync(log);
  }

  get pid(): number {
    if (this.process?.pid === undefined) throw new Error(`${this.name} does not run`);
    return this.process.pid;
  }

  /** Its exit status, once it has ended by itself. */
  ended(): Promise<number | null> {
    const child = this.process;
    if (child === undefined) throw new Error(`${this.name} does not run`);
    return new Promise((resolve) => child.once('exit', resolve));
  }

  /** Ends it by a signal, SIGKILL when it does not go. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.process;
    this.process = undefined;
    if (!child?.pid || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
    await ended;
    clearTimeout(timer);
  }

  logText(): string {
    return existsSync(this.log) ? readFileSync(this.log, 'utf8') : '';
  }
}

/** What the tests have no use for, and what would be shared with the machine's own containerd. */
const UNUSED_PLUGINS = [
  'io.containerd.grpc.v1.cri',
  'io.containerd.cri.v1.images',
  'io.containerd.cri.v1.runtime',
  'io.containerd.podsandbox.controller.v1.podsandbox',
  'io.containerd.nri.v1.nri',
  'io.containerd.internal.v1.opt',
];

/** hawserd prefers its own shim, whatever PATH has; which one it is to run must be said. */
function hawserdConfig(shims: string): string {
  return `[runtimes."io.containerd.runc.v2"]\n  shim = "${join(shims, 'containerd-shim-runc-v2')}"\n`;
}

/** The first number of a daemon's version; hawserd counts as what it takes the place of. */
function majorVersion(daemon: string): number {
  if (basename(daemon) === 'hawserd') return 1;
  const text = execFileSync(daemon, ['--version'], { encoding: 'utf8', env: { PATH: SYSTEM_PATH } });
  const major = /\sv?(\d+)\.\d+\.\d/.exec(text)?.[1];
  if (!major) throw new Error(`${daemon} --version prints no version: ${text}`);
  return Number(major);
}

export class Containerd extends Daemon {
  readonly major: number;
  readonly socket: string;
  readonly state: string;
  readonly root: string;
  readonly rootfs: string;
  readonly path: string;
  /** Its own, as runc's state and the cgroups are in places that all daemons of the machine share. */
  readonly namespace: string;

  constructor(
    readonly shims: string,
    readonly daemonPath = daemonProgram,
    readonly ctrPath = CTR,
  ) {
    super(temporaryDirectory('containerd'), 'containerd');
    // Without it the daemon would quietly find another one in its PATH.
    if (!existsSync(join(shims, 'containerd-shim-runc-v2')))
      throw new Error(`there is no shim in ${shims}; run 'make build'`);
    this.socket = join(this.dir, 'containerd.sock');
    this.state = join(this.dir, 'state');
    this.root = join(this.dir, 'root');
    this.rootfs = makeRootfs(join(this.dir, 'rootfs'));
    this.namespace = basename(this.dir);
    this.major = majorVersion(daemonPath);
    this.path = runtimePath(this.dir, [shims]);
    // Since 1.7 it tells at trace level only of the events that it forwards.
    writeFileSync(
      join(this.dir, 'config.toml'),
      `version = 2
root = "${this.root}"
state = "${this.state}"
disabled_plugins = [${UNUSED_PLUGINS.map((name) => `"${name}"`).join(', ')}]
[grpc]
  address = "${this.socket}"
[debug]
  level = "trace"
${basename(daemonPath) === 'hawserd' ? hawserdConfig(shims) : ''}`,
    );
  }

  async start(): Promise<this> {
    const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
    this.launch(this.daemonPath, ['-c', join(this.dir, 'config.toml')], { ...env, PATH: this.path });
    await until('containerd to answer', async () => (await this.ctr(['version'], { reject: false })).exitCode === 0);
    return this;
  }

  /** The command line of ctr, for a terminal. */
  command(args: string[]): [string, string[]] {
    return [this.ctrPath, ['-a', this.socket, '-n', this.namespace, ...args]];
  }

  /** Runs ctr; throws when it fails, unless `reject` is false. Standard input is empty unless given. */
  ctr(args: string[], options: Options & { reject?: boolean } = {}): Promise<Result<{ encoding: 'utf8' }>> {
    return execa(this.ctrPath, ['-a', this.socket, ...args], {
      ...(options.input === undefined && options.stdin === undefined ? { stdin: 'ignore' } : {}),
      timeout: COMMAND_MS,
      killSignal: 'SIGKILL',
      env: { PATH: SYSTEM_PATH, CONTAINERD_NAMESPACE: this.namespace, CONTAINERD_SUPPRESS_DEPRECATION_WARNINGS: '1' },
      ...options,
    } as Options) as unknown as Promise<Result<{ encoding: 'utf8' }>>;
  }

  /** `ctr run --rm`, with the private root file system. */
  run(
    id: string,
    command: string[],
    { flags = [], ...options }: Options & { flags?: string[]; reject?: boolean } = {},
  ): ReturnType<Containerd['ctr']> {
    return this.ctr(['run', '--rm', ...flags, '--rootfs', this.rootfs, id, ...command], options);
  }

  /** Pids of the shims that this daemon launched. */
  async shimPids(): Promise<number[]> {
    const { stdout } = await execa('pgrep', ['-f', '--', `-address ${this.socket}`], { reject: false });
    return stdout.split('\n').filter(Boolean).map(Number);
  }

  bundle(id: string, namespace = this.namespace): string {
    return join(this.state, 'io.containerd.runtime.v2.task', namespace, id);
  }

  /** Stops the daemon and whatever containers are left, and removes everything. */
  async cleanUp(): Promise<void> {
    const pids = await this.shimPids();
    for (const pid of pids) {
      // An orderly end first, so that nothing is left of what the shim made itself.
      try {
        process.kill(pid, 'SIGTERM');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    }
    await until('the shims to end', async () => (await this.shimPids()).length === 0);
    // A zygote waits for some minutes.
    for (const pid of zygotesIn(this.dir)) quietly(() => process.kill(pid));
    // The daemon has the containers of a shim that ended removed.
    const bundles = join(this.state, 'io.containerd.runtime.v2.task', this.namespace);
    await until('the bundles to go', () => !existsSync(bundles) || readdirSync(bundles).length === 0);
    await this.stop();
    // What a test that failed has left behind.
    for (const point of mountsBelow(this.dir)) await execa('umount', ['-l', point]);
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 });
    // runc leaves these to all containers of a namespace.
    rmSync(join('/run/containerd/runc', this.namespace), { recursive: true, force: true });
    removeCgroups(`/${this.namespace}`);
  }
}

export interface DockerdOptions {
  env?: Record<string, string>;
  /** What other files of the machine's shall contain, by path. */
  files?: Record<string, string>;
}

export class Dockerd extends Daemon {
  readonly socket: string;

  /**
   * @param host where it may have bridges, rules and published ports; without one its containers have no networks but their host's
   * @param programs a daemon and its client other than those that are tested
   */
  constructor(
    readonly containerd: Containerd,
    private readonly host?: NetworkHost,
    private readonly programs = { dockerd: DOCKERD, docker: DOCKER },
  ) {
    super(temporaryDirectory('dockerd'), 'dockerd');
    this.socket = join(this.dir, 'docker.sock');
  }

  async start(flags: string[] = [], { env: more = {}, files = {} }: DockerdOptions = {}): Promise<this> {
    const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
    const { dockerd } = this.programs;
    const [command, ...args] = [...(this.host?.prefix ?? []), ...this.#withFiles(files)];
    this.launch(
      command!,
      [
        ...args,
        '--containerd',
        this.containerd.socket,
        '--data-root',
        join(this.dir, 'data'),
        '--exec-root',
        join(this.dir, 'exec'),
        '-H',
        `unix://${this.socket}`,
        ...(this.host === undefined ? ['--iptables=false', '--bridge=none'] : []),
        '-p',
        join(this.dir, 'docker.pid'),
        ...flags,
      ],
      { ...env, ...more, PATH: runtimePath(this.dir, dockerd.includes('/') ? [dirname(dockerd)] : []) },
    );
    await until('dockerd to answer', async () => (await this.docker(['version'], { reject: false })).exitCode === 0);
    return this;
  }

  /**
   * The command that runs the daemon with some files of the machine replaced, for it alone. Its data directory stays one
   * with the machine's, as containerd and the shim are to see what it mounts there.
   */
  #withFiles(files: Record<string, string>): string[] {
    if (Object.keys(files).length === 0) return [this.programs.dockerd];
    const binds = Object.entries(files).map(([path, content], n) => {
      const file = join(this.dir, `file${n}`);
      writeFileSync(file, content);
      return `mount --bind ${file} ${path}`;
    });
    const data = join(this.dir, 'data');
    mkdirSync(data, { recursive: true });
    execFileSync('sh', ['-c', `mount --bind ${data} ${data} && mount --make-shared ${data}`]);
    const script = ['mount --make-private /', ...binds, 'exec "$0" "$@"'].join(' && ');
    return ['unshare', '--mount', '--propagation', 'unchanged', 'sh', '-c', script, this.programs.dockerd];
  }

  async docker(args: string[], options: Options & { reject?: boolean } = {}): Promise<Result<{ encoding: 'utf8' }>> {
    try {
      return await this.#docker(args, options);
    } catch (error) {
      // The client's words alone seldom tell why, and the logs are gone when the tests are over.
      for (const daemon of [this, this.containerd])
        (error as Error).message +=
          `\n\n${daemon.name} said last:\n${daemon.logText().split('\n').slice(-40).join('\n')}`;
      throw error;
    }
  }

  #docker(args: string[], options: Options & { reject?: boolean }): Promise<Result<{ encoding: 'utf8' }>> {
    return execa(this.programs.docker, ['-H', `unix://${this.socket}`, ...args], {
      ...(options.input === undefined && options.stdin === undefined ? { stdin: 'ignore' } : {}),
      timeout: COMMAND_MS,
      killSignal: 'SIGKILL',
      env: { PATH: SYSTEM_PATH, HOME: this.dir },
      ...options,
    } as Options) as unknown as Promise<Result<{ encoding: 'utf8' }>>;
  }

  /** The command line of the client, for a terminal. */
  command(args: string[]): [string, string[]] {
    return [this.programs.docker, ['-H', `unix://${this.socket}`, ...args]];
  }

  async importImage(rootfs: string, name: string): Promise<void> {
    const archive = join(this.dir, 'rootfs.tar');
    await execa('tar', ['-C', rootfs, '-cf', archive, '.']);
    await this.docker(['import', '-c', 'ENV PATH=/bin', '-c', 'CMD ["/bin/sh"]', archive, name]);
    rmSync(archive);
  }

  async cleanUp(): Promise<void> {
    const { stdout } = await this.docker(['ps', '-aq'], { reject: false });
    const ids = stdout.split('\n').filter(Boolean);
    if (ids.length > 0) await this.docker(['rm', '-f', ...ids], { reject: false });
    await this.stop();
    // dockerd mounts its data directory on itself and leaves it so.
    for (const point of mountsBelow(this.dir)) await execa('umount', [point]);
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Mount points in a directory, deepest first. */
export function mountsBelow(dir: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((point) => point.startsWith(`${dir}/`))
    .reverse();
}

/** Lines of a daemon's log at warning level or above, without times, ids and other things that differ by run. */
export function warnings(log: string): string[] {
  // hawserd's own are JSON, and have what its shims say in them.
  const lines = log
    .split('\n')
    .filter((line) => /level=(warning|error|fatal|panic)|"level":"(warn|error|fatal)"/.test(line));
  return [
    ...new Set(
      lines.map((line) =>
        line
          .replace(/^time="[^"]*" /, '')
          .replace(/"time":"[^"]*",/, '')
          .replace(/\/proc\/self\/fd\/\d+/g, '/proc/self/fd/N')
          .replace(/\bid=[\w-]+/g, 'id=ID')
          .replace(/\b(?:container|containerID|execID|processID|process)=[\w-]+/g, 'container=ID')
          .replace(/[0-9a-f]{12,}/g, 'HEX')
          .replace(/\bpid=\d+/g, 'pid=N')
          .replace(/\bt="[\d.]+[^"]*"/g, 't=T')
          .replace(/hawser-(\w+)-\w+/g, 'hawser-$1')
          .replace(/time=\\"[^"]*\\"/g, 'time=T'),
      ),
    ),
  ].sort();
}
