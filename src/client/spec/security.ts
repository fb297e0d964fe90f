/** What keeps a container in: a filter of system calls, AppArmor's profile, what of /proc and /sys it may not see or change. */
import { Code } from '../../ttrpc/status.js';
import { FailedPreconditionError, InvalidArgumentError } from '../errors.js';
import { DEFAULT_PROFILE } from '../seccomp/default-profile.js';
import { kernelHasSeccomp } from '../seccomp/kernel.js';
import { resolveSeccomp } from '../seccomp/resolve.js';
import type { SpecSeccomp } from '../seccomp/types.js';
import { appArmorProfile } from './apparmor.js';
import { hostDevices } from './devices.js';
import type { Spec, SpecOptions } from './types.js';

/** For a process whose capabilities are as they will be. `privileged` takes all off that is not asked for by name. */
export async function applySecurity(spec: Spec, options: SpecOptions): Promise<void> {
  const process = spec.process!;
  const linux = spec.linux!;
  const { privileged = false } = options;
  const seccomp = seccompOf(options, process.capabilities?.bounding ?? []);
  if (seccomp !== undefined) linux.seccomp = seccomp;
  const apparmor = await appArmorProfile(options.apparmor ?? (privileged ? 'unconfined' : undefined));
  if (apparmor !== undefined) process.apparmorProfile = apparmor;
  if (privileged || options.systemPaths === 'unconfined') {
    linux.maskedPaths = [];
    linux.readonlyPaths = [];
  }
  if (!privileged) return;
  linux.devices = hostDevices();
  linux.resources = { ...linux.resources, devices: [{ allow: true, access: 'rwm' }] };
  for (const mount of spec.mounts!)
    if (mount.type === 'sysfs' || mount.type === 'cgroup')
      mount.options = mount.options!.filter((word) => word !== 'ro');
}

function seccompOf(
  { privileged, seccomp = privileged === true ? 'unconfined' : 'default' }: SpecOptions,
  capabilities: readonly string[],
): SpecSeccomp | undefined {
  if (seccomp === 'unconfined') return undefined;
  if (typeof seccomp === 'string' && seccomp !== 'default')
    throw new InvalidArgumentError(
      Code.InvalidArgument,
      `seccomp ${JSON.stringify(seccomp)}: there are default, unconfined, and a profile: invalid argument`,
    );
  if (!kernelHasSeccomp()) {
    // As docker: what nobody has asked for by name is not missed.
    if (seccomp === 'default') return undefined;
    throw new FailedPreconditionError(
      Code.FailedPrecondition,
      'the kernel cannot filter system calls (CONFIG_SECCOMP_FILTER), as the seccomp profile wants it: failed precondition',
    );
  }
  return resolveSeccomp(seccomp === 'default' ? DEFAULT_PROFILE : seccomp, { capabilities });
}
