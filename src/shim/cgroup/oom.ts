/** Notices when the kernel kills in a container for want of memory (contract §4.6). */
import { closeSync, existsSync, openSync, watch, writeFileSync, type FSWatcher } from 'node:fs';
import { join } from 'node:path';
import { makeEventfd, READABLE, tryRead, Watch } from '../../sys/index.js';
import { UnifiedCount } from './oom-count.js';
import { NOWHERE, type Found, type Leaving } from '../worker/leaving.js';
import type { CgroupPaths } from '../record/cgroup-paths.js';

/** What a worker that rests leaves of a watch. */
export interface RestingWatch {
  /** Place of the descriptor in the list that goes with it. */
  readonly place: number;
  /** On cgroup v2, how many kills are known of; and how many there were then around the container's cgroup. */
  readonly kills?: string;
  readonly around?: string;
}

export class OomWatch {
  #open = true;

  private constructor(
    private readonly lookNow: (wasKilled?: boolean) => void,
    private readonly release: () => void,
    private readonly leave: (leaving: Leaving) => RestingWatch,
  ) {}

  /** Leaves it to another process; undefined when it has been stopped. */
  rest(leaving: Leaving): RestingWatch | undefined {
    return this.#open ? this.leave(leaving) : undefined;
  }

  /** Goes on with what another process has left: what has happened meanwhile is found at once. */
  static resume(
    cgroup: CgroupPaths,
    { place, kills, around }: RestingWatch,
    found: Found,
    killed: () => void,
  ): OomWatch {
    if (cgroup.version === 1) return OomWatch.#counter(cgroup.controllers.memory ?? '', found.fd(place), killed);
    if (place !== NOWHERE) closeSync(found.fd(place));
    const count = new UnifiedCount(cgroup.dir, {
      kills: BigInt(kills ?? '0'),
      around: around === undefined ? undefined : BigInt(around),
    });
    const watch = OomWatch.#unified(cgroup.dir, killed, count);
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
  look(wasKilled = false): void {
    if (this.#open) this.lookNow(wasKilled);
  }

  /**
   * Looks for the last time. A second call does nothing.
   *
   * @param wasKilled a process of it ended by a SIGKILL that nobody is known to have sent
   */
  stop(wasKilled = false): void {
    if (!this.#open) return;
    try {
      this.lookNow(wasKilled);
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

  static #unified(dir: string, killed: () => void, count = new UnifiedCount(dir)): OomWatch {
    const look = (wasKilled = false): void => {
      if (count.hasGrown(wasKilled)) killed();
    };
    const file = join(dir, 'memory.events');
    const watcher = tryWatch(file, () => look());
    return new OomWatch(
      look,
      () => watcher?.close(),
      (leaving) => {
        const { kills, around } = count.known;
        return {
          place: leaving.changes(file),
          kills: String(kills),
          ...(around === undefined ? {} : { around: String(around) }),
        };
      },
    );
  }
}

/** Undefined where the cgroup has been removed by now: what has happened in it is found by looking. */
function tryWatch(file: string, changed: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(file, changed);
    watcher.on('error', () => watcher.close());
    return watcher;
  } catch (error) {
    if (['ENOENT', 'ENODEV'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}
