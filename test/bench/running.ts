/** Rows about containers that run: exits, execs, calls, at work and after a rest. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { ContainerdTaskV2Task as TaskV2, ContainerdTaskV3Task as TaskV3 } from '../../src/api/index.js';
import { bareRunc } from './bare.js';
import { APART_MS, pause, type Lab } from './lab.js';
import { load, type Load } from './load.js';
import { NAMESPACE, type Running, type Shim, type Tasks } from './shim.js';
import { type Row } from './statistics.js';
import { flat, type Turns } from './turns.js';

/** After it a shim has done all that it does once it is idle. */
export const REST_MS = 15_000;
/** Long enough for what comes right after a start. */
const SHORTLY_MS = 1_000;
/** Containers of each shim that rest at the same time. */
const ASLEEP = 4;
/** Execs right after each other, of one shim in one turn. */
const IN_A_ROW = 5;
/** Questions at the same time. */
const UNDER_WAY = 64;

/** What an exec runs. */
export function processOf(args: readonly string[]): { type_url: string; value: Uint8Array } {
  return {
    type_url: 'types.containerd.io/opencontainers/runtime-spec/1/Process',
    value: Buffer.from(JSON.stringify({ cwd: '/', args, env: ['PATH=/bin'], user: { uid: 0, gid: 0 } })),
  };
}
const TRUE = processOf(['/bin/true']);

export interface Sleeper extends Running {
  init: number;
  end: () => Promise<void>;
}

/** A container that sleeps, until its `end`. */
export async function sleeper(lab: Lab, shim: Shim, annotations: Record<string, string> = {}): Promise<Sleeper> {
  const { running, end } = await shim.begin(shim.bundle(['/bin/sleep', '1000'], { annotations }));
  const { id, path } = running.bundle;
  try {
    await running.task.Create({ id, bundle: path, options: lab.options() });
    const { pid: init = 0 } = await running.task.Start({ id });
    return { ...running, init, end: () => killAndDelete(running.task, id).finally(end) };
  } catch (error) {
    await end();
    throw error;
  }
}

async function killAndDelete(task: Tasks, id: string): Promise<void> {
  await task.Kill({ id, signal: 9 });
  await task.Wait({ id });
  await task.Delete({ id });
}

/** A container that sleeps, and what is done with it meanwhile. */
export async function sleeping<T>(lab: Lab, shim: Shim, work: (one: Sleeper) => Promise<T>): Promise<T> {
  const one = await sleeper(lab, shim);
  try {
    return await work(one);
  } finally {
    await one.end();
  }
}

/** Containers of every shim that sleep at the same time, while turns are taken with them: what these shims start is in their cgroups. */
export async function withSleepers(
  turns: Turns,
  what: string,
  count: number,
  work: (of: (shim: Shim) => readonly Sleeper[]) => Promise<void>,
): Promise<void> {
  const all = new Map<Shim, Sleeper[]>(turns.shims.map((shim) => [shim, []]));
  try {
    await turns.take(`${what}, containers`, count, async (shim) =>
      shim.cgroup.inside(async () => void all.get(shim)!.push(await sleeper(turns.lab, shim))),
    );
    await work((shim) => all.get(shim)!);
  } finally {
    await turns.take(`${what}, end`, 1, async (shim) => {
      for (const one of all.get(shim)!) await shim.cgroup.inside(one.end);
    });
  }
}

let execs = 0;

/** Exec, Start, Wait and Delete of one more process, in milliseconds. */
export async function exec({ task, bundle: { id } }: Running): Promise<number> {
  const one = { id, execId: `e${execs++}` };
  const from = performance.now();
  await task.Exec({ ...one, spec: TRUE });
  await task.Start(one);
  await task.Wait(one);
  await task.Delete(one);
  return performance.now() - from;
}

/** The floor, in the same container. */
async function bareExec(lab: Lab, { bundle: { id, path } }: Running): Promise<number> {
  const process = join(path, 'bare.json');
  writeFileSync(process, TRUE.value);
  const runc = bareRunc(join(lab.state, 'runc', NAMESPACE), path);
  const from = performance.now();
  await runc('exec', '--process', process, '--detach', '--pid-file', join(path, 'bare.pid'), id);
  return performance.now() - from;
}

