/** What is measured of a shim. Every function takes one shim, so that the shims can take turns. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { ContainerdTaskV2Task as Task } from '../../src/api/index.js';
import { runCommand } from '../../src/runc/command.js';
import { makeFifo } from '../../src/sys/index.js';
import { connect } from '../../src/ttrpc/index.js';
import { until } from '../support/daemons.js';
import {
  cpuSeconds,
  killAndDelete,
  memoryOf,
  pause,
  timed,
  type Bundle,
  type Lab,
  type Shim,
  type Tasks,
  type Times,
} from './lab.js';

const PROCESS = {
  type_url: 'types.containerd.io/opencontainers/runtime-spec/1/Process',
  value: Buffer.from(JSON.stringify({ cwd: '/', args: ['/bin/true'], env: ['PATH=/bin'], user: { uid: 0, gid: 0 } })),
};

/** After a start the next zygote boots and rehearses, which is not what is to be measured of what runs for long. */
export const AT_REST_MS = 1_500;

/** One container from start to delete. */
export async function life(lab: Lab, shim: Shim, env: Record<string, string> = {}): Promise<Times> {
  const times: Times = {};
  await shim.with(
    lab.bundle(['/bin/true']),
    async (task, { id, path }) => {
      const exit = new Promise<number>((resolve) => lab.exits.set(id, resolve));
      await timed(times, 'Create', () => task.Create({ id, bundle: path, options: lab.options() }));
      await timed(times, 'Start', () => task.Start({ id }));
      await timed(times, 'Wait', () => task.Wait({ id }));
      await exit;
      await timed(times, 'Delete', () => task.Delete({ id }));
    },
    times,
    env,
  );
  times.total = times.start! + times.Create! + times.Start! + times.Wait! + times.Delete!;
  return times;
}

/** The floor: runc alone, run as the shim runs it. */
export async function bareRunc(lab: Lab): Promise<Times> {
  const times: Times = {};
  const { id, path } = lab.bundle(['/bin/true']);
  const root = join(lab.dir, 'runc/bare');
  const runc = async (...args: string[]): Promise<string> => {
    const { status, output } = await runCommand('runc', [
      '--root',
      root,
      '--log',
      join(path, 'log.json'),
      '--log-format',
      'json',
      ...args,
    ]);
    if (status !== 0) throw new Error(`runc ${args.join(' ')}: exit status ${status}: ${output}`);
    return output;
  };
  await timed(times, 'Create', () => runc('create', '--bundle', path, '--pid-file', join(path, 'init.pid'), id));
  await timed(times, 'Start', () => runc('start', id));
  await until('the end', async () => (await runc('state', id)).includes('"stopped"'));
  await timed(times, 'Delete', () => runc('delete', id));
  times.total = times.Create! + times.Start! + times.Delete!;
  return times;
}

/** A container that sleeps, and what is done with it meanwhile. */
export function sleeping<T>(
  lab: Lab,
  shim: Shim,
  work: (task: Tasks, bundle: Bundle, pids: { shim: number; init: number }) => Promise<T>,
): Promise<T> {
  return shim.with(lab.bundle(['/bin/sleep', '1000']), async (task, bundle) => {
    await task.Create({ id: bundle.id, bundle: bundle.path, options: lab.options() });
    const { pid: init = 0 } = await task.Start({ id: bundle.id });
    const { shimPid = 0 } = await task.Connect({ id: bundle.id });
    try {
      return await work(task, bundle, { shim: shimPid, init });
    } finally {
      await killAndDelete(task, bundle.id);
    }
  });
}

/** Exec, Start, Wait and Delete of one more process, some times, in milliseconds each. */
export async function execs(task: Tasks, id: string, rounds: number): Promise<number[]> {
  const took: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const exec = { id, execId: `e${i}` };
    const from = performance.now();
    await task.Exec({ ...exec, spec: PROCESS });
    await task.Start(exec);
    await task.Wait(exec);
    await task.Delete(exec);
    took.push(performance.now() - from);
  }
  return took;
}

/** From the kill of an init until the daemon has been told, in milliseconds. */
export function exitLatency(lab: Lab, shim: Shim): Promise<number> {
  return shim.with(lab.bundle(['/bin/sleep', '1000']), async (task, { id, path }) => {
    await task.Create({ id, bundle: path, options: lab.options() });
    const { pid = 0 } = await task.Start({ id });
    await pause(1000);
    const told = new Promise<number>((resolve) => lab.exits.set(id, resolve));
    const from = performance.now();
    process.kill(pid, 'SIGKILL');
    const took = (await told) - from;
    await task.Delete({ id });
    return took;
  });
}

