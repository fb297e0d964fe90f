/** Whether the processes of a container are frozen. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CgroupPaths } from '../record/cgroup-paths.js';

/** As the kernel has it (Linux' Documentation: cgroup-v1/freezer-subsystem.rst; cgroup-v2.rst, cgroup.freeze); false where nothing says so. */
export function isFrozen(cgroup: CgroupPaths): boolean {
  const file =
    cgroup.version === 2
      ? join(cgroup.dir, 'cgroup.freeze')
      : cgroup.controllers.freezer && join(cgroup.controllers.freezer, 'freezer.state');
  if (!file) return false;
  try {
    return ['1', 'FROZEN', 'FREEZING'].includes(readFileSync(file, 'latin1').trim());
  } catch (error) {
    if (['ENOENT', 'ENODEV'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}
