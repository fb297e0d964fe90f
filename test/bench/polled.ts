/** Rows about shims whose containers somebody looks at all the time, as a kubelet does, or who collects metrics. */
import { pause } from './lab.js';
import { withSleepers, type Sleeper } from './running.js';
import type { Shim } from './shim.js';
import type { Row, Samples } from './statistics.js';
import type { Turns } from './turns.js';

/** How often they are asked what they use. */
const EVERY_MS = 10_000;
const CONTAINERS = 10;
/** After so many questions a shim has found out that it is asked again and again. */
const UNCOUNTED = 4;
const COUNTED = 5;

/** Stats of each of ten containers, every ten seconds: what a question costs, and what the shims have meanwhile. */
export async function polled(turns: Turns): Promise<Row[]> {
  const found: Record<'cpu' | 'own' | 'pss', Record<string, number[]>> = { cpu: {}, own: {}, pss: {} };
  await withSleepers(turns, 'polled', CONTAINERS, async (of) => {
    const before = new Map<Shim, number>();
    const own = new Map<Shim, number[]>();
    for (const shim of turns.shims) own.set(shim, await ownProcesses(shim, of(shim)));
    for (let round = 0; round < UNCOUNTED + COUNTED; round++) {
      turns.say(`polled: ${round + 1} of ${UNCOUNTED + COUNTED}`);
      await pause(EVERY_MS);
      if (round === UNCOUNTED) for (const shim of turns.shims) before.set(shim, shim.cgroup.cpu('shims'));
      for (const shim of turns.shims) for (const { task, bundle } of of(shim)) await task.Stats({ id: bundle.id });
    }
    // Half-way to the next question.
    await pause(EVERY_MS / 2);
    for (const shim of turns.shims) {
      const { name } = shim;
      // Whoever serves at this moment is one of its own, too.
      const pids = new Set([...own.get(shim)!, ...(await ownProcesses(shim, of(shim)))]);
      found.cpu[name] = [(shim.cgroup.cpu('shims') - before.get(shim)!) / COUNTED / CONTAINERS];
      found.own[name] = [shim.memory([...pids]).private / CONTAINERS];
      found.pss[name] = [shim.memory().pss / CONTAINERS];
    }
  });
  const row = (name: string, unit: string, samples: Samples): Row => ({ name, unit, samples, goal: { ratio: 1 } });
  return [
    row('CPU per Stats, every 10 s', 'ms', found.cpu),
    row('private memory, Stats every 10 s', 'MB', found.own),
    row('PSS of everything, Stats every 10 s', 'MB', found.pss),
  ];
}

async function ownProcesses(shim: Shim, all: readonly Sleeper[]): Promise<number[]> {
  const pids: number[] = [];
  for (const one of all) pids.push(...(await shim.ownProcesses(one)));
  return pids;
}
