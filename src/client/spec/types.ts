/** The OCI runtime spec as far as containers are described here, and the options that it is made of. */
import type { SeccompProfile, SpecSeccomp } from '../seccomp/types.js';

/**
 * A number of up to 64 bits. What a number of JavaScript cannot hold exactly is read as a bigint, and may be given as one; `stringifyExact`
 * writes both as JSON.
 */
export type Integer = number | bigint;

/** A mount in a container. */
export interface SpecMount {
  destination: string;
  type?: string;
  source?: string;
  options?: string[];
}

/** Whom a process runs as. */
export interface SpecUser {
  uid: number;
  gid: number;
  umask?: number;
  additionalGids?: number[];
  username?: string;
}

/** `process` of the runtime spec. */
export interface SpecProcess {
  terminal?: boolean;
  consoleSize?: { width: number; height: number };
  user: SpecUser;
  args?: string[];
  env?: string[];
  cwd: string;
  capabilities?: Partial<Record<'bounding' | 'effective' | 'inheritable' | 'permitted' | 'ambient', string[]>>;
  rlimits?: { type: string; hard: Integer; soft: Integer }[];
  noNewPrivileges?: boolean;
  apparmorProfile?: string;
  selinuxLabel?: string;
  oomScoreAdj?: number;
}

/** linux.resources of the runtime spec. */
export interface LinuxResources {
  devices?: { allow: boolean; type?: string; major?: number; minor?: number; access?: string }[];
  memory?: {
    limit?: Integer;
    reservation?: Integer;
    swap?: Integer;
    kernel?: Integer;
    swappiness?: Integer;
    disableOOMKiller?: boolean;
  };
  cpu?: {
    shares?: Integer;
    quota?: Integer;
    period?: Integer;
    burst?: Integer;
    realtimeRuntime?: Integer;
    realtimePeriod?: Integer;
    cpus?: string;
    mems?: string;
    idle?: number;
  };
  pids?: { limit: Integer };
  blockIO?: { weight?: number; leafWeight?: number; [key: string]: unknown };
  hugepageLimits?: { pageSize: string; limit: Integer }[];
  unified?: Record<string, string>;
  [key: string]: unknown;
}

/** What the device cgroup lets a container's processes open, and make. */
export interface DeviceRule {
  /** Of characters, of blocks, or all. */
  readonly type: 'a' | 'b' | 'c';
  /** Default: any. */
  readonly major?: number | undefined;
  readonly minor?: number | undefined;
  /** Of `rwm`. */
  readonly access: string;
}

/** What a container may take of one disk. */
export interface BlkioDevice {
  /** On the host: `/dev/sda`. */
  readonly path: string;
  /** Its share when the disk is busy, from 10 to 1000. */
  readonly weight?: number | undefined;
  /** Bytes each second. */
  readonly readBps?: number | undefined;
  readonly writeBps?: number | undefined;
  /** Operations each second. */
  readonly readIops?: number | undefined;
  readonly writeIops?: number | undefined;
}

/** `linux` of the runtime spec. */
export interface SpecLinux {
  namespaces?: { type: string; path?: string }[];
  uidMappings?: { containerID: number; hostID: number; size: number }[];
  gidMappings?: { containerID: number; hostID: number; size: number }[];
  devices?: {
    path: string;
    type: string;
    major?: number;
    minor?: number;
    fileMode?: number;
    uid?: number;
    gid?: number;
  }[];
  cgroupsPath?: string;
  resources?: LinuxResources;
  rootfsPropagation?: string;
  seccomp?: SpecSeccomp;
  sysctl?: Record<string, string>;
  maskedPaths?: string[];
  readonlyPaths?: string[];
  [key: string]: unknown;
}

/** A container as its runtime is told of it: config.json of the runtime spec. */
export interface Spec {
  ociVersion: string;
  process?: SpecProcess;
  root?: { path: string; readonly?: boolean };
  hostname?: string;
  mounts?: SpecMount[];
  hooks?: Record<string, { path: string; args?: string[]; env?: string[]; timeout?: number }[]>;
  annotations?: Record<string, string>;
  linux?: SpecLinux;
  [key: string]: unknown;
}

/** What a process is: of a container's first one and of an exec. */
export interface ProcessOptions {
  readonly args?: readonly string[] | undefined;
  /** Added to the environment that is there, by name: of the image, or for an exec of the container's first process. */
  readonly env?: readonly string[] | Readonly<Record<string, string>> | undefined;
  readonly cwd?: string | undefined;
  /**
   * `UID`, `UID:GID`, or names that the root file system's /etc/passwd and /etc/group have. With the groups that name the user, unless a
   * group is given. Default: the image's, or root; for an exec, the container's.
   */
  readonly user?: string | undefined;
  readonly terminal?: boolean | undefined;
  /** Names with or without CAP_; `ALL` for all that there are. */
  readonly capAdd?: readonly string[] | undefined;
  readonly capDrop?: readonly string[] | undefined;
  /**
   * All capabilities; for a container also all devices, nothing of /proc and /sys hidden or read-only, and no filter of system calls and no
   * AppArmor profile that is not chosen by name.
   */
  readonly privileged?: boolean | undefined;
  /** No program may give the process what it has not, by a setuid bit or capabilities of a file. Default true, unless privileged. */
  readonly noNewPrivileges?: boolean | undefined;
}

