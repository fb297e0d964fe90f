/**
 * `make bench`: the built shim beside the Go shim and bare runc, in one run, taking turns. Times are of this machine at this
 * moment; only the ratios say something elsewhere.
 */
import { loadavg, cpus, release } from 'node:os';
import { join } from 'node:path';
import { Containerd, shimDir, stockDir, top } from '../support/daemons.js';
import { Lab, pause, type Shim, type Times } from './lab.js';
import * as measures from './measures.js';
import { isReached, json, svg, table, type Row } from './report.js';

const ROUNDS = Number(process.env.HAWSER_BENCH_ROUNDS ?? 20);
const WARM_UP = 2;
/** After a start the next zygote boots and rehearses; a container a second is as fast as most people start them. */
const BETWEEN_MS = 400;
const DENSITIES = (process.env.HAWSER_BENCH_DENSITY ?? '10,50,200').split(',').filter(Boolean).map(Number);
const EXECS = Number(process.env.HAWSER_BENCH_EXECS ?? 500);

const rows: Row[] = [];
const say = (text: string): void =>
  void process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${text}` : text && `${text}\n`);

/** Takes turns, so that whatever else the machine does happens to both. */
async function both<T>(
  rounds: number,
  between: number,
  measure: (shim: Shim) => Promise<T>,
): Promise<{ ours: T[]; go: T[] }> {
  const found = { ours: [] as T[], go: [] as T[] };
  for (let i = 0; i < rounds; i++) {
    for (const name of ['ours', 'go'] as const) {
      await pause(between);
      found[name].push(await measure(lab[name]));
    }
  }
  return found;
}

async function lives(): Promise<void> {
  const found = { ours: [] as Times[], go: [] as Times[], floor: [] as Times[] };
  for (let i = -WARM_UP; i < ROUNDS; i++) {
    say(`lives: ${i + WARM_UP + 1} of ${ROUNDS + WARM_UP}`);
    await pause(BETWEEN_MS);
    const ours = await measures.life(lab, lab.ours);
    await pause(BETWEEN_MS);
    const go = await measures.life(lab, lab.go);
    const floor = await measures.bareRunc(lab);
    if (i < 0) continue;
    found.ours.push(ours);
    found.go.push(go);
    found.floor.push(floor);
  }
  const goals: Record<string, number> = { start: 0.5, total: 0.8, 'delete action': 0.5 };
  for (const name of ['start', 'Create', 'Start', 'Wait', 'Delete', 'total', 'delete action']) {
    const of = (list: Times[]): number[] => list.flatMap((times) => times[name] ?? []);
    const floor = of(found.floor);
    rows.push({
      name,
      unit: 'ms',
      ours: of(found.ours),
      go: of(found.go),
      ...(floor.length > 0 ? { floor } : {}),
      ...(goals[name] ? { goal: { less: true, ratio: goals[name] } } : {}),
    });
  }
}

async function starts(): Promise<void> {
  for (const [what, between, env] of [
    ['without a zygote', 50, { HAWSER_ZYGOTE: 'off' }],
    ['one life after the other', 0, {}],
  ] as const) {
    say(what);
    const found = { ours: [] as Times[], go: [] as Times[] };
    // Without a pause each has its own turn, or the other's life would be one.
    if (between > 0)
      Object.assign(found, await both(Math.ceil(ROUNDS / 2), between, (shim) => measures.life(lab, shim, env)));
    else
      for (const name of ['ours', 'go'] as const)
        for (let i = 0; i < ROUNDS; i++) found[name].push(await measures.life(lab, lab[name], env));
    const pick = (key: string) => ({
      ours: found.ours.map((times) => times[key]!),
      go: found.go.map((times) => times[key]!),
    });
    rows.push({
      name: `start, ${what}`,
      unit: 'ms',
      ...pick('start'),
      ...(between > 0 ? { goal: { less: true, ratio: 2.5 } } : {}),
    });
    rows.push({ name: `total, ${what}`, unit: 'ms', ...pick('total') });
  }
}

/** In two containers that run at the same time, one of each shim. */
async function execs(): Promise<void> {
  for (const [name, between] of [
    ['exec: Exec, Start, Wait, Delete', 0],
    ['exec, one in 0.2 s', 200],
  ] as const) {
    say(name);
    const found = { ours: [] as number[], go: [] as number[] };
    await measures.sleeping(lab, lab.ours, (ours, { id: our }) =>
      measures.sleeping(lab, lab.go, async (go, { id: its }) => {
        await pause(measures.AT_REST_MS);
        for (let i = -WARM_UP; i < 2 * ROUNDS; i++) {
          for (const [list, task, id] of [
            [found.ours, ours, our],
            [found.go, go, its],
          ] as const) {
            await pause(between);
            const took = await measures.execs(task, id, 1);
            if (i >= 0) list.push(...took);
          }
        }
      }),
    );
    rows.push({ name, unit: 'ms', ...found, goal: { less: true, ratio: 0.95 } });
  }
}

async function exits(): Promise<void> {
  say('exits');
  rows.push({
    name: 'exit to TaskExit',
    unit: 'ms',
    ...(await both(Math.ceil(ROUNDS / 2), BETWEEN_MS, (shim) => measures.exitLatency(lab, shim))),
    goal: { less: true, ratio: 1 },
  });
}

async function underContainerd(): Promise<void> {
  say('ctr run --rm');
  const daemon = new Containerd(shimDir);
  const found = { ours: [] as number[], go: [] as number[] };
  try {
    await daemon.start();
    for (let i = -WARM_UP; i < ROUNDS; i++) {
      for (const [name, dir] of [
        ['ours', shimDir],
        ['go', stockDir],
      ] as const) {
        await pause(BETWEEN_MS);
        const from = performance.now();
        await daemon.run(`bench${i + WARM_UP}`, ['/bin/true'], {
          flags: ['--runtime', join(dir, 'containerd-shim-runc-v2')],
        });
        if (i >= 0) found[name].push(performance.now() - from);
      }
    }
  } finally {
    await daemon.cleanUp();
  }
  rows.push({ name: 'ctr run --rm, one containerd', unit: 'ms', ...found, goal: { less: true, ratio: 0.95 } });
}

async function throughput(): Promise<void> {
  say('output');
  for (const [name, options, ratio] of [
    ['stdout through a FIFO', { mebibytes: 1024, terminal: false }, 2],
    ['output of a terminal', { mebibytes: 256, terminal: true }, 1.3],
  ] as const) {
    const found = await both(5, BETWEEN_MS, (shim) => measures.output(lab, shim, options));
    const cpu = (list: { cpu: number }[]): string =>
      (list.reduce((sum, one) => sum + one.cpu, 0) / list.length).toFixed(2);
    rows.push({
      name,
      unit: 'MiB/s',
      ours: found.ours.map(({ rate }) => rate),
      go: found.go.map(({ rate }) => rate),
      goal: { less: false, ratio },
      note: `CPU of the shim ${cpu(found.ours)} s | ${cpu(found.go)} s`,
    });
  }
}

async function calls(): Promise<void> {
  say('State calls');
  // So that our own client has been compiled before anybody is measured with it.
  await measures.stateLatency(lab, lab.go);
  rows.push({
    name: 'State calls, 64 on one connection',
    unit: '/s',
    ...(await both(3, BETWEEN_MS, (shim) => measures.stateRate(lab, shim))),
    goal: { less: false, ratio: 0.8 },
  });
  rows.push({
    name: 'State, 99th of 100, 64 connections',
    unit: 'ms',
    ...(await both(3, BETWEEN_MS, (shim) => measures.stateLatency(lab, shim))),
    goal: { less: true, ratio: 1.5 },
  });
}

async function memory(): Promise<void> {
  for (const count of DENSITIES) {
    say(`${count} shims`);
    const found = await both(1, 0, (shim) => measures.density(lab, shim, count));
    const pick = (key: 'private' | 'pss') => ({
      ours: found.ours.map((one) => one[key]),
      go: found.go.map((one) => one[key]),
    });
    rows.push({
      name: `private memory, each of ${count} shims`,
      unit: 'MB',
      ...pick('private'),
      ...(count === 10 ? { most: 8 } : {}),
    });
    rows.push({ name: `PSS, each of ${count} shims`, unit: 'MB', ...pick('pss') });
  }
  say('a group of ten');
  const group = await both(1, 0, (shim) => measures.density(lab, shim, 10, 'g'));
  rows.push({
    name: 'private memory, each of 10 in a group',
    unit: 'MB',
    ours: group.ours.map((one) => one.private),
    go: group.go.map((one) => one.private),
    most: 1,
  });
  say('memory after a burst, and after execs');
  rows.push({
    name: 'growth by 1 GiB of output',
    unit: 'MB',
    ...(await both(1, 0, (shim) => measures.growth(lab, shim, (task, bundle) => measures.burst(task, bundle, 1024)))),
    most: 2,
  });
  if (EXECS > 0)
    rows.push({
      name: `growth by ${EXECS} execs`,
      unit: 'MB',
      ...(await both(1, 0, (shim) =>
        measures.growth(lab, shim, async (task, { id }) => void (await measures.execs(task, id, EXECS))),
      )),
      most: 2,
    });
}

const PARTS = { lives, starts, execs, exits, ctr: underContainerd, output: throughput, calls, memory };
const ONLY = (process.env.HAWSER_BENCH_ONLY ?? '').split(',').filter(Boolean);
const unknown = ONLY.filter((name) => !Object.hasOwn(PARTS, name));
if (unknown.length > 0)
  throw new Error(
    `HAWSER_BENCH_ONLY: no part is called ${unknown.join(', ')}; there are ${Object.keys(PARTS).join(', ')}`,
  );
const lab = await new Lab().open();
const before = loadavg();
try {
  for (const [name, part] of Object.entries(PARTS)) if (ONLY.length === 0 || ONLY.includes(name)) await part();
} finally {
  lab.close();
  measures.removeCgroups();
}
say('');
const title = `hawser beside the Go shim, ${ROUNDS} rounds: medians`;
console.log(`${title}\n\n${table(rows)}\n`);
const dir = join(top, 'dist/bench');
const about = {
  title,
  date: new Date().toISOString(),
  kernel: release(),
  cpus: cpus().length,
  node: process.version,
  loadBefore: before,
  loadAfter: loadavg(),
};
console.log(
  `${measures.writeResults(dir, 'bench.json', json(rows, about))}\n${measures.writeResults(
    dir,
    'bench.svg',
    svg(
      rows.filter(({ name }) => !name.startsWith('growth')),
      `${title}; ratio, log scale; dashed: to reach`,
    ),
  )}`,
);
const missed = rows.filter((row) => isReached(row) === false).map(({ name }) => name);
if (missed.length > 0) console.log(`\nnot reached: ${missed.join(', ')}`);
