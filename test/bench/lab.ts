/** What the benchmarks have in common: a daemon's part by direct ttrpc, and the shims to compare. */
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import {
  ContainerdServicesEventsTtrpcV1Events as Events,
  ContainerdTaskV2Task as Task,
  containerd,
  pack,
} from '../../src/api/index.js';
import { makeFifo, makePipe, spawn, tryRead, bytesWaiting } from '../../src/sys/index.js';
import { Code, connect, Server, TtrpcError, type Client, type ServiceClient } from '../../src/ttrpc/index.js';
import { makeRootfs, shimDir, stockDir } from '../support/daemons.js';
import { allProcesses } from '../support/machine.js';

export type Tasks = ServiceClient<typeof Task>;

export interface Bundle {
  id: string;
  path: string;
}

/** One life: how long each step took, in milliseconds. */
export type Times = Record<string, number>;

export async function timed<T>(times: Times, name: string, work: () => T | Promise<T>): Promise<T> {
  const from = performance.now();
  const result = await work();
  times[name] = performance.now() - from;
  return result;
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Directories, the daemon's event socket, and root file system of one run. */
export class Lab {
  readonly dir = mkdtempSync(join(tmpdir(), 'hawser-bench-'));
  readonly rootfs = makeRootfs(join(this.dir, 'rootfs'));
  readonly events = join(this.dir, 'events.sock');
  readonly runDir = join(this.dir, 'run');
  readonly ours = new Shim(this, 'hawser', join(shimDir, 'containerd-shim-runc-v2'));
  readonly go = new Shim(this, 'go', join(stockDir, 'containerd-shim-runc-v2'));
  /** Called with the time at which a container's exit was told. */
  readonly exits = new Map<string, (at: number) => void>();
  readonly #server = new Server();
  #serial = 0;

  async open(): Promise<this> {
    mkdirSync(this.runDir, { mode: 0o700 });
    this.#server.add(Events, {
      Forward: ({ envelope }) => {
        const at = performance.now();
        if (envelope?.topic === '/tasks/exit' && envelope.event?.value)
          this.exits.get(containerd.events.TaskExit.decode(envelope.event.value).containerId)?.(at);
        return {};
      },
    });
    await this.#server.serve(createServer().listen(this.events));
    return this;
  }

  /** @param spec what is different in it */
  bundle(
    args: string[],
    { terminal = false, annotations = {} }: { terminal?: boolean; annotations?: Record<string, string> } = {},
  ): Bundle {
    const id = `bench${process.pid}x${this.#serial++}`;
    const path = join(this.dir, 'bundles', id);
    mkdirSync(path, { recursive: true });
    const namespaces = ['pid', 'ipc', 'uts', 'mount', 'network'].map((type) => ({ type }));
    writeFileSync(
      join(path, 'config.json'),
      JSON.stringify({
        ociVersion: '1.0.2',
        root: { path: this.rootfs, readonly: false },
        hostname: id,
        annotations,
        process: { terminal, user: { uid: 0, gid: 0 }, cwd: '/', args, env: ['PATH=/bin'] },
        mounts: [
          { destination: '/proc', type: 'proc', source: 'proc' },
          { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755'] },
          {
            destination: '/dev/pts',
            type: 'devpts',
            source: 'devpts',
            options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620'],
          },
        ],
        linux: { namespaces, cgroupsPath: `/hawser-bench/${id}` },
      }),
    );
    // The daemon makes the FIFO for the shim's log, and reads it.
    makeFifo(join(path, 'log'), 0o700);
    return { id, path };
  }

  /** Where the shim of a bundle listens: what `start` has written there. */
  address(bundle: string): string {
    return readFileSync(join(bundle, 'address'), 'utf8').replace('unix://', '');
  }

  options(binaryName = '', root = join(this.dir, 'runc')): ReturnType<typeof pack> {
    return pack('containerd.runc.v1.Options', containerd.runc.v1.Options, { root, binaryName });
  }

  /** The zygote that waits in this run's directory goes, too. */
  close(): void {
    this.#server.close();
    for (const pid of zygotesIn(this.runDir)) process.kill(pid, 'SIGKILL');
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** Pids of the zygotes that wait in a directory. */
export function zygotesIn(runDir: string): number[] {
  return allProcesses()
    .filter(({ command }) => command.includes(` zygote ${runDir}/`))
    .map(({ pid }) => pid);
}

export class Shim {
  constructor(
    private readonly lab: Lab,
    readonly name: string,
    readonly binary: string,
  ) {}

  /** Runs the `start` action, as the daemon does: until the process and its output have ended. */
  async start({ id, path }: Bundle, env: Record<string, string> = {}): Promise<string> {
    const { text, status } = await this.#run(
      path,
      [
        '-namespace',
        'bench',
        '-address',
        join(this.lab.dir, 'grpc.sock'),
        '-publish-binary',
        '/bin/true',
        '-id',
        id,
        'start',
      ],
      env,
    );
    if (status !== 0) throw new Error(`${this.name} start: exit status ${status}: ${text}`);
    return text.trim().replace('unix://', '');
  }

  async delete({ id, path }: Bundle): Promise<void> {
    const { status, text } = await this.#run(
      path,
      [
        '-namespace',
        'bench',
        '-address',
        join(this.lab.dir, 'grpc.sock'),
        '-publish-binary',
        '/bin/true',
        '-id',
        id,
        '-bundle',
        path,
        'delete',
      ],
      {},
    );
    if (status !== 0) throw new Error(`${this.name} delete: exit status ${status}: ${text}`);
  }

  /** By vfork and pidfd: node:child_process would add some milliseconds to each. */
  async #run(cwd: string, args: string[], env: Record<string, string>): Promise<{ status: number; text: string }> {
    const { read, write } = makePipe();
    const nothing = openSync('/dev/null', 'r');
    try {
      const child = spawn(this.binary, [this.binary, ...args], {
        stdio: [nothing, write, write],
        cwd,
        dieWithParent: false,
        env: {
          PATH: process.env.PATH,
          TTRPC_ADDRESS: this.lab.events,
          HAWSER_RUN_DIR: this.lab.runDir,
          GOMAXPROCS: '2',
          ...env,
        },
      });
      const status = await child.exited;
      const buffer = Buffer.alloc(65536);
      // Who has ended has written all; the pipe stays open here, so it is never read beyond that.
      const length = bytesWaiting(read) > 0 ? (tryRead(read, buffer) ?? 0) : 0;
      return { status, text: buffer.toString('utf8', 0, length) };
    } finally {
      for (const fd of [read, write, nothing]) closeSync(fd);
    }
  }

  /** A shim for one bundle, ended and cleaned up after the work. */
  async with<T>(
    bundle: Bundle,
    work: (task: Tasks, bundle: Bundle, client: Client) => Promise<T>,
    times: Times = {},
    env: Record<string, string> = {},
  ): Promise<T> {
    const log = openSync(join(bundle.path, 'log'), constants.O_RDWR | constants.O_NONBLOCK);
    const address = await timed(times, 'start', () => this.start(bundle, env));
    const client = await connect(address);
    const task = client.service(Task);
    try {
      return await work(task, bundle, client);
    } finally {
      // The Go shim may be gone before it has answered.
      await task.Shutdown({ id: bundle.id }).catch((error: unknown) => {
        if (!(error instanceof TtrpcError) || error.code !== Code.Unavailable) throw error;
      });
      client.close();
      if (existsSync(bundle.path)) {
        await timed(times, 'delete action', () => this.delete(bundle));
        rmSync(bundle.path, { recursive: true, force: true });
      }
      closeSync(log);
    }
  }
}

export async function killAndDelete(task: Tasks, id: string): Promise<void> {
  await task.Kill({ id, signal: 9 });
  await task.Wait({ id });
  await task.Delete({ id });
}

/** Memory of a process in MB. */
export function memoryOf(pid: number): { private: number; pss: number } {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const megabytes = (name: string): number => Number(new RegExp(`^${name}: +(\\d+) kB`, 'm').exec(rollup)?.[1]) / 1024;
  return { private: megabytes('Private_Dirty'), pss: megabytes('Pss') };
}

/** User and system time of a process, in seconds. */
export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
