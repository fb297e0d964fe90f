/** The cgroup of a container: where it lies, and whether the kernel has killed in it for want of memory. */
import type { CgroupMount } from '../../oci/cgroup-mounts.js';
import type { OomWatch, RestingWatch } from '../cgroup/oom.js';
import type { Found, Leaving } from '../worker/leaving.js';
import type { Parts } from './parts.js';

/** As a shell has it. */
const KILLED = 128 + 9;

/** Stats and out-of-memory events need it; a container without them is still a container. */
export class MemoryWatch {
  #watch: Pick<OomWatch, 'look' | 'stop' | 'rest'> | undefined;
  #isInitFree = false;
  /** Somebody has asked for a SIGKILL of the init. */
  #isKillAsked = false;

  constructor(private readonly parts: Pick<Parts, 'record' | 'shim' | 'host' | 'init' | 'events'>) {}

  /** Finds the cgroups of the init, which has just been made, and begins to watch. */
  load(mounts?: CgroupMount[]): void {
    const { record, shim, host } = this.parts;
    if (record.init.state === 'abandoned' || shim.custom?.hasCgroup?.(record.init.pid) === false) return;
    try {
      record.cgroup = host.cgroupsOf(record.init.pid, mounts);
      if (record.cgroup) this.#watch = host.watchMemory(record.cgroup, () => this.#killed());
    } catch (error) {
      // An init that is dead already has no cgroup any more.
      const level = record.init.exitedAt !== undefined ? 'debug' : 'warn';
      shim.log[level]('loading the cgroup failed', { id: record.id, error });
    }
  }

  rest(leaving: Leaving): RestingWatch | undefined {
    return this.#watch?.rest(leaving);
  }

  /** Goes on as another process has left it. */
  resume(resting: RestingWatch | undefined, found: Found): void {
    const { record, host } = this.parts;
    if (resting && record.cgroup) this.#watch = host.resumeMemory(record.cgroup, resting, found, () => this.#killed());
  }

  #killed(): void {
    if (this.#isInitFree) this.#publish();
    else this.parts.init.whenFree(() => this.#publish());
  }

  /**
   * The init's exit is about to be published, and nothing comes before that any more but what is published here: not even a
   * Start that came after the init had ended.
   */
  initFree(): void {
    this.#isInitFree = true;
  }

  #publish(): void {
    const { record, events } = this.parts;
    // Nobody has heard of a container whose create has failed.
    if (record.init.state !== 'abandoned') events.oom();
  }

  /** The init is about to be killed by somebody who asked for it. */
  killAsked(): void {
    this.#isKillAsked = true;
  }

  /** Looks at once, so that what has happened is published before the exit that it caused. */
  look(): void {
    this.#watch?.look(this.#wasKilled());
  }

  /** Looks for the last time. A second call does nothing. */
  stop(): void {
    this.#watch?.stop(this.#wasKilled());
  }

  #wasKilled(): boolean {
    return !this.#isKillAsked && this.parts.record.init.exitStatus === KILLED;
  }
}
