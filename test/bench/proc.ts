/** Texts of /proc and of cgroups, as numbers. */

/** What one process has of memory, in MB. */
export interface Memory {
  /** Dirty pages of its own: clean ones of a program are shared as soon as there is a second of it. */
  private: number;
  /** Its share of all its pages. */
  pss: number;
}

/** Of a smaps_rollup. A process that is ending has an empty one, and no memory. */
export function memoryIn(rollup: string): Memory {
  const megabytes = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(rollup)?.[1] ?? 0) / 1024;
  return { private: megabytes('Private_Dirty'), pss: megabytes('Pss') };
}

/** Processor time in milliseconds, of a cpuacct.usage (nanoseconds) or a cpu.stat (its microseconds). */
export function cpuMillis(text: string): number {
  const usage = /^usage_usec (\d+)$/m.exec(text)?.[1];
  if (usage !== undefined) return Number(usage) / 1000;
  if (/^\d+\n?$/.test(text)) return Number(text) / 1e6;
  throw new Error(`no processor time of a cgroup: ${JSON.stringify(text.slice(0, 100))}`);
}

/** The cgroup in a /proc/PID/cgroup, as a path below its hierarchy: that of a v1 controller, or of v2 where none is named. */
export function ownCgroup(text: string, controller: string): string {
  for (const line of text.split('\n')) {
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (path && controllers.split(',').includes(controller)) return path === '/' ? '' : path;
  }
  return '';
}

/** A process, its parent, and where it works. */
export interface Kin {
  pid: number;
  ppid: number;
  cwd: string;
}

/**
 * Those of a program's processes that are one shim's own, in contrast to those that shims share: the shim, what descends from
 * it, and what works in its bundle.
 */
export function ownOf(all: readonly Kin[], shimPid: number, bundle: string): number[] {
  const own = new Set(all.filter(({ pid, cwd }) => pid === shimPid || cwd === bundle).map(({ pid }) => pid));
  for (let before = -1; before !== own.size;) {
    before = own.size;
    for (const { pid, ppid } of all) if (own.has(ppid)) own.add(pid);
  }
  return [...own];
}
