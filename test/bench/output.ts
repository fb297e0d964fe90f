/** Rows about what a container writes: how fast it gets through, and what the shim pays for it. */
import { spawn } from 'node:child_process';
import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { makeFifo } from '../../src/sys/index.js';
import { compiled } from './compiled.js';
import { runToEnd } from './run.js';
import { processOf } from './running.js';
import type { Running, Shim } from './shim.js';
import type { Row } from './statistics.js';
import { pick, type Turns } from './turns.js';

const BLOCKS_IN_MEBIBYTE = 16;

const writer = (mebibytes: number): string[] => [
  '/bin/dd',
  'if=/dev/zero',
  'bs=64k',
  `count=${mebibytes * BLOCKS_IN_MEBIBYTE}`,
];

/** A FIFO and who reads it to its end. */
function reader(path: string): Promise<unknown> {
  makeFifo(path, 0o600);
  const child = spawn('dd', [`if=${path}`, 'of=/dev/null', 'bs=64k'], { stdio: 'ignore' });
  return new Promise((resolve) => child.once('exit', resolve));
}

/** The same writer with nobody between it and the reader, or the file. Gives GiB/s. */
async function direct(way: 'fifo' | 'file', mebibytes: number, dir: string): Promise<number> {
  const file = join(dir, `direct-${way}`);
  const arrived = way === 'fifo' ? reader(file) : undefined;
  const from = performance.now();
  try {
    const child = spawn('sh', ['-c', 'exec "$@" >"$0"', file, ...writer(mebibytes)], { stdio: 'ignore' });
    await new Promise((resolve) => child.once('exit', resolve));
    const seconds = (performance.now() - from) / 1000;
    await arrived;
    return mebibytes / 1024 / seconds;
  } finally {
    rmSync(file, { force: true });
  }
}

/** The same writer on a terminal whose output is thrown away as soon as it is read. Gives MiB/s. */
async function directTerminal(mebibytes: number): Promise<number> {
  const program = compiled('terminal');
  const from = performance.now();
  await runToEnd([program, ...writer(mebibytes)], { env: {} });
  return mebibytes / ((performance.now() - from) / 1000);
}

async function directly(turns: Turns, way: 'fifo' | 'file', mebibytes: number, dir: string): Promise<number[]> {
  const found: number[] = [];
  for (let round = 0; round < Math.ceil(turns.rounds / 2); round++) found.push(await direct(way, mebibytes, dir));
  return found;
}

interface Flow {
  /** In MiB/s. */
  rate: number;
  /** Of shims and what they have started, in seconds per GiB. */
  cpu: number;
}

type Way = 'fifo' | 'file' | 'terminal';

/** From Start until the container has written all, of which no more than a pipe's worth is under way then. */
function flow(turns: Turns, shim: Shim, way: Way, mebibytes: number, logs: string): Promise<Flow> {
  const bundle = shim.bundle(writer(mebibytes), { terminal: way === 'terminal' });
  return shim.with(bundle, async ({ task, bundle: { id, path } }) => {
    const file = way === 'file' ? join(logs, id) : join(path, 'stdout');
    const arrived = way === 'file' ? undefined : shim.cgroup.outside(() => reader(file));
    const stdout = way === 'file' ? `file://${file}` : file;
    const terminal = way === 'terminal';
    try {
      // The Go shim refuses an empty stderr beside a stdout.
      const stderr = terminal ? '' : stdout;
      await task.Create({ id, bundle: path, stdout, stderr, terminal, options: turns.lab.options() });
      // The first start has a zygote boot and rehearse, which is not what is to be measured of what runs for long.
      await shim.cgroup.settle();
      const before = shim.cgroup.cpu('shims');
      const from = performance.now();
      await task.Start({ id });
      await task.Wait({ id });
      const seconds = (performance.now() - from) / 1000;
      await task.Delete({ id });
      await arrived;
      const cpu = (shim.cgroup.cpu('shims') - before) / 1000 / (mebibytes / 1024);
      // dd tells what it has done on its standard error, which is the same file.
      if (way === 'file' && statSync(file).size < mebibytes * 1024 * 1024)
        throw new Error(`${file} has only ${statSync(file).size} bytes of ${mebibytes} MiB`);
      return { rate: mebibytes / seconds, cpu };
    } finally {
      if (way === 'file') rmSync(file, { force: true });
    }
  });
}

/** @param logs a directory in memory: a disk would be measured else */
async function rowsOf(turns: Turns, way: Way, mebibytes: number, logs: string): Promise<Record<string, Flow[]>> {
  return turns.alone(way, Math.ceil(turns.rounds / 2), (shim) => flow(turns, shim, way, mebibytes, logs), {
    warmUp: 1,
  });
}

export async function fifo(turns: Turns, logs: string): Promise<Row[]> {
  const found = await rowsOf(turns, 'fifo', 1024, logs);
  return [
    {
      name: 'stdout through a FIFO',
      unit: 'GiB/s',
      less: false,
      samples: pick(found, ({ rate }) => rate / 1024),
      floor: await directly(turns, 'fifo', 1024, logs),
      goal: { ratio: 2.5 },
    },
    { name: 'CPU per GiB through a FIFO', unit: 's', samples: pick(found, ({ cpu }) => cpu), goal: { ratio: 0.25 } },
  ];
}

export async function file(turns: Turns, logs: string): Promise<Row[]> {
  const found = await rowsOf(turns, 'file', 512, logs);
  const samples = pick(found, ({ rate }) => rate / 1024);
  const floor = await directly(turns, 'file', 512, logs);
  return [
    { name: 'stdout into a file', unit: 'GiB/s', less: false, samples, floor, goal: { ratio: 1.5 } },
    { name: 'CPU per GiB into a file', unit: 's', samples: pick(found, ({ cpu }) => cpu) },
  ];
}

export async function terminal(turns: Turns, logs: string): Promise<Row[]> {
  const found = await rowsOf(turns, 'terminal', 128, logs);
  const samples = pick(found, ({ rate }) => rate);
  const floor: number[] = [];
  for (let round = 0; round < Math.ceil(turns.rounds / 2); round++) floor.push(await directTerminal(128));
  return [
    { name: 'output of a terminal', unit: 'MiB/s', less: false, samples, floor, goal: { ratio: 1.5 } },
    { name: 'CPU per GiB of a terminal', unit: 's', samples: pick(found, ({ cpu }) => cpu) },
  ];
}

/** A burst of output of an exec, through the shim's stdio. */
export async function burst(shim: Shim, { task, bundle: { id, path } }: Running, mebibytes: number): Promise<void> {
  const stdout = join(path, 'burst');
  const arrived = shim.cgroup.outside(() => reader(stdout));
  const exec = { id, execId: 'burst' };
  await task.Exec({ ...exec, stdout, stderr: stdout, spec: processOf(writer(mebibytes)) });
  await task.Start(exec);
  await task.Wait(exec);
  await task.Delete(exec);
  await arrived;
}
