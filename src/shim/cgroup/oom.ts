/** Tells when the kernel kills in a container for want of memory (contract §4.6). */
import { closeSync, existsSync, openSync, watch, writeFileSync, type FSWatcher } from 'node:fs';
import { join } from 'node:path';
import { makeEventfd, READABLE, tryRead, Watch } from '../../sys/index.js';
import { keyed } from './files.js';
import type { CgroupPaths } from './paths.js';

export class OomWatch {
  private constructor(private readonly lastLook: () => void, private readonly release: () => void) {}

  /** Begins to watch; `told` is called for each time. Undefined when the cgroup has no memory controller. */
  static start(cgroup: CgroupPaths, told: () => void): OomWatch | undefined {
    if (cgroup.version === 2) return OomWatch.#unified(cgroup.dir, told);
    const dir = cgroup.controllers.memory;
    return dir === undefined ? undefined : OomWatch.#eventfd(dir, told);
  }

  /** Looks once more, so that what happened is told before the exit that it caused; then watches no longer. */
  stop(): void {
    this.lastLook();
    this.release();
  }

  static #eventfd(dir: string, told: () => void): OomWatch {
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
    const counter = Buffer.alloc(8);
    let open = true;
    const look = (): void => {
      // Removing the cgroup wakes too, and is no want of memory.
      if (open && tryRead(eventfd, counter) !== undefined && existsSync(join(dir, 'memory.oom_control'))) told();
    };
    const readable = new Watch(eventfd, look);
    readable.want(READABLE);
    return new OomWatch(look, () => {
      if (!open) return;
      open = false;
      readable.close();
      closeSync(eventfd);
    });
  }

  static #unified(dir: string, told: () => void): OomWatch {
    const kills = (): bigint => keyed(dir, 'memory.events').get('oom_kill') ?? 0n;
    let before = kills();
    const look = (): void => {
      const now = kills();
      if (now > before) told();
      if (now > before) before = now;
    };
    const watcher: FSWatcher = watch(join(dir, 'memory.events'), look);
    watcher.on('error', () => watcher.close());
    return new OomWatch(look, () => watcher.close());
  }
}
