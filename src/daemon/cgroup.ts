/** The cgroup that the daemon puts itself into, as containerd does by `[cgroup] path`. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { cgroupMounts } from '../oci/cgroup-mounts.js';

/** Files without which a cgroup of the v1 controller cpuset takes no process: a new one has none of its parent's. */
const CPUSET = ['cpuset.cpus', 'cpuset.mems'];

export interface CgroupHierarchy {
  /** Where it is mounted. */
  readonly point: string;
  /** Which of its cgroups shows there. */
  readonly root: string;
  readonly isCpuset: boolean;
}

/**
 * The hierarchies that a process is to be moved in: all of cgroup v1, or that of v2 where it is alone, as the one that systemd
 * mounts beside v1 holds no controllers.
 *
 * @param mountinfo see {@link cgroupMounts}
 */
export function hierarchiesIn(mountinfo?: string): CgroupHierarchy[] {
  const all = cgroupMounts(mountinfo);
  const v1 = all.filter(({ options }) => options.size > 0);
  return (v1.length > 0 ? v1 : all).map(({ point, root, options }) => ({
    point,
    root,
    isCpuset: options.has('cpuset'),
  }));
}

/**
 * Moves this process into a cgroup of each hierarchy, making it where it is missing. What the daemon starts later is there too.
 *
 * @param path of the cgroup, from the root of the hierarchies on
 * @throws Error that names the cgroup
 */
export function joinCgroup(path: string, hierarchies = hierarchiesIn()): void {
  if (hierarchies.length === 0) throw new Error(`[cgroup] path = ${JSON.stringify(path)}: no cgroups are mounted`);
  for (const { point, root, isCpuset } of hierarchies) {
    const within = relative(root, join('/', path));
    // A mount may show a part of its hierarchy only; what lies beside the mount is no cgroup.
    if (within.split('/')[0] === '..')
      throw new Error(
        `[cgroup] path = ${JSON.stringify(path)}: it is not below ${root}, which is all that ${point} shows`,
      );
    const dir = join(point, within);
    try {
      mkdirSync(dir, { recursive: true, mode: 0o755 });
      if (isCpuset) inheritCpuset(point, dir);
      writeFileSync(join(dir, 'cgroup.procs'), String(process.pid), { flag: 'r+' });
    } catch (error) {
      throw new Error(
        `[cgroup] path = ${JSON.stringify(path)}: cannot move hawserd into ${dir}: ${(error as Error).message}`,
        { cause: error },
      );
    }
  }
}

function inheritCpuset(top: string, dir: string): void {
  if (dir === top) return;
  inheritCpuset(top, dirname(dir));
  for (const name of CPUSET) {
    if (readFileSync(join(dir, name), 'utf8').trim() === '')
      writeFileSync(join(dir, name), readFileSync(join(dirname(dir), name)));
  }
}
