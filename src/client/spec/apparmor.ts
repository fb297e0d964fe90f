/** AppArmor's part: a profile of the kernel's by name, and the one that containers have by default. */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Code } from '../../ttrpc/status.js';
import { FailedPreconditionError } from '../errors.js';

export const DEFAULT_APPARMOR = 'hawser-default';

/** Where a machine has what belongs to AppArmor. */
export interface AppArmorHost {
  readonly enabled: string;
  readonly securityfs: string;
  readonly parser: string;
  readonly abi: string;
}

const HOST: AppArmorHost = {
  enabled: '/sys/module/apparmor/parameters/enabled',
  securityfs: '/sys/kernel/security/apparmor',
  parser: 'apparmor_parser',
  abi: '/etc/apparmor.d/abi/3.0',
};

/**
 * The name to put into a container's spec. The default profile is loaded if it is not: whoever unloads it takes nothing from the
 * containers to come.
 *
 * @param name of a loaded profile, or `unconfined`. Default: Hawser's own
 * @returns undefined where the kernel has no AppArmor: docker passes over a name there, too
 * @throws FailedPreconditionError when the default profile cannot be loaded
 */
export async function appArmorProfile(
  name: string = DEFAULT_APPARMOR,
  host: AppArmorHost = HOST,
): Promise<string | undefined> {
  if (!isEnabled(host)) return undefined;
  if (name === DEFAULT_APPARMOR && !isLoaded(name, host)) await load(profileText(existsSync(host.abi)), host);
  return name;
}

function isEnabled({ enabled, securityfs }: AppArmorHost): boolean {
  return existsSync(securityfs) && existsSync(enabled) && readFileSync(enabled, 'latin1').startsWith('Y');
}

function isLoaded(name: string, { securityfs }: AppArmorHost): boolean {
  return readFileSync(join(securityfs, 'profiles'), 'utf8')
    .split('\n')
    .some((line) => line.startsWith(`${name} (`));
}

function load(text: string, { parser }: AppArmorHost): Promise<void> {
  return new Promise((resolve, reject) => {
    // -K: no cache, which would lie in a directory of the distribution's; -r: also over one of that name.
    const child = execFile(parser, ['-Kr'], (error, _, stderr) => {
      if (error === null) return resolve();
      const why = error.code === 'ENOENT' ? `there is no ${parser}` : stderr.trim() || error.message;
      reject(
        new FailedPreconditionError(
          Code.FailedPrecondition,
          `AppArmor profile ${DEFAULT_APPARMOR} cannot be loaded: ${why}: install the package apparmor, or choose the profile \`unconfined\`: failed precondition`,
        ),
      );
    });
    // One that ends before it has read all says why by its status.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(text);
  });
}

/**
 * What docker's default profile forbids (github.com/moby/profiles): mounts; writing to /proc but for processes' own files and
 * /proc/sys/kernel/shm*; writing to /sys but for cgroups; other confined processes' signals and traces.
 */
function profileText(hasAbi: boolean): string {
  const writes = [
    '/proc/* w',
    '/proc/{[^1-9],[^1-9][^0-9],[^1-9s][^0-9y][^0-9s],[^1-9][^0-9][^0-9][^0-9/]*}/** w',
    '/proc/sys/[^k]** w',
    '/proc/sys/kernel/{?,??,[^s][^h][^m]**} w',
    '/proc/sysrq-trigger rwklx',
    '/proc/kcore rwklx',
    '/sys/[^f]*/** wklx',
    '/sys/f[^s]*/** wklx',
    '/sys/fs/[^c]*/** wklx',
    '/sys/fs/c[^g]*/** wklx',
    '/sys/fs/cg[^r]*/** wklx',
    '/sys/firmware/** rwklx',
    '/sys/devices/virtual/powercap/** rwklx',
    '/sys/kernel/security/** rwklx',
  ];
  return [
    // What `network` stands for has become less since.
    ...(hasAbi ? ['abi <abi/3.0>,'] : []),
    `profile ${DEFAULT_APPARMOR} flags=(attach_disconnected,mediate_deleted) {`,
    ...['network', 'capability', 'file', 'umount'].map((all) => `  ${all},`),
    ...['unconfined', 'runc', 'crun'].map((peer) => `  signal (receive) peer=${peer},`),
    `  signal (send,receive) peer=${DEFAULT_APPARMOR},`,
    `  ptrace (trace,read,tracedby,readby) peer=${DEFAULT_APPARMOR},`,
    '  deny mount,',
    ...writes.map((rule) => `  deny ${rule},`),
    '}',
    '',
  ].join('\n');
}
