/** Where a container's cgroup is to be, as its runtime's driver wants it named (OCI runtime spec, config-linux, Cgroups Path). */
import { join } from 'node:path';
import { Code } from '../../ttrpc/status.js';
import { InvalidArgumentError } from '../errors.js';
import type { CgroupDriver, SpecOptions } from './types.js';

/** The slice of containers that name none. systemd makes it with the first one in it. */
const SLICE = 'hawser.slice';

/**
 * The spec's `linux.cgroupsPath`. By cgroupfs it is a path: `/NAMESPACE/ID`, or the parent's with the id. By systemd it is `SLICE:PREFIX:ID`,
 * of which the runtime makes the scope `PREFIX-ID.scope` in that slice.
 *
 * @throws InvalidArgumentError when systemd is to put it into what is no slice
 */
export function cgroupsPath(
  driver: CgroupDriver,
  { namespace, id, parent }: { namespace: string; id: string; parent?: string | undefined },
): string {
  if (driver === 'cgroupfs') return parent === undefined ? `/${namespace}/${id}` : join('/', parent, id);
  // An id has no two dashes in a row: no other namespace's container has the same scope.
  return `${slice(parent ?? SLICE)}:hawser-${namespace}-:${id}`;
}

/** Its name without what lies above it, which systemd knows by the name (systemd.slice(5)). */
function slice(parent: string): string {
  const name = parent.replace(/^\/+|\/+$/g, '').replace(/^.*\//, '');
  if (/^[\w.\\@-]+\.slice$/.test(name)) return name;
  throw new InvalidArgumentError(
    Code.InvalidArgument,
    `cgroup parent ${JSON.stringify(parent)}: systemd makes this container's cgroup, in a slice: give the name of one, such as web.slice: invalid argument`,
  );
}

/** What the spec is made with: a path that was given stays. */
export function specCgroupsPath(
  driver: CgroupDriver,
  namespace: string,
  id: string,
  options: Pick<SpecOptions, 'cgroupsPath' | 'cgroupParent'>,
): string {
  return options.cgroupsPath ?? cgroupsPath(driver, { namespace, id, parent: options.cgroupParent });
}
