/** The machine as the parts of a container see it: processes, cgroups, and the client's streams. */
import { closeSync } from 'node:fs';
import type { CgroupMount } from '../../oci/cgroup-mounts.js';
import { expectMigration, isChild, onExit, openPidfd, realtimeMillis, signalPidfd } from '../../sys/index.js';
import type { ExitStatus } from '../../sys/index.js';
import { OomWatch, type RestingWatch } from '../cgroup/oom.js';
import { cgroupsOf } from '../cgroup/paths.js';
import type { Observations } from '../observe/observations.js';
import type { CgroupPaths } from '../record/cgroup-paths.js';
import type { Found } from '../worker/leaving.js';
import { openStdio, resumeStdio, type RestingStdio, type Stdio, type StdioRequest } from '../stdio/index.js';

/** A test has one of its own, in which nothing happens by itself. */
export interface Host {
  /** True for a child of this process whose status has not been collected. */
  isChild(pid: number): boolean;
  /** Calls back once, never at once, when a child has ended. */
  onExit(pid: number, seen: (status: ExitStatus) => void): void;
  /** Sends a signal to a child. Throws an error with its errno's name as `code`. */
  signal(pid: number, signal: number): void;
  /** The runtime is about to move a process into a cgroup. */
  expectMigration(): void;
  /** Milliseconds since the epoch. */
  now(): number;
  /** The cgroups of a process; undefined when it has none of its own. */
  cgroupsOf(pid: number, mounts?: CgroupMount[]): CgroupPaths | undefined;
  /** Calls back each time that the kernel kills for want of memory; undefined where that cannot be known. */
  watchMemory(cgroup: CgroupPaths, killed: () => void): Pick<OomWatch, 'look' | 'stop' | 'rest'> | undefined;
  /** The same, as another process has left it. */
  resumeMemory(
    cgroup: CgroupPaths,
    resting: RestingWatch,
    found: Found,
    killed: () => void,
  ): Pick<OomWatch, 'look' | 'stop' | 'rest'>;
  openStdio(request: StdioRequest, warn: (text: string) => void, observations: Observations): Promise<Stdio>;
  /** The same, as another process has left it. */
  resumeStdio(
    request: StdioRequest,
    warn: (text: string) => void,
    observations: Observations,
    resting: RestingStdio,
    found: Found,
  ): Stdio;
}

export const thisHost: Host = {
  isChild,
  onExit,
  signal(pid, signal) {
    // It is not collected before its exit is seen, so the pid is still its own.
    const pidfd = openPidfd(pid);
    try {
      signalPidfd(pidfd, signal);
    } finally {
      closeSync(pidfd);
    }
  },
  expectMigration,
  now: realtimeMillis,
  cgroupsOf,
  watchMemory: (cgroup, killed) => OomWatch.start(cgroup, killed),
  resumeMemory: (cgroup, resting, found, killed) => OomWatch.resume(cgroup, resting, found, killed),
  openStdio,
  resumeStdio,
};
