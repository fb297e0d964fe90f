/**
 * `make soak-exec N=100000`: execs without end through one shim. Its memory must not grow with their number, and its
 * descriptors must be what they were. Fails when they aren't.
 *
 * HAWSER_SOAK_SLOPE is the bound, in bytes of private memory for each exec, over the second half (default 100);
 * HAWSER_SOAK_AT_ONCE is how many run at a time (default 4); HAWSER_SOAK_RUNTIME is a runtime to use in place of runc, which
 * takes nearly all of the time.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Lab, type Task } from '../support/shim.js';
import { eventually } from '../support/eventually.js';

const COUNT = Number(process.argv[2] ?? process.env.N ?? 2_000);
const AT_ONCE = Number(process.env.HAWSER_SOAK_AT_ONCE ?? 4);
const BOUND = Number(process.env.HAWSER_SOAK_SLOPE ?? 100);
/** What the collector's coming and going makes of any number of execs, in bytes: only a soak that is long enough tells growth from it. */
const NOISE = 4 * 1024 * 1024;
const SAMPLES = 100;
const REST_MS = 5_000;
const RUNTIME = process.env.HAWSER_SOAK_RUNTIME;
const quiet = { stdout: '', stderr: '' };

interface Sample {
  execs: number;
  /** Private_Dirty, in bytes. */
  memory: number;
  descriptors: number;
}

function sample(task: Task, execs: number): Sample {
  const rollup = readFileSync(`/proc/${task.shim.pid}/smaps_rollup`, 'utf8');
  return {
    execs,
    memory: Number(/^Private_Dirty:\s+(\d+) kB/m.exec(rollup)?.[1]) * 1024,
    descriptors: task.shim.descriptors().length,
  };
}

/** Least squares: bytes for each exec. */
function slope(samples: readonly Sample[]): number {
  const mean = (of: (one: Sample) => number): number => samples.reduce((sum, one) => sum + of(one), 0) / samples.length;
  const [x, y] = [mean(({ execs }) => execs), mean(({ memory }) => memory)];
  const over = samples.reduce((sum, { execs, memory }) => sum + (execs - x) * (memory - y), 0);
  return over / samples.reduce((sum, { execs }) => sum + (execs - x) ** 2, 0);
}

/** Who waits for the exit of an exec to be told. */
const told = new Map<string, () => void>();

async function one(task: Task, id: string): Promise<void> {
  const exit = new Promise<void>((resolve) => told.set(id, resolve));
  await task.exec(id, ['/bin/true'], quiet);
  await task.start(id);
  const { exitStatus } = await task.wait(id);
  if (exitStatus !== 0) throw new Error(`exec ${id} ended with ${exitStatus}`);
  await task.delete(id);
  // Else the shim would keep events for a daemon that is slower than it.
  await exit;
  told.delete(id);
}

async function run(task: Task): Promise<boolean> {
  let next = 0;
  let done = 0;
  const samples: Sample[] = [];
  const every = Math.max(1, Math.floor(COUNT / SAMPLES));
  const worker = async (): Promise<void> => {
    while (next < COUNT) {
      await one(task, `e${next++}`);
      if (++done % every !== 0) continue;
      samples.push(sample(task, done));
      // The fake daemon keeps what it gets, and this is no test of that.
      task.lab.daemon.events.length = 0;
      if (samples.length % 10 === 0) console.log(JSON.stringify(samples.at(-1)));
    }
  };
  for (let n = 0; n < 20; n++) await one(task, `warm${n}`);
  const before = sample(task, 0);
  const started = Date.now();
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  const seconds = (Date.now() - started) / 1000;
  await eventually('descriptors as before', () => task.shim.descriptors().length === before.descriptors).catch(
    () => undefined,
  );
  const after = sample(task, COUNT);
  const growth = slope(samples.slice(Math.floor(samples.length / 2)));
  console.log(
    `${COUNT} execs, ${AT_ONCE} at a time, in ${seconds.toFixed(0)} s: ${(COUNT / seconds).toFixed(0)} each second`,
  );
  console.log(
    `private memory: ${(before.memory / 1024).toFixed(0)} kB before, ${(after.memory / 1024).toFixed(0)} kB after; second half: ${growth.toFixed(1)} bytes for each exec (bound: ${BOUND})`,
  );
  // A shim that rests gives memory back (src/shim/worker/rest.ts).
  await delay(REST_MS);
  console.log(
    `private memory after a rest of ${REST_MS / 1000} s: ${(sample(task, COUNT).memory / 1024).toFixed(0)} kB`,
  );
  console.log(`descriptors: ${before.descriptors} before, ${after.descriptors} after`);
  const grows = growth > BOUND && (growth * COUNT) / 2 > NOISE;
  console.log(grows ? 'it grows with the number of execs' : 'no growth that shows above the noise');
  return !grows && before.descriptors === after.descriptors;
}

const lab = await Lab.open();
try {
  const task = await lab.task('soak', undefined, { ...quiet, options: RUNTIME ? { binaryName: RUNTIME } : {} });
  await task.start();
  lab.daemon.heard = ({ topic, body }) => {
    if (topic === '/tasks/exit') told.get(body.id ?? '')?.();
  };
  process.exitCode = (await run(task)) ? 0 : 1;
  await task.remove();
  await task.shim.shutdown();
} finally {
  await lab.close();
}