/** Bytes per second of a container's output, in MiB, and CPU seconds of the shim meanwhile. */
export function output(
  lab: Lab,
  shim: Shim,
  { mebibytes, terminal }: { mebibytes: number; terminal: boolean },
): Promise<{ rate: number; cpu: number }> {
  return shim.with(
    lab.bundle(['/bin/dd', 'if=/dev/zero', 'bs=64k', `count=${mebibytes * 16}`], { terminal }),
    async (task, { id, path }) => {
      const stdout = join(path, 'stdout');
      makeFifo(stdout, 0o600);
      const reader = spawn('dd', [`if=${stdout}`, 'of=/dev/null', 'bs=64k'], { stdio: 'ignore' });
      const ended = new Promise((resolve) => reader.once('exit', resolve));
      // The Go shim refuses an empty stderr beside a stdout.
      await task.Create({ id, bundle: path, stdout, stderr: terminal ? '' : stdout, terminal, options: lab.options() });
      const { shimPid = 0 } = await task.Connect({ id });
      await pause(AT_REST_MS);
      const before = cpuSeconds(shimPid);
      const from = performance.now();
      await task.Start({ id });
      await task.Wait({ id });
      const seconds = (performance.now() - from) / 1000;
      const cpu = cpuSeconds(shimPid) - before;
      await task.Delete({ id });
      await ended;
      return { rate: mebibytes / seconds, cpu };
    },
  );
}

/** State calls per second on one connection, with 64 under way. */
export function stateRate(lab: Lab, shim: Shim): Promise<number> {
  return sleeping(lab, shim, async (task, { id }) => {
    const total = 40_000;
    let left = total;
    const from = performance.now();
    await Promise.all(
      Array.from({ length: 64 }, async () => {
        while (left-- > 0) await task.State({ id });
      }),
    );
    return total / ((performance.now() - from) / 1000);
  });
}

/** The latency of State that one call in a hundred exceeds, with one call under way on each of 64 connections; in milliseconds. */
export function stateLatency(lab: Lab, shim: Shim): Promise<number> {
  return shim.with(lab.bundle(['/bin/sleep', '1000']), async (task, { id, path }) => {
    await task.Create({ id, bundle: path, options: lab.options() });
    await task.Start({ id });
    const address = lab.address(path);
    const clients = await Promise.all(Array.from({ length: 64 }, () => connect(address)));
    const took: number[] = [];
    await Promise.all(
      clients.map(async (client) => {
        const its = client.service(Task);
        for (let i = 0; i < 300; i++) {
          const from = performance.now();
          await its.State({ id });
          took.push(performance.now() - from);
        }
      }),
    );
    for (const client of clients) client.close();
    await killAndDelete(task, id);
    return took.sort((a, b) => a - b)[Math.floor(took.length * 0.99)]!;
  });
}

/** How long a shim gets for what it does once it is idle. */
const REST_MS = 9_500;

export interface Density {
  /** MB for each container. */
  private: number;
  pss: number;
}

/** Memory of shims with one running container each, all at the same time. */
export async function density(lab: Lab, shim: Shim, containers: number, group = ''): Promise<Density> {
  const pids = new Set<number>();
  const annotations = group ? { 'io.containerd.runc.v2.group': group } : {};
  const nest = async (left: number): Promise<Density> => {
    if (left === 0) {
      await pause(REST_MS);
      const all = [...pids].map(memoryOf);
      const sum = (name: 'private' | 'pss'): number => all.reduce((total, one) => total + one[name], 0) / containers;
      return { private: sum('private'), pss: sum('pss') };
    }
    return shim.with(lab.bundle(['/bin/sleep', '1000'], { annotations }), async (task, { id, path }) => {
      await task.Create({ id, bundle: path, options: lab.options() });
      await task.Start({ id });
      pids.add((await task.Connect({ id })).shimPid);
      try {
        return await nest(left - 1);
      } finally {
        await killAndDelete(task, id);
      }
    });
  };
  return nest(containers);
}

/** Private memory before some work and after it, at rest both times, in MB. */
export function growth(lab: Lab, shim: Shim, work: (task: Tasks, bundle: Bundle) => Promise<void>): Promise<number> {
  return sleeping(lab, shim, async (task, bundle, pids) => {
    await pause(REST_MS);
    const before = memoryOf(pids.shim).private;
    await work(task, bundle);
    await pause(REST_MS);
    return memoryOf(pids.shim).private - before;
  });
}

/** A burst of output of an exec, through the shim's stdio. */
export async function burst(task: Tasks, { id, path }: Bundle, mebibytes: number): Promise<void> {
  const stdout = join(path, 'burst');
  makeFifo(stdout, 0o600);
  const reader = spawn('dd', [`if=${stdout}`, 'of=/dev/null', 'bs=64k'], { stdio: 'ignore' });
  const ended = new Promise((resolve) => reader.once('exit', resolve));
  const spec = {
    type_url: PROCESS.type_url,
    value: Buffer.from(
      JSON.stringify({
        cwd: '/',
        args: ['/bin/dd', 'if=/dev/zero', 'bs=64k', `count=${mebibytes * 16}`],
        env: ['PATH=/bin'],
        user: { uid: 0, gid: 0 },
      }),
    ),
  };
  const exec = { id, execId: 'burst' };
  await task.Exec({ ...exec, stdout, stderr: stdout, spec });
  await task.Start(exec);
  await task.Wait(exec);
  await task.Delete(exec);
  await ended;
}

/** What a run may have left in the cgroups when it was broken off. */
export function removeCgroups(): void {
  spawnSync('sh', ['-c', 'find /sys/fs/cgroup -depth -type d -path "*hawser-bench*" -exec rmdir {} + 2>/dev/null']);
}

/** Keeps a result; its file, for who wants to know where. */
export function writeResults(dir: string, name: string, text: string): string {
  mkdirSync(dir, { recursive: true });
  const file = join(dir, name);
  writeFileSync(file, text);
  return file;
}
