/**
 * The cgroup in which everything lives that one shim program starts: shims, what they leave running behind them, and
 * containers. What is counted is counted by membership, whatever a process is called and whoever its parent is.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { cgroupDir, cgroupDirs, cgroupsBelow, hasCgroup2, quietly, removeCgroups } from '../support/machine.js';
import { ownCgroup, cpuMillis } from './proc.js';

/** A group that uses less than this in one look at it is at rest, in milliseconds. */
const QUIET_CPU_MS = 2;
const LOOK_MS = 200;
const SETTLE_BOUND_MS = 15_000;
/** Of 20 ms each. */
const TRIES = 500;

const directory = (path: string): string => cgroupDir('cpuacct', path);

/** Pids of a cgroup and of those below it, in whatever hierarchy, without our own. */
function membersOf(path: string): number[] {
  const pids = [...cgroupDirs(path), ...cgroupsBelow(path)]
    .flatMap((dir) => (quietly(() => readFileSync(join(dir, 'cgroup.procs'), 'utf8')) ?? '').split('\n'))
    .filter(Boolean)
    .map(Number);
  return [...new Set(pids)].filter((pid) => pid !== process.pid);
}

/** Kills every process of a cgroup and of those below it, until there is none. */
async function killAll(path: string): Promise<void> {
  for (let i = 0; i < TRIES; i++) {
    const pids = membersOf(path);
    if (pids.length === 0) return;
    // One that has ended since is no harm.
    for (const pid of pids) quietly(() => process.kill(pid, 'SIGKILL'));
    await delay(20);
  }
  throw new Error(`processes ${membersOf(path).join(', ')} of cgroup ${path} do not end after SIGKILL`);
}

/** Kills what is in a cgroup and in those below it, and removes them, in all hierarchies. */
export async function sweep(path: string): Promise<void> {
  for (let i = 0; i < TRIES; i++) {
    await killAll(path);
    removeCgroups(path);
    if (cgroupDirs(path).length === 0) return;
    // What has just ended still counts for a moment.
    await delay(20);
  }
  throw new Error(`cgroup ${path} cannot be removed: ${cgroupDirs(path).join(', ')}`);
}

/** One shim program's cgroup. Its processes are in `shims` below it and its containers in `containers`: cgroup v2 wants leaves. */
export class Cgroup {
  /** The parent of the containers' cgroups, as a runtime's configuration has it. */
  readonly containers: string;
  readonly #shims: string;
  readonly #home: string;
  /** Our own use while we were in it, in milliseconds. */
  #ownMs = 0;
  #since: NodeJS.CpuUsage | undefined;

  constructor(readonly path: string) {
    this.#shims = `${path}/shims`;
    this.containers = `${path}/containers`;
    mkdirSync(directory(this.#shims), { recursive: true });
    const home = directory(ownCgroup(readFileSync('/proc/self/cgroup', 'utf8'), hasCgroup2() ? '' : 'cpuacct'));
    // A container sees its own cgroup as the root, but not always under the name that it is told.
    this.#home = existsSync(home) ? home : directory('');
  }

  /** Does some work in this cgroup, so that all that is started is in it. A moved process costs milliseconds: not to be timed. */
  async inside<T>(work: () => Promise<T>): Promise<T> {
    this.#enter();
    try {
      return await work();
    } finally {
      this.#leave();
    }
  }

  /** Within {@link inside}: starts something that shall not be counted. */
  outside<T>(work: () => T): T {
    const wasInside = this.#since !== undefined;
    if (wasInside) this.#leave();
    try {
      return work();
    } finally {
      if (wasInside) this.#enter();
    }
  }

  #enter(): void {
    writeFileSync(join(directory(this.#shims), 'cgroup.procs'), String(process.pid));
    this.#since = process.cpuUsage();
  }

  #leave(): void {
    writeFileSync(join(this.#home, 'cgroup.procs'), String(process.pid));
    this.#ownMs += this.#ownSince();
    this.#since = undefined;
  }

  #ownSince(): number {
    if (!this.#since) return 0;
    const { user, system } = process.cpuUsage(this.#since);
    return (user + system) / 1000;
  }

  /**
   * Processor time that has been used in here so far, in milliseconds, without our own.
   *
   * @param what containers and all, or only what shims do
   */
  cpu(what: 'everything' | 'shims' = 'everything'): number {
    const path = what === 'shims' ? this.#shims : this.path;
    const file = join(directory(path), hasCgroup2() ? 'cpu.stat' : 'cpuacct.usage');
    return cpuMillis(readFileSync(file, 'utf8')) - this.#ownMs - this.#ownSince();
  }

  /** Pids of shims and of whatever else they have started, containers excepted. */
  processes(): number[] {
    return membersOf(this.#shims);
  }

  /** Waits until next to nothing happens in here: else what one shim does afterwards would be the next one's noise. */
  async settle(): Promise<void> {
    for (const deadline = Date.now() + SETTLE_BOUND_MS; Date.now() < deadline;) {
      const before = this.cpu();
      await delay(LOOK_MS);
      if (this.cpu() - before < QUIET_CPU_MS) return;
    }
  }

  /** Ends all that is in here. */
  kill(): Promise<void> {
    return killAll(this.path);
  }
}
