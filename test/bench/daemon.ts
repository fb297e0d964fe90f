/**
 * `make bench-daemon`: hawserd with the built shim beside the machine's containerd with its Go shim, taking turns: `ctr run --rm` of
 * /bin/true, and what each daemon holds when it is idle after that. Times are of this machine at this moment; only the ratios say
 * something elsewhere.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { Containerd, shimDir, stockDir, top, until } from '../support/daemons.js';

const ROUNDS = Number(process.env.ROUNDS || 20);
const WARM_UP = 2;
/** Long enough for what a daemon does once it is idle. */
const IDLE_MS = 5000;

const sorted = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b);
const quantile = (values: readonly number[], part: number): number =>
  sorted(values)[Math.floor(values.length * part)] ?? NaN;
const quartiles = (values: readonly number[]): string =>
  `${quantile(values, 1 / 4).toFixed(0)}–${quantile(values, 3 / 4).toFixed(0)}`;

/** As users have it: no lines of traces to write. */
function quieten({ dir }: Containerd): void {
  const file = join(dir, 'config.toml');
  writeFileSync(file, readFileSync(file, 'utf8').replace('"trace"', '"info"'));
}

async function run(daemon: Containerd, id: string): Promise<number> {
  const from = performance.now();
  await daemon.run(id, ['/bin/true']);
  return performance.now() - from;
}

type Memory = Readonly<Record<'Rss' | 'Pss' | 'Private_Dirty', number>>;

/** In MB. */
function memoryOf({ pid }: Containerd): Memory {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const megabytes = (name: string): number => Number(new RegExp(`^${name}: +(\\d+) kB`, 'm').exec(rollup)?.[1]) / 1024;
  return { Rss: megabytes('Rss'), Pss: megabytes('Pss'), Private_Dirty: megabytes('Private_Dirty') };
}

function row(name: string, ours: number, theirs: number, unit: string, extra = ''): void {
  console.log(
    `${name.padEnd(30)} ${`${ours.toFixed(1)} ${unit}`.padStart(12)} ${`${theirs.toFixed(1)} ${unit}`.padStart(12)} ${(ours / theirs).toFixed(2).padStart(7)}   ${extra}`,
  );
}

const load = (): string =>
  loadavg()
    .map((value) => value.toFixed(1))
    .join(' ');

const ours = new Containerd(shimDir, join(top, 'bin/hawserd'));
const theirs = new Containerd(stockDir);
try {
  for (const daemon of [ours, theirs]) quieten(daemon);
  await ours.start();
  await theirs.start();
  const before = load();
  const took = { ours: [] as number[], theirs: [] as number[] };
  for (let i = -WARM_UP; i < ROUNDS; i++) {
    const [a, b] = [await run(ours, `bench${i + WARM_UP}`), await run(theirs, `bench${i + WARM_UP}`)];
    if (i < 0) continue;
    took.ours.push(a);
    took.theirs.push(b);
  }
  await until('the shims to end', async () => (await ours.shimPids()).length + (await theirs.shimPids()).length === 0);
  await delay(IDLE_MS);
  const [memory, theirMemory] = [memoryOf(ours), memoryOf(theirs)];
  console.log(
    `\n${ROUNDS} rounds in turns, medians (quartiles of ours | containerd's); load of the machine ${before}, then ${load()}`,
  );
  console.log(`${''.padEnd(30)} ${'hawserd'.padStart(12)} ${`containerd`.padStart(12)} ${'ratio'.padStart(7)}`);
  row(
    'ctr run --rm /bin/true',
    quantile(took.ours, 1 / 2),
    quantile(took.theirs, 1 / 2),
    'ms',
    `(${quartiles(took.ours)} | ${quartiles(took.theirs)})`,
  );
  for (const [name, key] of [
    ['memory when idle: resident', 'Rss'],
    ['  proportional (Pss)', 'Pss'],
    ['  private dirty', 'Private_Dirty'],
  ] as const) {
    row(name, memory[key], theirMemory[key], 'MB');
  }
} finally {
  await ours.cleanUp();
  await theirs.cleanUp();
}
