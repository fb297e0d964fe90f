/** Who makes a container's cgroup: its own options say so, or the daemon, for its runtime. */
import { runcOptions } from './record.js';
import type { CgroupDriver } from './spec/types.js';
import type { Services } from './grpc/services.js';
import type { Any } from './types/calls.js';

/** What hawserd exports of its task plugin: names of runtimes, with commas between them. */
const EXPORT = 'systemd-cgroup';

/**
 * @param options as the container's record has them; without any the daemon's count
 * @param runtime its name
 */
export async function cgroupDriver(
  services: Pick<Services, 'introspection'>,
  runtime: string,
  options: Any | undefined,
  signal: AbortSignal | undefined,
): Promise<CgroupDriver> {
  if (options?.value?.length) return runcOptions(options)?.systemdCgroup === true ? 'systemd' : 'cgroupfs';
  const filters = ['type==io.containerd.runtime.v2,id==task'];
  const { plugins } = await services.introspection.Plugins({ filters }, { signal });
  // Other daemons have no options for containers that give none.
  const names = plugins?.[0]?.exports?.[EXPORT]?.split(',') ?? [];
  return names.includes(runtime) ? 'systemd' : 'cgroupfs';
}
