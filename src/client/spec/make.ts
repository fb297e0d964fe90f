/** A container's spec, of what is said about it. */
import { existsSync } from 'node:fs';
import { join, normalize } from 'node:path';
import { Code } from '../../ttrpc/status.js';
import { isCdiName } from '../cdi/names.js';
import { FailedPreconditionError, InvalidArgumentError } from '../errors.js';
import type { ImageConfig } from '../image/types.js';
import { specCgroupsPath } from './cgroup.js';
import { DEFAULT_PATH, defaultSpec, NETWORK_SYSCTL } from './defaults.js';
import { blockIoOf } from './block-io.js';
import { addDevice, addDeviceRules } from './devices.js';
import { addInit } from './init.js';
import { addGroups, applyProcess, mergeEnv, type WithRoot } from './process.js';
import { applySecurity } from './security.js';
import { resolveUser } from './user.js';
import type { CgroupDriver, Integer, Limits, LinuxResources, Spec, SpecMount, SpecOptions } from './types.js';

/** docker's: a processor's time is dealt out in periods of so many microseconds. */
const PERIOD_US = 100_000;
/** RLIM_INFINITY of setrlimit(2). */
const UNLIMITED = 2n ** 64n - 1n;
/** uname(2). */
const MAX_HOSTNAME = 64;

/** What POSIX shared memory is kept in goes with the namespace of the other kind. */
const HOST_SHM: SpecMount = {
  destination: '/dev/shm',
  type: 'bind',
  source: '/dev/shm',
  options: ['rbind', 'rprivate'],
};

export interface SpecInput {
  readonly id: string;
  readonly namespace: string;
  readonly options: SpecOptions;
  /** Who makes its cgroup. Default: the runtime. */
  readonly cgroupDriver?: CgroupDriver | undefined;
  /** A directory as root file system, instead of what is mounted in the bundle. */
  readonly rootfs?: string | undefined;
  readonly config?: ImageConfig | undefined;
  readonly withRoot: WithRoot;
}

/** @throws InvalidArgumentError, FailedPreconditionError when nobody says what to run */
export async function makeSpec(input: SpecInput): Promise<Spec> {
  const { id, namespace, options, cgroupDriver = 'cgroupfs', rootfs, config, withRoot } = input;
  const spec = defaultSpec(specCgroupsPath(cgroupDriver, namespace, id, options));
  const process = spec.process!;
  const linux = spec.linux!;
  spec.root = { path: rootfs ?? 'rootfs', ...(options.readonlyRootfs === true ? { readonly: true } : {}) };
  if (options.annotations !== undefined) spec.annotations = { ...options.annotations };

  process.env = mergeEnv([DEFAULT_PATH], config?.Env ?? []);
  if (config?.WorkingDir) process.cwd = config.WorkingDir;
  const user = options.user || config?.User;
  await applyProcess(process, { ...options, user, args: command(options, config) }, withRoot);
  // Without a user it is root, who is in groups as anybody: but root does not need them enough to fail for.
  if (!user) process.user = await withRoot((root) => resolveUser('', root), true);
  const { groupAdd = [] } = options;
  if (groupAdd.length > 0) await addGroups(process, groupAdd, withRoot);
  if (options.oomScoreAdj !== undefined) process.oomScoreAdj = oomScore(options.oomScoreAdj);
  if (options.rlimits !== undefined) {
    const named = options.rlimits.map(({ type, soft, hard }) => ({
      type: type.startsWith('RLIMIT_') ? type : `RLIMIT_${type.toUpperCase()}`,
      soft: rlimit(soft),
      hard: rlimit(hard),
    }));
    // Of several for one thing the last one holds; the runtime refuses two.
    process.rlimits = [...new Map(named.map((limit) => [limit.type, limit])).values()];
  }

  await applySecurity(spec, options);
  spec.mounts = mergeMounts(spec.mounts!, options.mounts ?? []);
  addDeviceRules(linux, options.deviceRules ?? []);
  for (const device of options.devices ?? []) if (!isCdiName(device)) addDevice(linux, device);
  const sysctl = { ...((options.network ?? 'none') === 'none' ? networkSysctl() : {}), ...options.sysctl };
  if (Object.keys(sysctl).length > 0) linux.sysctl = sysctl;
  applyNamespaces(spec, options);
  if (options.shmSize !== undefined) resizeShm(spec, options.shmSize);
  // As docker: the host's processes have an init already.
  if (options.init === true && !options.hostNamespaces?.includes('pid')) addInit(spec);
  const hostname = options.hostname ?? (options.network === 'host' ? undefined : id);
  if (hostname !== undefined && linux.namespaces!.some(({ type }) => type === 'uts'))
    spec.hostname = hostname.slice(0, MAX_HOSTNAME);
  if (options.domainname) setDomain(spec, options.domainname);
  linux.resources = { ...linux.resources, ...limitResources(options.limits ?? {}) };
  return spec;
}

