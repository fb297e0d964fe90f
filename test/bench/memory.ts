/** Rows about memory: of shims that are idle, and what is left of work. */
import { pause } from './lab.js';
import { burst } from './output.js';
import { exec, REST_MS, sleeper, sleeping, type Sleeper } from './running.js';
import type { Shim } from './shim.js';
import type { Row } from './statistics.js';
import { pick, type Turns } from './turns.js';

const MB = 'MB';
/** Starts and ends of many, and the rest between them. */
const BOUND_MS = 600_000;
const ENDS_AT_ONCE = 4;

interface Density {
  /** Of the shims' own processes, for each container. */
  private: number;
  /** Of everything that is there, for each container. */
  pss: number;
}

/** Shims with one running container each, all at the same time, and nothing before them. */
async function densityOf(turns: Turns, shim: Shim, count: number, group = ''): Promise<Density> {
  const annotations: Record<string, string> = group ? { 'io.containerd.runc.v2.group': group } : {};
  const all: Sleeper[] = [];
  await shim.forget();
  try {
    while (all.length < count) all.push(await sleeper(turns.lab, shim, annotations));
    const own = new Set<number>();
    for (const one of all) for (const pid of await shim.ownProcesses(one)) own.add(pid);
    await pause(REST_MS);
    // Who woke up to say its pid has gone to sleep again.
    return { private: shim.memory([...own]).private / count, pss: shim.memory().pss / count };
  } finally {
    await Promise.all(
      Array.from({ length: group ? 1 : ENDS_AT_ONCE }, async () => {
        for (let one = all.pop(); one; one = all.pop()) await one.end();
      }),
    );
    // What was left for the next container would be in the next number.
    await shim.forget();
  }
}

/** @param counts numbers of shims */
export async function density(turns: Turns, counts: readonly number[]): Promise<Row[]> {
  const rows: Row[] = [];
  const asleep = counts.includes(10) ? 10 : Math.max(...counts);
  for (const count of counts) {
    const found = await turns.alone(`${count} shims`, 1, (shim) => densityOf(turns, shim, count), {
      boundMs: BOUND_MS,
    });
    const goal = { 10: { ratio: 1.5 }, 200: { most: 0.3 } }[count];
    rows.push({
      name: `private memory, each of ${count}`,
      unit: MB,
      samples: pick(found, (one) => one.private),
      ...(count === asleep ? { goal: { most: 0.2 } } : {}),
    });
    rows.push({
      name: `PSS of everything, each of ${count}`,
      unit: MB,
      samples: pick(found, ({ pss }) => pss),
      ...(goal ? { goal } : {}),
    });
  }
  const group = await turns.alone('a group of ten', 1, (shim) => densityOf(turns, shim, 10, 'g'), {
    boundMs: BOUND_MS,
  });
  rows.push({ name: 'private memory, each of 10 in a group', unit: MB, samples: pick(group, (one) => one.private) });
  return rows;
}

/** Private memory of all that is there, before some work and after it, at rest both times. */
function growthOf(
  turns: Turns,
  what: string,
  work: (shim: Shim, one: Sleeper) => Promise<void>,
): Promise<Row['samples']> {
  const measure = (shim: Shim): Promise<number> =>
    sleeping(turns.lab, shim, async (one) => {
      await pause(REST_MS);
      const before = shim.memory().private;
      await work(shim, one);
      await pause(REST_MS);
      return shim.memory().private - before;
    });
  return turns.alone(what, 1, measure, { boundMs: BOUND_MS });
}

/** @param execs how many one after the other */
export async function growth(turns: Turns, execs: number): Promise<Row[]> {
  const byOutput = await growthOf(turns, 'growth by output', (shim, one) => burst(shim, one, 1024));
  const byExecs = await growthOf(turns, 'growth by execs', async (_, one) => {
    for (let i = 0; i < execs; i++) await exec(one);
  });
  return [
    { name: 'growth by 1 GiB of output', unit: MB, samples: byOutput, goal: { most: 2 } },
    { name: `growth by ${execs} execs`, unit: MB, samples: byExecs, goal: { most: 2 } },
  ];
}
