/** Which namespaces a container shares with the host, and what goes with them: --pid, --ipc, --uts, --cgroupns, --cgroup-parent. */
import type { SpecOptions } from '../../client/index.js';
import { UsageError } from '../errors.js';
import { parseSize } from '../format/size.js';
import type { RunFlags } from '../program/run-flags.js';

type Namespaces = Pick<SpecOptions, 'hostNamespaces' | 'cgroupNamespace' | 'cgroupParent' | 'shmSize'>;

/** What each flag takes; `shareable` is what a private one is already. */
const KINDS = {
  pid: ['private', 'host'],
  ipc: ['private', 'shareable', 'none', 'host'],
  uts: ['private', 'host'],
  cgroupns: ['private', 'host'],
} as const;

export function namespaceOptions(flags: RunFlags): Namespaces {
  for (const flag of ['pid', 'ipc', 'uts', 'cgroupns'] as const) check(flag, flags[flag]);
  checkUsers(flags);
  const { cgroupns, cgroupParent, ipc, shmSize } = flags;
  const size = ipc === 'none' ? 0 : shmSize === undefined ? undefined : parseSize(shmSize, '--shm-size');
  // For docker it is how to say nothing.
  const shm = size === 0 && ipc !== 'none' ? undefined : size;
  return {
    hostNamespaces: (['pid', 'ipc', 'uts'] as const).filter((name) => flags[name] === 'host'),
    ...(cgroupns ? { cgroupNamespace: cgroupns as 'private' | 'host' } : {}),
    ...(cgroupParent ? { cgroupParent } : {}),
    ...(shm === undefined ? {} : { shmSize: shm }),
  };
}

/** There is nothing to map here that `host` would leave out. */
function checkUsers({ userns, uts, domainname }: RunFlags): void {
  if (userns && userns !== 'host')
    throw new UsageError(
      `--userns ${JSON.stringify(userns)}: users are not mapped here, so there is host alone; spec of hawser/client can say it (linux.uidMappings)`,
    );
  if (domainname && uts === 'host')
    throw new UsageError('--domainname and --uts host: it is the domain of a name of its own: leave out one of them');
}

/** Empty is the default, as docker has it. */
function check(flag: keyof typeof KINDS, value: string | undefined): void {
  const kinds: readonly string[] = KINDS[flag];
  if (!value || kinds.includes(value) || (flag === 'pid' && /^container:./.test(value))) return;
  if (value.startsWith('container:'))
    throw new UsageError(
      `--${flag} ${JSON.stringify(value)}: containers cannot share this; nerdctl on the same daemon can, and there are ${kinds.join(', ')}`,
    );
  throw new UsageError(`--${flag} ${JSON.stringify(value)}: there are ${kinds.join(', ')}`);
}
