/** The cgroup of a container: where it lies, and whether the kernel has killed in it for want of memory. */
import type { CgroupMount } from '../../oci/cgroup-mounts.js';
import type { OomWatch } from '../cgroup/oom.js';
import type { Parts } from './parts.js';

/** Stats and out-of-memory events need it; a container without them is still a container. */
export class MemoryWatch {
  #watch: Pick<OomWatch, 'look' | 'stop'> | undefined;

  constructor(private readonly parts: Pick<Parts, 'record' | 'shim' | 'host' | 'init' | 'events'>) {}

  /** Finds the cgroups of the init, which has just been made, and begins to watch. */
  load(mounts?: CgroupMount[]): void {
    const { record, shim, host, init, events } = this.parts;
    if (record.init.state === 'abandoned' || shim.custom?.hasCgroup?.(record.init.pid) === false) return;
    try {
      record.cgroup = host.cgroupsOf(record.init.pid, mounts);
      if (record.cgroup) this.#watch = host.watchMemory(record.cgroup, () => init.whenFree(() => events.oom()));
    } catch (error) {
      // An init that is dead already has no cgroup any more.
      const level = record.init.exitedAt !== undefined ? 'debug' : 'warn';
      shim.log[level]('loading the cgroup failed', { id: record.id, error });
    }
  }

  /** Looks at once, so that what has happened is published before the exit that it caused. */
  look(): void {
    this.#watch?.look();
  }

  /** Looks for the last time. A second call does nothing. */
  stop(): void {
    this.#watch?.stop();
  }
}
