/** Where the machine's cgroup hierarchies are mounted. */
import { readFileSync } from 'node:fs';

/** Where a cgroup hierarchy shows. */
export interface CgroupMount {
  /** Where it is mounted. */
  point: string;
  /** Which part of the hierarchy shows there. */
  root: string;
  /** Controller names, or `name=…`; empty for v2. */
  options: Set<string>;
}

/**
 * All hierarchies that are mounted.
 *
 * @param mountinfo proc_pid_mountinfo(5); this process's own unless given
 */
export function cgroupMounts(mountinfo = readFileSync('/proc/self/mountinfo', 'utf8')): CgroupMount[] {
  return mountinfo.split('\n').flatMap((line) => {
    const [left = '', right = ''] = line.split(' - ', 2);
    const [type, , superOptions = ''] = right.split(' ');
    const [, , , root = '/', point = ''] = left.split(' ');
    if (type === 'cgroup2') return [{ point, root, options: new Set<string>() }];
    return type === 'cgroup' ? [{ point, root, options: new Set(superOptions.split(',')) }] : [];
  });
}