/** As docker has it: runtimes have not always known of domains. */
function setDomain({ linux }: Spec, domainname: string): void {
  if (!linux!.namespaces!.some(({ type }) => type === 'uts'))
    throw new InvalidArgumentError(
      Code.InvalidArgument,
      `domain ${JSON.stringify(domainname)}: the host's is not to be changed, whose names the container has: invalid argument`,
    );
  linux!.sysctl = { ...linux!.sysctl, 'kernel.domainname': domainname };
}

function command({ entrypoint, args }: SpecOptions, config: ImageConfig | undefined): string[] {
  // With another entry point the image's command has lost its meaning, as for docker.
  const words = [
    ...(entrypoint ?? config?.Entrypoint ?? []),
    ...(args ?? (entrypoint === undefined ? (config?.Cmd ?? []) : [])),
  ];
  if (words.length === 0)
    throw new InvalidArgumentError(
      Code.InvalidArgument,
      'no command is given, and the image has none: give args: invalid argument',
    );
  return words;
}

function oomScore(value: number): number {
  if (Number.isInteger(value) && value >= -1000 && value <= 1000) return value;
  throw new InvalidArgumentError(
    Code.InvalidArgument,
    `oomScoreAdj ${value} is not a whole number from -1000 to 1000: invalid argument`,
  );
}

/** The host's stays as large as it is. */
function resizeShm(spec: Spec, size: number): void {
  if (!Number.isSafeInteger(size) || size < 0)
    throw new InvalidArgumentError(Code.InvalidArgument, `shmSize ${size} is no number of bytes: invalid argument`);
  const isShm = ({ destination, source }: SpecMount): boolean => destination === '/dev/shm' && source === 'shm';
  if (size === 0) spec.mounts = spec.mounts!.filter((mount) => !isShm(mount));
  for (const mount of spec.mounts!.filter(isShm))
    mount.options = [...mount.options!.filter((word) => !word.startsWith('size=')), `size=${size}`];
}

/** Those that the kernel has; it may be without IPv4. */
function networkSysctl(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(NETWORK_SYSCTL).filter(([name]) => existsSync(join('/proc/sys', ...name.split('.')))),
  );
}

/** No limit is the highest number for the kernel and the runtimes. */
function rlimit(value: Integer): Integer {
  return value === Infinity || value === -1 || value === -1n ? UNLIMITED : value;
}

function mergeMounts(base: readonly SpecMount[], more: readonly SpecMount[]): SpecMount[] {
  const clean = more.map((mount) => {
    if (!mount.destination.startsWith('/'))
      throw new InvalidArgumentError(
        Code.InvalidArgument,
        `mount destination ${JSON.stringify(mount.destination)} must be an absolute path: invalid argument`,
      );
    return { ...mount, destination: normalize(mount.destination).replace(/(?<=.)\/$/, '') };
  });
  // What lies deeper comes later, as docker has it: else it would be hidden.
  const depth = ({ destination }: SpecMount): number => destination.split('/').filter(Boolean).length;
  clean.sort((a, b) => depth(a) - depth(b));
  return [...base.filter(({ destination }) => !clean.some((mount) => mount.destination === destination)), ...clean];
}

