/**
 * The end of a scope that systemd has made for a container on cgroup v2. systemd ends it by itself once nothing runs in it: it removes the
 * cgroup, and then, unless the scope has failed, forgets the unit, and removes the file in which it has written down what was asked of it.
 * When both are gone there is nothing for runc's StopUnit to stop, and nothing for its ResetFailedUnit to forget.
 */
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** Where systemd keeps the files of units that it was asked for by D-Bus (systemd.unit(5)). */
export const TRANSIENT_UNITS = '/run/systemd/transient';
/** How long systemd is waited for, if it is about to do it: about as long as runc would take. */
const BOUND_MS = 60;

/**
 * Resolves to true once systemd has nothing more of a container's scope, and to false when runc has to see to it: it is still there, has
 * failed, or is none that this can be told of.
 *
 * @param cgroups as runc has written them down
 * @param transientUnits systemd's directory of the units that it was asked for
 */
export async function isForgotten(cgroups: readonly string[], transientUnits: string): Promise<boolean> {
  const [cgroup = ''] = cgroups;
  // More than one are those of cgroup v1, of which systemd removes some, and runc the others. The directory is not to be seen where
  // runc talks to the systemd of another mount namespace.
  if (cgroups.length !== 1 || !cgroup.endsWith('.scope') || !existsSync(transientUnits)) return false;
  const file = join(transientUnits, basename(cgroup));
  const deadline = Date.now() + BOUND_MS;
  for (let pause = 1; existsSync(cgroup) || existsSync(file); pause *= 2) {
    if (Date.now() >= deadline) return false;
    await delay(pause);
  }
  return true;
}
