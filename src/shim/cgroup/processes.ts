/** Pids of all processes of a container, from its cgroup: no runtime is run, so the answer never fails for a while. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CgroupPaths } from '../record/cgroup-paths.js';

/** v1 controllers in the order of trust: the runtime always makes a `devices` cgroup of the container's own. */
const PREFERRED = ['devices', 'freezer', 'memory', 'pids', 'cpu', 'systemd'];

/** Every process in the container's cgroup and below; none when it is gone. */
export function processesIn(cgroup: CgroupPaths): number[] {
  const dir =
    cgroup.version === 2
      ? cgroup.dir
      : PREFERRED.map((controller) => cgroup.controllers[controller]).find((path) => path !== undefined);
  return dir === undefined ? [] : [...new Set(below(dir))];
}

function below(dir: string): number[] {
  try {
    const own = readFileSync(join(dir, 'cgroup.procs'), 'latin1').split('\n').filter(Boolean).map(Number);
    const children = readdirSync(dir, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return own.concat(...children.map((entry) => below(join(dir, entry.name))));
  } catch (error) {
    // Gone, or a threaded cgroup, which lists no processes.
    if (['ENOENT', 'ENODEV', 'EOPNOTSUPP'].includes((error as NodeJS.ErrnoException).code ?? '')) return [];
    throw error;
  }
}