function applyNamespaces(spec: Spec, { network = 'none', hostNamespaces = [], cgroupNamespace }: SpecOptions): void {
  const linux = spec.linux!;
  const without = new Set<string>([...hostNamespaces, ...(cgroupNamespace === 'host' ? ['cgroup'] : [])]);
  if (cgroupNamespace === 'private' && !linux.namespaces!.some(({ type }) => type === 'cgroup'))
    linux.namespaces!.push({ type: 'cgroup' });
  if (network === 'host') without.add('network');
  linux.namespaces = linux.namespaces!.filter(({ type }) => !without.has(type));
  if (network === 'host') {
    // The host's names are of use only with the host's way of resolving them.
    spec.mounts = mergeMounts(
      ['/etc/hosts', '/etc/resolv.conf'].map((path) => ({
        destination: path,
        type: 'bind',
        source: path,
        options: ['rbind', 'ro'],
      })),
      spec.mounts ?? [],
    );
  } else if (network !== 'none') {
    if (!network.startsWith('/'))
      throw new FailedPreconditionError(
        Code.FailedPrecondition,
        `network ${JSON.stringify(network)}: there are none, host, and the path of a network namespace: failed precondition`,
      );
    linux.namespaces = linux.namespaces.map((one) =>
      one.type === 'network' ? { type: 'network', path: network } : one,
    );
  }
  if (hostNamespaces.includes('ipc'))
    spec.mounts = spec.mounts!.map((mount) =>
      mount.destination === '/dev/shm' && mount.source === 'shm' ? HOST_SHM : mount,
    );
}

/** linux.resources for limits; also for `updateResources`. */
export function limitResources(limits: Limits): LinuxResources {
  const { memory, memorySwap, memoryReservation, memorySwappiness, oomKillDisable, pids } = limits;
  const { cpus, cpuShares, cpuset, cpusetMems, cpuQuota, cpuPeriod, cpuRealtimeRuntime, cpuRealtimePeriod } = limits;
  if (cpus !== undefined && (cpuQuota ?? cpuPeriod) !== undefined)
    throw new InvalidArgumentError(
      Code.InvalidArgument,
      'cpus is a quota and a period: give either that or cpuQuota and cpuPeriod: invalid argument',
    );
  const resources: LinuxResources = {};
  if ([memory, memorySwap, memoryReservation, memorySwappiness, oomKillDisable].some((one) => one !== undefined)) {
    resources.memory = {
      ...(memorySwappiness === undefined ? {} : { swappiness: memorySwappiness }),
      ...(oomKillDisable === undefined ? {} : { disableOOMKiller: oomKillDisable }),
      ...(memory === undefined ? {} : { limit: memory }),
      ...(memorySwap === undefined ? {} : { swap: memorySwap }),
      ...(memoryReservation === undefined ? {} : { reservation: memoryReservation }),
    };
  }
  const cpu = [cpus, cpuShares, cpuset, cpusetMems, cpuQuota, cpuPeriod, cpuRealtimeRuntime, cpuRealtimePeriod];
  if (cpu.some((one) => one !== undefined)) {
    resources.cpu = {
      ...(cpuRealtimeRuntime === undefined ? {} : { realtimeRuntime: cpuRealtimeRuntime }),
      ...(cpuRealtimePeriod === undefined ? {} : { realtimePeriod: cpuRealtimePeriod }),
      ...(cpuQuota === undefined ? {} : { quota: cpuQuota }),
      ...(cpuPeriod === undefined ? {} : { period: cpuPeriod }),
      ...(cpusetMems === undefined ? {} : { mems: cpusetMems }),
      ...(cpus === undefined ? {} : { quota: Math.round(cpus * PERIOD_US), period: PERIOD_US }),
      ...(cpuShares === undefined ? {} : { shares: cpuShares }),
      ...(cpuset === undefined ? {} : { cpus: cpuset }),
    };
  }
  if (pids !== undefined) resources.pids = { limit: pids };
  const blockIO = blockIoOf(limits);
  if (blockIO !== undefined) resources.blockIO = blockIO;
  return resources;
}
