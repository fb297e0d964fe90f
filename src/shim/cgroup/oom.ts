/** Notices when the kernel kills in a container for want of memory (contract §4.6). */
import { closeSync, existsSync, openSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeEventfd, READABLE, tryRead, Watch } from '../../sys/index.js';
import { keyed } from './files.js';
import { NOWHERE, type Found, type Leaving } from '../worker/leaving.js';
import type { CgroupPaths } from '../record/cgroup-paths.js';

/** What a worker that rests leaves of a watch. */
export interface RestingWatch {
  /** Place of the descriptor in the list that goes with it. */
  readonly place: number;
  /** On cgroup v2, how many kills are known of. */
  readonly kills?: string;
}

export class OomWatch {
  #open = true;

  private constructor(
    private readonly lookNow: () => void,
    private readonly release: () => void,
    private readonly leave: (leaving: Leaving) => RestingWatch,
  ) {}

  /** Leaves it to another process; undefined when it has been stopped. */
  rest(leaving: Leaving): RestingWatch | undefined {
    return this.#open ? this.leave(leaving) : undefined;
  }

  /** Goes on with what another process has left: what has happened meanwhile is found at once. */
  static resume(cgroup: CgroupPaths, { place, kills }: RestingWatch, found: Found, killed: () => void): OomWatch {
    if (cgroup.version === 1) return OomWatch.#counter(cgroup.controllers.memory ?? '', found.fd(place), killed);
    if (place !== NOWHERE) closeSync(found.fd(place));
    const watch = OomWatch.#unified(cgroup.dir, killed, BigInt(kills ?? '0'));
    watch.look();
    return watch;
  }

  /** Begins to watch; `killed` is called for each time. Undefined when the cgroup has no memory controller. */
  static start(cgroup: CgroupPaths, killed: () => void): OomWatch | undefined {
    const dir = cgroup.version === 2 ? cgroup.dir : cgroup.controllers.memory;
    if (dir === undefined || !existsSync(join(dir, cgroup.version === 2 ? 'memory.events' : 'memory.oom_control')))
      return undefined;
    return cgroup.version === 2 ? OomWatch.#unified(dir, killed) : OomWatch.#eventfd(dir, killed);
  }

  /** Looks at once, so that what has happened is published before the exit that it caused. */
  look(): void {
    if (this.#open) this.lookNow();
  }

  /** Looks for the last time. A second call does nothing. */
  stop(): void {
    if (!this.#open) return;
    try {
      this.lookNow();
    } finally {
      this.#open = false;
      this.release();
    }
  }

  /** The kernel counts up an eventfd, before it kills (Linux' Documentation/admin-guide/cgroup-v1/memory.rst, section 10). */
  static #eventfd(dir: string, killed: () => void): OomWatch {
    const eventfd = makeEventfd();
    try {
      const control = openSync(join(dir, 'memory.oom_control'), 'r');
      try {
        writeFileSync(join(dir, 'cgroup.event_control'), `${eventfd} ${control}`);
      } finally {
        closeSync(control);
      }
    } catch (error) {
      closeSync(eventfd);
      throw error;
    }
    return OomWatch.#counter(dir, eventfd, killed);
  }

  static #counter(dir: string, eventfd: number, killed: () => void): OomWatch {
    const counter = Buffer.alloc(8);
    const look = (): void => {
      // Removing the cgroup wakes too, and is no want of memory.
      if (tryRead(eventfd, counter) !== undefined && existsSync(join(dir, 'memory.oom_control'))) killed();
    };
    const readable = new Watch(eventfd, look);
    readable.want(READABLE);
    return new OomWatch(
      look,
      () => {
        readable.close();
        closeSync(eventfd);
      },
      (leaving) => ({ place: leaving.wakes(eventfd) }),
    );
  }

  /** The counter `oom` also grows when nothing is killed; `oom_kill` counts for the cgroups below as well. */
  static #unified(dir: string, killed: () => void, known?: bigint): OomWatch {
    const kills = (): bigint => keyed(dir, 'memory.events').get('oom_kill') ?? 0n;
    let before = known ?? kills();
    const look = (): void => {
      const now = kills();
      if (now <= before) return;
      before = now;
      killed();
    };
    const watcher = watch(join(dir, 'memory.events'), look);
    watcher.on('error', () => watcher.close());
    return new OomWatch(
      look,
      () => watcher.close(),
      (leaving) => ({ place: leaving.changes(join(dir, 'memory.events')), kills: String(before) }),
    );
  }
}
