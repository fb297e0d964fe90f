/** Rows about whole lives of containers: how long they take, and what they cost. */
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { until } from '../support/daemons.js';
import { bareRunc } from './bare.js';
import { APART_MS, pause, timed, type Lab, type Times } from './lab.js';
import type { Shim } from './shim.js';
import type { Row } from './statistics.js';
import { flat, pick, type Turns } from './turns.js';

/** Lives of one shim in one turn. */
const IN_A_ROW = 5;
const AT_ONCE = 16;
/** For what a shim has left to do once a life is over: a zygote boots and rehearses, say. */
const AFTERWARDS_MS = 5_000;
const STEPS = ['start', 'Create', 'Start', 'Wait', 'Delete', 'total', 'delete action'] as const;

/** One container from start to delete. `total` is what its client waits for. */
export async function life(lab: Lab, shim: Shim): Promise<Times> {
  const times: Times = {};
  await shim.with(
    shim.bundle(['/bin/true']),
    async ({ task, bundle: { id, path } }) => {
      const exit = new Promise<number>((resolve) => lab.exits.set(id, resolve));
      await timed(times, 'Create', () => task.Create({ id, bundle: path, options: lab.options() }));
      await timed(times, 'Start', () => task.Start({ id }));
      await timed(times, 'Wait', () => task.Wait({ id }));
      await exit;
      await timed(times, 'Delete', () => task.Delete({ id }));
    },
    times,
  );
  times.total = times.start! + times.Create! + times.Start! + times.Wait! + times.Delete!;
  return times;
}

async function bareLife(lab: Lab, shim: Shim): Promise<Times> {
  const times: Times = {};
  const { id, path } = shim.bundle(['/bin/true']);
  const runc = bareRunc(join(lab.state, 'runc/bare'), path);
  await timed(times, 'Create', () => runc('create', '--bundle', path, '--pid-file', join(path, 'init.pid'), id));
  await timed(times, 'Start', () => runc('start', id));
  await until('the end', async () => (await runc('state', id)).includes('"stopped"'));
  await timed(times, 'Delete', () => runc('delete', id));
  times.total = times.Create! + times.Start! + times.Delete!;
  return times;
}

async function inARow(lab: Lab, shim: Shim, count: number, pauseMs: number): Promise<Times[]> {
  const all: Times[] = [];
  for (let i = 0; i < count; i++) {
    if (pauseMs > 0) await pause(pauseMs);
    all.push(await life(lab, shim));
  }
  return all;
}

/** With a pause between them, and every step by itself; beside bare runc. */
export async function apart(turns: Turns): Promise<Row[]> {
  const floor: Times[] = [];
  const count = Math.ceil(turns.rounds / IN_A_ROW);
  const measure = async (shim: Shim, round: number): Promise<Times[]> => {
    if (shim === turns.ours && round >= 0)
      for (let i = 0; i < IN_A_ROW; i++) {
        await pause(APART_MS);
        floor.push(await bareLife(turns.lab, shim));
      }
    return inARow(turns.lab, shim, IN_A_ROW, APART_MS);
  };
  const found = await turns.alone('lives 0.4 s apart', count, measure, { warmUp: 1 });
  return STEPS.map((name) => {
    const bare = floor.flatMap((times) => times[name] ?? []);
    return {
      name: name === 'total' ? 'total, 0.4 s apart' : name,
      unit: 'ms',
      samples: flat(pickEach(found, (times) => times[name]!)),
      ...(bare.length > 0 ? { floor: bare } : {}),
      ...(name === 'total' ? { goal: { ratio: 0.6 } } : {}),
    };
  });
}

function pickEach(
  found: Record<string, Times[][]>,
  number: (times: Times) => number,
): Record<string, (readonly number[])[]> {
  return Object.fromEntries(
    Object.entries(found).map(([name, lists]) => [name, lists.map((list) => list.map(number))]),
  );
}

/** Of those that understand how containerd from 2.3 on starts a shim, ours started so, too. */
export async function newer(turns: Turns): Promise<Row[]> {
  const { ours } = turns;
  const shims = turns.shims.filter((shim) => shim === ours || shim.dialect === 'params');
  const usual = ours.dialect;
  ours.dialect = 'params';
  try {
    const measure = (shim: Shim): Promise<Times[]> => inARow(turns.lab, shim, IN_A_ROW, APART_MS);
    const count = Math.ceil(turns.rounds / IN_A_ROW);
    const found = await turns.alone('lives as of containerd 2.3', count, measure, { warmUp: 1, shims });
    return (['start', 'total'] as const).map((name) => ({
      name: `${name}, 0.4 s apart, by a daemon from 2.3 on`,
      unit: 'ms',
      samples: flat(pickEach(found, (times) => times[name]!)),
    }));
  } finally {
    ours.dialect = usual;
  }
}

/** Without any pause. The first of a row has one before it, and does not count. */
export async function next(turns: Turns): Promise<Row[]> {
  const measure = async (shim: Shim): Promise<Times[]> => (await inARow(turns.lab, shim, IN_A_ROW + 1, 0)).slice(1);
  const count = Math.ceil(turns.rounds / IN_A_ROW);
  const found = await turns.alone('one life after the other', count, measure, { warmUp: 1 });
  const samples = flat(pickEach(found, ({ total }) => total!));
  return [{ name: 'total, one after the other', unit: 'ms', samples, goal: { ratio: 0.65 } }];
}

/** Nothing of the shim runs or waits; the files are in the page cache. */
export async function first(turns: Turns): Promise<Row[]> {
  const measure = async (shim: Shim): Promise<Times> => {
    await shim.forget();
    return life(turns.lab, shim);
  };
  const found = await turns.alone('first of all', turns.rounds, measure, { warmUp: 1 });
  const samples = pick(found, ({ total }) => total!);
  return [{ name: 'total, first of all', unit: 'ms', samples, goal: { ratio: 1.5 } }];
}

/** Until the last of all, its shim's end and the daemon's cleaning up included, is over. */
export async function sixteen(turns: Turns): Promise<Row[]> {
  const measure = async (shim: Shim): Promise<number> => {
    const from = performance.now();
    await Promise.all(Array.from({ length: AT_ONCE }, () => life(turns.lab, shim)));
    return performance.now() - from;
  };
  const samples = await turns.alone('sixteen lives at once', turns.rounds, measure, { warmUp: 1 });
  return [{ name: 'sixteen lives at once', unit: 'ms', samples, goal: { ratio: 0.75 } }];
}

/** Of everything: shim, runtime, container, the daemon's calls of the shim, and what runs in the background for seconds afterwards. */
export async function cpu(turns: Turns): Promise<Row[]> {
  const measure = async (shim: Shim): Promise<number> => {
    const before = shim.cgroup.cpu();
    await inARow(turns.lab, shim, IN_A_ROW, APART_MS);
    await pause(AFTERWARDS_MS);
    await shim.cgroup.settle();
    return (shim.cgroup.cpu() - before) / IN_A_ROW;
  };
  const samples = await turns.alone('processor time', Math.ceil(turns.rounds / IN_A_ROW), measure, { warmUp: 1 });
  return [
    {
      name: 'CPU per life, all counted',
      unit: 'ms',
      samples,
      goal: { ratio: 0.75 },
      note: `means of ${IN_A_ROW} lives`,
    },
  ];
}
