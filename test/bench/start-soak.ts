/**
 * `make soak-start N=10000`: so many shims, four at a time, each with one container's life, while the zygotes are killed at
 * random: waiting, booting, rehearsing, or taking over. No start may fail, no container be lost, and nothing be left. The
 * runtime is the stand-in of a zygote's rehearsal: it is the shims that are tried.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { shimDir, top, until } from '../support/daemons.js';
import { allProcesses, zygotesIn } from '../support/machine.js';
import { sweep } from './cgroup.js';
import { Lab, pause } from './lab.js';
import { Shim } from './shim.js';

const TOTAL = Number(process.argv[2] ?? 1000);
const AT_ONCE = 4;
/** On average a zygote is killed so often. */
const KILL_EVERY_MS = 400;

const lab = await new Lab(mkdtempSync(join(tmpdir(), 'hawser-bench-'))).open();
const cgroup = `/hawser-bench-${process.pid}`;
const ours = new Shim(lab, 'hawser', join(shimDir, 'containerd-shim-runc-v2'), cgroup);
const standIn = join(top, 'dist/hawser-stand-in');
/** Of our shims: others may start some meanwhile. */
const sockets = new Set<string>();
let begun = 0;
let told = 0;
let killed = 0;
let over = false;

async function one(): Promise<void> {
  await ours.with(ours.bundle(['/bin/true']), async ({ task, address, bundle: { id, path } }) => {
    sockets.add(address.replace('unix://', ''));
    const root = join(path, 'runc');
    mkdirSync(join(root, 'bench'), { recursive: true });
    const exit = new Promise<number>((resolve) => lab.exits.set(id, resolve));
    await task.Create({ id, bundle: path, options: lab.options(standIn, root) });
    await task.Start({ id });
    assert.equal((await task.Wait({ id })).exitStatus, 0);
    await exit;
    told++;
    await task.Delete({ id });
  });
}

async function kill(): Promise<void> {
  while (!over) {
    await pause(Math.random() * 2 * KILL_EVERY_MS);
    for (const pid of zygotesIn(ours.runDir)) {
      try {
        // Once it stands still it can't become a shim between the look and the kill.
        process.kill(pid, 'SIGSTOP');
        const isZygote = zygotesIn(ours.runDir).includes(pid);
        process.kill(pid, isZygote ? 'SIGKILL' : 'SIGCONT');
        if (isZygote) killed++;
      } catch (error) {
        // It has ended by itself since we looked.
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    }
  }
}

try {
  const from = performance.now();
  const killer = kill();
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (begun < TOTAL) {
        if (++begun % 1000 === 0) console.log(`${begun} begun, ${told} exits told, ${killed} zygotes killed`);
        await one();
      }
    }),
  );
  over = true;
  await killer;
  assert.equal(told, TOTAL);
  for (const pid of zygotesIn(ours.runDir)) process.kill(pid, 'SIGKILL');
  await until('every process to be gone', () => allProcesses().every(({ command }) => !command.includes(lab.dir)));
  assert.equal(sockets.size, TOTAL);
  assert.deepEqual(
    [...sockets].filter((path) => existsSync(path)),
    [],
  );
  console.log(
    `${TOTAL} shims and their containers in ${((performance.now() - from) / 1000).toFixed(0)} s, ${killed} zygotes killed; none lost, no process and no socket left`,
  );
} finally {
  over = true;
  lab.close();
  await sweep(cgroup);
  rmSync(lab.dir, { recursive: true, force: true });
}
