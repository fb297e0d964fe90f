/** How often the kernel has killed for want of memory in a cgroup of v2, as far as that can be read once it is being removed. */
import { basename, dirname } from 'node:path';
import { keyedText, tryTextOnce } from './files.js';

/** What is known at some moment. */
export interface KnownCount {
  readonly kills: bigint;
  /** Of the cgroup that the container's lies in, which has it in its own count. Undefined where none can be read. */
  readonly around: bigint | undefined;
}

/**
 * The scope that systemd has made for a container, where crun has put the container's cgroup into one below it (crun(1),
 * run.oci.systemd.subgroup): systemd may have removed that one by the time that somebody looks.
 */
export function scopeOf(dir: string): string | undefined {
  const parent = dirname(dir);
  return basename(dir) === 'container' && parent.endsWith('.scope') ? parent : undefined;
}

/** The counter `oom` also grows when nothing is killed; `oom_kill` counts for the cgroups below as well. */
function killsIn(dir: string): bigint | undefined {
  return keyedText(tryTextOnce(dir, 'memory.events')).get('oom_kill');
}

/**
 * systemd removes a scope as soon as nothing runs in it, which may be before its count has been read. Then the count of the slice
 * around it tells, which stays: if that has grown, and the container has been killed and nobody is known to have done it, it was the
 * kernel.
 */
export class UnifiedCount {
  readonly #own: readonly string[];
  readonly #outer: string;
  #known: KnownCount;

  constructor(dir: string, known?: KnownCount) {
    const scope = scopeOf(dir);
    this.#own = scope === undefined ? [dir] : [dir, scope];
    this.#outer = dirname(scope ?? dir);
    this.#known = known ?? { around: killsIn(this.#outer), kills: this.#kills() ?? 0n };
  }

  get known(): KnownCount {
    return this.#known;
  }

  /**
   * Has it grown since the last time?
   *
   * @param wasKilled the container's end was a SIGKILL that was not asked for
   */
  hasGrown(wasKilled: boolean): boolean {
    const { kills: before, around: aroundBefore } = this.#known;
    // Before its own: what is counted in between is not to be missed next time.
    const around = killsIn(this.#outer);
    const kills = this.#kills();
    if (kills !== undefined) {
      const has = kills > before;
      this.#known = { kills: has ? kills : before, around: has ? killsIn(this.#outer) : around };
      return has;
    }
    if (!wasKilled || around === undefined || aroundBefore === undefined || around <= aroundBefore) return false;
    this.#known = { kills: before, around };
    return true;
  }

  #kills(): bigint | undefined {
    const all = this.#own.map(killsIn).filter((kills) => kills !== undefined);
    return all.length === 0 ? undefined : all.reduce((most, one) => (one > most ? one : most));
  }
}