/** What a container's spec is made of. */
export interface SpecOptions extends ProcessOptions {
  /** Instead of the image's entry point; empty for none. `args` then replace the image's command. */
  readonly entrypoint?: readonly string[] | undefined;
  /** Groups more, by number or as the root file system's /etc/group names them. */
  readonly groupAdd?: readonly string[] | undefined;
  /** Default: the container's id; the host's with the host's network. */
  readonly hostname?: string | undefined;
  /** Of NIS (domainname(1)). */
  readonly domainname?: string | undefined;
  /** Added to the usual ones; one for the same destination takes its place. */
  readonly mounts?: readonly SpecMount[] | undefined;
  readonly readonlyRootfs?: boolean | undefined;
  /** `none`: a network of its own with nothing in it (the default); `host`: the host's; or the path of a namespace. */
  readonly network?: 'none' | 'host' | (string & {}) | undefined;
  /** A namespace of cgroups, or none. Default: private where there is cgroup v2 alone. */
  readonly cgroupNamespace?: 'private' | 'host' | undefined;
  /** Bytes of /dev/shm (default 64 MiB); 0 for no /dev/shm at all. */
  readonly shmSize?: number | undefined;
  /** Its first process runs below an init program, which passes signals on and reaps what nobody waits for. Unless its pids are the host's. */
  readonly init?: boolean | undefined;
  /** From -1000 to 1000: whom the kernel kills first when memory is short (proc_pid_oom_score_adj(5)). Default 0. */
  readonly oomScoreAdj?: number | undefined;
  /** The host's, instead of namespaces of its own. */
  readonly hostNamespaces?: readonly ('pid' | 'ipc' | 'uts' | 'cgroup')[] | undefined;
  /**
   * Which system calls it may make: `default` (docker's profile), `unconfined`, or a profile in the format of docker's files. What it says of
   * capabilities, architecture and kernel is resolved for the container and this machine.
   */
  readonly seccomp?: 'default' | 'unconfined' | SeccompProfile | undefined;
  /** Name of an AppArmor profile, or `unconfined`. Passed over where the kernel has no AppArmor. Default: Hawser's own, like docker's. */
  readonly apparmor?: string | undefined;
  /** `unconfined`: nothing of /proc and /sys is hidden or read-only. */
  readonly systemPaths?: 'unconfined' | undefined;
  readonly limits?: Limits | undefined;
  /**
   * Devices of the host by path, such as `/dev/fuse`, or `HOST:CONTAINER:rwm`; and those of the Container Device Interface, `nvidia.com/gpu=0`, whose
   * files are read when the container is made.
   */
  readonly devices?: readonly string[] | undefined;
  /** Where those files are, what a later directory says holding. Default: `/etc/cdi`, `/var/run/cdi`. */
  readonly cdiSpecDirs?: readonly string[] | undefined;
  /** Devices that its processes may use, if they are there or are made. */
  readonly deviceRules?: readonly DeviceRule[] | undefined;
  /** Of each process (setrlimit(2)), by name with or without RLIMIT_; -1 or Infinity for no limit. */
  readonly rlimits?: readonly { readonly type: string; readonly soft: Integer; readonly hard: Integer }[] | undefined;
  readonly sysctl?: Readonly<Record<string, string>> | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  /** What its cgroup is made in: a path, or the name of a slice where systemd makes cgroups. Default: the namespace's name, or `hawser.slice`. */
  readonly cgroupParent?: string | undefined;
  /** As the spec is to have it, whoever makes it. Default: of the parent and the id. */
  readonly cgroupsPath?: string | undefined;
}

/** Who makes a container's cgroup: the runtime itself, or systemd, which is asked by the runtime. */
export type CgroupDriver = 'cgroupfs' | 'systemd';

/** What a container may use. */
export interface Limits {
  /** Bytes. */
  readonly memory?: number | undefined;
  /** Memory and swap together, in bytes; -1 for as much swap as there is. */
  readonly memorySwap?: number | undefined;
  readonly memoryReservation?: number | undefined;
  /** How many processors' worth of time: 1.5. */
  readonly cpus?: number | undefined;
  readonly cpuShares?: number | undefined;
  /** Which processors: `0-1,3`. */
  readonly cpuset?: string | undefined;
  /** Which nodes of memory: `0-1`. */
  readonly cpusetMems?: string | undefined;
  /** Microseconds of processor time in each period; -1 for no limit. Instead of `cpus`. */
  readonly cpuQuota?: number | undefined;
  /** Microseconds. Default 100 000. */
  readonly cpuPeriod?: number | undefined;
  /** How readily its memory is swapped out, from 0 to 100 (cgroup v1). */
  readonly memorySwappiness?: number | undefined;
  /** It waits for memory instead of being killed (cgroup v1). */
  readonly oomKillDisable?: boolean | undefined;
  /** Its share of busy disks, from 10 to 1000. */
  readonly blkioWeight?: number | undefined;
  /** Of single disks. */
  readonly blkioDevices?: readonly BlkioDevice[] | undefined;
  /** Microseconds of real-time scheduling in each period of so many, where the kernel has it (cgroup v1). */
  readonly cpuRealtimeRuntime?: number | undefined;
  readonly cpuRealtimePeriod?: number | undefined;
  readonly pids?: number | undefined;
}
