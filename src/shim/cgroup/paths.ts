/** Which cgroups a process is in, and where they lie in the file system. */
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { cgroupMounts, type CgroupMount } from '../../oci/cgroup-mounts.js';
import type { CgroupPaths } from '../record/cgroup-paths.js';

/**
 * The cgroups of a process, as of now. Undefined when it is in the root of all hierarchies, i.e. has none of its own.
 *
 * @param mounts as they were a moment ago, from who has looked
 * @throws when the process is gone
 */
export function cgroupsOf(pid: number, mounts = cgroupMounts()): CgroupPaths | undefined {
  const entries = readFileSync(`/proc/${pid}/cgroup`, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const [, controllers = '', path = '/'] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
      return { controllers: controllers.split(',').filter(Boolean), path };
    });
  const v1: Record<string, string> = {};
  for (const { controllers, path } of entries) {
    for (const controller of controllers) {
      const mount = mounts.find((one) => one.options.has(controller));
      // In the root of a hierarchy it has no cgroup of its own: what is there is everybody's.
      if (mount && path !== '/') v1[controller.replace(/^name=/, '')] = directory(mount, path);
    }
  }
  // With any v1 controller mounted the v2 hierarchy beside it holds no controllers (systemd's hybrid layout).
  if (mounts.some((one) => one.options.has('memory') || one.options.has('cpu') || one.options.has('devices'))) {
    return Object.keys(v1).length > 0 ? { version: 1, controllers: v1 } : undefined;
  }
  const unified = entries.find(({ controllers }) => controllers.length === 0);
  const mount = mounts.find((one) => one.options.size === 0);
  if (!unified || !mount || unified.path === '/') return undefined;
  return { version: 2, dir: directory(mount, unified.path) };
}

/** Where a cgroup of this name lies, or would lie, in each hierarchy that is mounted. */
export function cgroupDirectories(path: string, mounts = cgroupMounts()): string[] {
  return [...new Set(mounts.map((mount) => directory(mount, path)))];
}

function directory(mount: CgroupMount, path: string): string {
  return join(mount.point, mount.root === '/' ? path : relative(mount.root, path));
}
