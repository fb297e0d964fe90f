/** The spec that a container has when nothing else is said: docker's (moby, daemon/pkg/oci), but that no program gains privileges. */
import { existsSync, readdirSync } from 'node:fs';
import type { Spec, SpecMount } from './types.js';

const CAPABILITIES = [
  'CHOWN',
  'DAC_OVERRIDE',
  'FSETID',
  'FOWNER',
  'MKNOD',
  'NET_RAW',
  'SETGID',
  'SETUID',
  'SETFCAP',
  'SETPCAP',
  'NET_BIND_SERVICE',
  'SYS_CHROOT',
  'KILL',
  'AUDIT_WRITE',
].map((name) => `CAP_${name}`);

const CPUS = '/sys/devices/system/cpu';
const MASKED = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
];
const READONLY = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

const MOUNTS: readonly SpecMount[] = [
  { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
  {
    destination: '/dev',
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
  },
  {
    destination: '/dev/pts',
    type: 'devpts',
    source: 'devpts',
    options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
  },
  {
    destination: '/dev/shm',
    type: 'tmpfs',
    source: 'shm',
    options: ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=65536k'],
  },
  { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
  { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
  {
    destination: '/sys/fs/cgroup',
    type: 'cgroup',
    source: 'cgroup',
    options: ['nosuid', 'noexec', 'nodev', 'ro'],
  },
];

/** Of a network of its own: anybody may send an echo request, and listen below 1024. No other container's is changed by it. */
export const NETWORK_SYSCTL: Readonly<Record<string, string>> = {
  'net.ipv4.ping_group_range': '0 2147483647',
  'net.ipv4.ip_unprivileged_port_start': '0',
};

/** The devices that every container may use; runc makes them. */
const DEVICES = [
  { allow: false, access: 'rwm' },
  ...(
    [
      [1, 3],
      [1, 8],
      [1, 7],
      [5, 0],
      [1, 5],
      [1, 9],
      [5, 1],
    ] as const
  ).map(([major, minor]) => ({ allow: true, type: 'c', major, minor, access: 'rwm' })),
  { allow: true, type: 'c', major: 136, access: 'rwm' },
  { allow: true, type: 'c', major: 5, minor: 2, access: 'rwm' },
];

/** With what tells of the host's load and of its power supply, by which secrets were read (GHSA-6fw5-f8r9-fgfm, GHSA-jq35-85cj-fj4p). */
function maskedPaths(): string[] {
  const throttles = (existsSync(CPUS) ? readdirSync(CPUS) : [])
    .filter((name) => /^cpu\d+$/.test(name))
    .map((name) => `${CPUS}/${name}/thermal_throttle`);
  return [...MASKED, ...throttles.filter((path) => existsSync(path))];
}

/** True where all controllers are in cgroup v2, and a container is to see its own cgroup as the topmost. */
function isUnified(): boolean {
  return existsSync('/sys/fs/cgroup/cgroup.controllers');
}

export const DEFAULT_PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** A spec without root file system and arguments, to be changed by its caller. */
export function defaultSpec(cgroupsPath: string): Spec {
  return {
    ociVersion: '1.0.2',
    process: {
      user: { uid: 0, gid: 0, additionalGids: [0] },
      cwd: '/',
      env: [DEFAULT_PATH],
      noNewPrivileges: true,
      capabilities: { bounding: [...CAPABILITIES], effective: [...CAPABILITIES], permitted: [...CAPABILITIES] },
      // Not the daemon's, which the kernel is to spare.
      oomScoreAdj: 0,
    },
    root: { path: 'rootfs' },
    mounts: structuredClone(MOUNTS) as SpecMount[],
    linux: {
      maskedPaths: maskedPaths(),
      readonlyPaths: [...READONLY],
      cgroupsPath,
      resources: { devices: structuredClone(DEVICES) },
      namespaces: ['pid', 'ipc', 'uts', 'mount', 'network', ...(isUnified() ? ['cgroup'] : [])].map((type) => ({
        type,
      })),
    },
  };
}
