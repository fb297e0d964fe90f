/** A shim program that is measured: its actions, and one of its shims with a connection. */
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import { ContainerdTaskV2Task as TaskV2, ContainerdTaskV3Task as TaskV3 } from '../../src/api/index.js';
import { Code, connect, TtrpcError, type Client, type ServiceClient } from '../../src/ttrpc/index.js';
import { processInfo, quietly } from '../support/machine.js';
import { Cgroup } from './cgroup.js';
import { inputFor, parseAnswer, type Answer, type Dialect } from './dialect.js';
import { timed, type Bundle, type BundleOptions, type Lab, type Times } from './lab.js';
import { memoryIn, ownOf, type Memory } from './proc.js';
import { runToEnd } from './run.js';

export const NAMESPACE = 'bench';
const SOCKETS = '/run/containerd/s';

export type Tasks = ServiceClient<typeof TaskV2>;

/** One shim that runs, for a bundle. */
export interface Running {
  readonly bundle: Bundle;
  readonly address: string;
  /** Of its task service. */
  readonly version: number;
  readonly client: Client;
  readonly task: Tasks;
}

/** One shim program. All that it starts is in a cgroup of its own, and waits, if at all, in a directory of its own. */
export class Shim {
  readonly cgroup: Cgroup;
  readonly runDir: string;
  /** What it says of itself with `-v`. */
  readonly version: string;
  /** Where the program's own files lie, where it tells. */
  readonly library: string | undefined;
  /** In which it is started. */
  dialect: Dialect = 'plain';

  /** @param name that of its column */
  constructor(
    readonly lab: Lab,
    readonly name: string,
    readonly binary: string,
    cgroup: string,
  ) {
    this.cgroup = new Cgroup(cgroup);
    this.runDir = join(lab.state, 'hawser', name.replaceAll(/\W+/g, '-'));
    mkdirSync(this.runDir, { recursive: true, mode: 0o700 });
    const { stdout, error } = spawnSync(binary, ['-v'], { encoding: 'utf8' });
    if (error) throw new Error(`${binary} cannot be run: ${error.message}`, { cause: error });
    this.version = /Version: +(\S+)/.exec(stdout)?.[1] ?? '?';
    this.library = /Library: +(\S+)/.exec(stdout)?.[1];
  }

  /** Finds by trying which dialect it understands: the first of these in which a container can be run. */
  async findDialect(dialects: readonly Dialect[]): Promise<void> {
    const why: unknown[] = [];
    for (const dialect of dialects) {
      this.dialect = dialect;
      try {
        await this.cgroup.inside(() =>
          this.with(this.bundle(['/bin/true']), async ({ task, bundle: { id, path } }) => {
            await task.Create({ id, bundle: path, options: this.lab.options() });
            await task.Start({ id });
            await task.Wait({ id });
            await task.Delete({ id });
          }),
        );
        return;
      } catch (error) {
        why.push(error);
        await this.forget();
      }
    }
    throw new AggregateError(why, `${this.binary} is no shim that can be started: ${why.map(String).join('; ')}`);
  }

  bundle(args: string[], options: BundleOptions = {}): Bundle {
    return this.lab.bundle(this.cgroup.containers, args, options);
  }

  /** Ends all that it has left running, and what it might find it by: the next one is the first. */
  async forget(): Promise<void> {
    await this.cgroup.kill();
    for (const name of readdirSync(this.runDir)) rmSync(join(this.runDir, name), { recursive: true, force: true });
  }

  /** The memory of everything that it has running, containers excepted; in MB. */
  memory(pids: readonly number[] = this.cgroup.processes()): Memory {
    // One that has just ended has none.
    const all = pids.map((pid) => memoryIn(quietly(() => readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')) ?? ''));
    const sum = (name: keyof Memory): number => all.reduce((total, one) => total + one[name], 0);
    return { private: sum('private'), pss: sum('pss') };
  }

  /** The processes that are there for this shim alone. */
  async ownProcesses({ task, bundle: { id, path } }: Running): Promise<number[]> {
    const { shimPid } = await task.Connect({ id });
    const all = this.cgroup.processes().map((pid) => ({
      pid,
      ppid: processInfo(pid)?.ppid ?? 0,
      cwd: quietly(() => readlinkSync(`/proc/${pid}/cwd`)) ?? '',
    }));
    return ownOf(all, shimPid, path);
  }

  /** Runs the `start` action, as the daemon does: until the process has ended. */
  async start(bundle: Bundle, env: Record<string, string> = {}): Promise<Answer> {
    const beginning = {
      id: bundle.id,
      namespace: NAMESPACE,
      ttrpcAddress: this.lab.events,
      grpcAddress: this.lab.grpc,
      socketDir: SOCKETS,
      options: this.lab.options(),
    };
    return parseAnswer(await this.#run(bundle, ['start'], inputFor(this.dialect, beginning), env));
  }

  async delete(bundle: Bundle): Promise<void> {
    await this.#run(bundle, ['-bundle', bundle.path, 'delete']);
  }

  /** Gives what it has written. */
  #run(
    { id, path }: Bundle,
    args: string[],
    input: Uint8Array = new Uint8Array(),
    env: Record<string, string> = {},
  ): Promise<Uint8Array> {
    const flags = ['-namespace', NAMESPACE, '-address', this.lab.grpc, '-publish-binary', '/bin/true', '-id', id];
    return runToEnd([this.binary, ...flags, ...args], {
      input,
      cwd: path,
      env: {
        PATH: process.env.PATH,
        TTRPC_ADDRESS: this.lab.events,
        HAWSER_RUN_DIR: this.runDir,
        GOMAXPROCS: '2',
        ...env,
      },
    });
  }

  /** Starts a shim for a bundle, and connects; what is given back ends it and cleans up. */
  async begin(
    bundle: Bundle,
    times: Times = {},
    env: Record<string, string> = {},
  ): Promise<{ running: Running; end: () => Promise<void> }> {
    const log = openSync(join(bundle.path, 'log'), constants.O_RDWR | constants.O_NONBLOCK);
    try {
      const { address, version } = await timed(times, 'start', () => this.start(bundle, env));
      const client = await connect(address, { metadata: { 'containerd-namespace-ttrpc': NAMESPACE } });
      const task = version >= 3 ? client.service(TaskV3) : client.service(TaskV2);
      const end = async (): Promise<void> => {
        try {
          // The Go shim may be gone before it has answered.
          await task.Shutdown({ id: bundle.id }).catch((error: unknown) => {
            if (!(error instanceof TtrpcError) || error.code !== Code.Unavailable) throw error;
          });
          client.close();
          if (existsSync(bundle.path)) await timed(times, 'delete action', () => this.delete(bundle));
        } finally {
          client.close();
          rmSync(bundle.path, { recursive: true, force: true });
          closeSync(log);
        }
      };
      return { running: { bundle, address, version, client, task }, end };
    } catch (error) {
      closeSync(log);
      rmSync(bundle.path, { recursive: true, force: true });
      throw error;
    }
  }

  /** A shim for one bundle, ended and cleaned up after the work. */
  async with<T>(
    bundle: Bundle,
    work: (running: Running) => Promise<T>,
    times: Times = {},
    env: Record<string, string> = {},
  ): Promise<T> {
    const { running, end } = await this.begin(bundle, times, env);
    try {
      return await work(running);
    } finally {
      await end();
    }
  }
}
