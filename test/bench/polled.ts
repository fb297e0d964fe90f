/** Rows about shims whose containers somebody looks at all the time, as a kubelet does, or who collects metrics. */
import { APART_MS, pause } from './lab.js';
import { exec, withSleepers, type Sleeper } from './running.js';
import type { Shim } from './shim.js';
import type { Row, Samples } from './statistics.js';
import type { Turns } from './turns.js';

/** How often they are asked what they use. */
const EVERY_MS = 10_000;
const CONTAINERS = 10;
/** After so many questions a shim has found out that it is asked again and again. */
const UNCOUNTED = 4;
const COUNTED = 5;

interface Found {
  /** By the shims alone, for each time that one was asked, in milliseconds. */
  readonly cpu: Record<string, number[]>;
  /** For each container, in MB. */
  readonly own: Record<string, number[]>;
  readonly pss: Record<string, number[]>;
}

/** Stats of each of ten containers, every ten seconds, as a kubelet asks; and then an exec in each, as its probes do. */
export async function polled(turns: Turns): Promise<Row[]> {
  let stats: Found | undefined;
  let execs: Found | undefined;
  await withSleepers(turns, 'polled', CONTAINERS, async (of) => {
    stats = await askedOverAndOver(turns, 'Stats', of, ({ task, bundle: { id } }) => task.Stats({ id }));
    execs = await askedOverAndOver(turns, 'exec', of, exec);
  });
  return [...rowsOf('Stats', stats!), ...rowsOf('exec', execs!)];
}

async function askedOverAndOver(
  turns: Turns,
  what: string,
  of: (shim: Shim) => readonly Sleeper[],
  ask: (one: Sleeper) => Promise<unknown>,
): Promise<Found> {
  const found: Found = { cpu: {}, own: {}, pss: {} };
  const before = new Map<Shim, number>();
  for (let round = 0; round < UNCOUNTED + COUNTED; round++) {
    turns.say(`${what} every ${EVERY_MS / 1000} s: ${round + 1} of ${UNCOUNTED + COUNTED}`);
    await pause(EVERY_MS);
    if (round === UNCOUNTED) for (const shim of turns.shims) before.set(shim, shim.cgroup.cpu('shims'));
    for (const shim of turns.shims) {
      for (const one of of(shim)) await ask(one);
      // What moving a process has cost the one is not the next one's gain.
      await pause(APART_MS);
    }
  }
  // Well into the pause before the next question.
  await pause(0.7 * EVERY_MS);
  for (const shim of turns.shims) {
    const { name } = shim;
    found.cpu[name] = [(shim.cgroup.cpu('shims') - before.get(shim)!) / COUNTED / CONTAINERS];
    const pids = await ownProcesses(shim, of(shim));
    found.own[name] = [shim.memory(pids).private / CONTAINERS];
    found.pss[name] = [shim.memory().pss / CONTAINERS];
  }
  return found;
}

function rowsOf(what: string, { cpu, own, pss }: Found): Row[] {
  const row = (name: string, unit: string, samples: Samples): Row => ({ name, unit, samples, goal: { ratio: 1 } });
  const every = `${what} every ${EVERY_MS / 1000} s`;
  return [
    row(`CPU of the shim, ${every}`, 'ms', cpu),
    row(`private memory, ${every}`, 'MB', own),
    row(`PSS of everything, ${every}`, 'MB', pss),
  ];
}

/** Those that are there for these containers alone; who is asked for its pid sleeps on. */
async function ownProcesses(shim: Shim, all: readonly Sleeper[]): Promise<number[]> {
  const pids: number[] = [];
  for (const one of all) pids.push(...(await shim.ownProcesses(one)));
  return pids;
}