/** Of shims that are at work: one at a time, beside bare runc, and one right after the other. */
export async function execRow(turns: Turns): Promise<Row[]> {
  let apart = {};
  let inARow = {};
  const floor: number[] = [];
  await withSleepers(turns, 'exec', 1, async (of) => {
    const one = (shim: Shim): Sleeper => of(shim)[0]!;
    const measure = async (shim: Shim, round: number): Promise<number> => {
      await pause(APART_MS);
      if (shim === turns.ours && round >= 0) {
        floor.push(await bareExec(turns.lab, one(shim)));
        await pause(APART_MS);
      }
      return exec(one(shim));
    };
    apart = await turns.take('exec', turns.rounds, measure, { warmUp: 2 });
    const row = async (shim: Shim): Promise<number[]> => {
      await pause(APART_MS);
      // The first of them has a pause before it.
      await exec(one(shim));
      const took: number[] = [];
      for (let i = 0; i < IN_A_ROW; i++) took.push(await exec(one(shim)));
      return took;
    };
    inARow = flat(await turns.take('execs in a row', Math.ceil((2 * turns.rounds) / IN_A_ROW), row, { warmUp: 1 }));
  });
  const goal = { ratio: 0.9 };
  return [
    { name: 'exec: Exec, Start, Wait, Delete', unit: 'ms', samples: apart, floor, goal },
    { name: 'exec, one after the other', unit: 'ms', samples: inARow, goal },
  ];
}

/** The first of some work after a rest, of shims that nobody has asked for anything meanwhile. */
async function afterRest(turns: Turns, what: string, work: (one: Sleeper) => Promise<number>): Promise<Row['samples']> {
  let found: Record<string, number[][]> = {};
  await withSleepers(turns, what, ASLEEP, async (of) => {
    let rested: number | undefined;
    const measure = async (shim: Shim, round: number): Promise<number[]> => {
      // All rest at the same time.
      if (rested !== round) await pause(REST_MS);
      rested = round;
      const took: number[] = [];
      for (const one of of(shim)) took.push(await work(one));
      return took;
    };
    found = await turns.take(what, Math.ceil(turns.rounds / ASLEEP), measure, { warmUp: 1 });
  });
  return flat(found);
}

export async function execAfterRest(turns: Turns): Promise<Row[]> {
  const samples = await afterRest(turns, 'exec, sleeping', async (one) => {
    await pause(APART_MS);
    return exec(one);
  });
  return [{ name: `exec, after ${REST_MS / 1000} s of rest`, unit: 'ms', samples, goal: { ratio: 1 } }];
}

/** What a shim that sleeps answers as it is, and what it has to wake for. */
export async function wake(turns: Turns): Promise<Row[]> {
  const rows: Row[] = [];
  for (const method of ['State', 'Pids'] as const) {
    const samples = await afterRest(turns, `wake-up, ${method}`, async ({ task, bundle: { id } }) => {
      const from = performance.now();
      await task[method]({ id });
      return performance.now() - from;
    });
    rows.push({ name: `${method}, after ${REST_MS / 1000} s of rest`, unit: 'ms', samples });
  }
  return rows;
}

/** From the kill of an init until the daemon has been told. */
export async function exit(turns: Turns): Promise<Row[]> {
  const measure = (shim: Shim): Promise<number> =>
    shim.with(shim.bundle(['/bin/sleep', '1000']), async ({ task, bundle: { id, path } }) => {
      await task.Create({ id, bundle: path, options: turns.lab.options() });
      const { pid = 0 } = await task.Start({ id });
      await pause(SHORTLY_MS);
      const told = new Promise<number>((resolve) => turns.lab.exits.set(id, resolve));
      const from = performance.now();
      process.kill(pid, 'SIGKILL');
      const took = (await told) - from;
      await task.Delete({ id });
      return took;
    });
  const samples = await turns.alone('exit', turns.rounds, measure, { warmUp: 1 });
  return [{ name: 'exit to TaskExit', unit: 'ms', samples, goal: { ratio: 0.7 } }];
}

/** State, asked 20,000 times of one shim. */
async function askState({ address, version, bundle: { id } }: Running, connections: number): Promise<Load> {
  const { name: service, methods } = version >= 3 ? TaskV3 : TaskV2;
  const payload = methods.State.request.encode({ id }).finish();
  const to = address.replace(/^unix:\/\//, '');
  return load(
    to,
    { service, method: 'State', payload },
    { connections, depth: UNDER_WAY / connections, total: 20_000 },
  );
}

export async function calls(turns: Turns): Promise<Row[]> {
  const rounds = Math.ceil(turns.rounds / 4);
  const of = (what: string, connections: number, number: (load: Load) => number): Promise<Row['samples']> =>
    turns.alone(
      what,
      rounds,
      (shim) => sleeping(turns.lab, shim, async (one) => number(await askState(one, connections))),
      { warmUp: 1 },
    );
  return [
    {
      name: 'State calls, 64 on one connection',
      unit: '/s',
      less: false,
      samples: await of('State calls', 1, ({ perSecond }) => perSecond),
      goal: { ratio: 1.2 },
    },
    {
      name: 'State, 99th of 100, 64 connections',
      unit: 'ms',
      samples: await of('State latency', UNDER_WAY, ({ ofHundred }) => ofHundred),
      goal: { ratio: 0.8 },
    },
  ];
}
