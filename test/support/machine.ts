/** What is on the machine: processes, mounts, cgroups. For finding what a test has left behind. */
import { existsSync, readdirSync, readFileSync, readlinkSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const CGROUPS = '/sys/fs/cgroup';

export interface ProcessInfo {
  pid: number;
  ppid: number;
  state: string;
  name: string;
  command: string;
}

/** A process, or undefined when there is none. */
export function processInfo(pid: number): ProcessInfo | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const end = stat.lastIndexOf(')');
    const [state = '', ppid = ''] = stat.slice(end + 2).split(' ');
    const command = readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ').trim();
    return { pid, ppid: Number(ppid), state, name: stat.slice(stat.indexOf('(') + 1, end), command };
  } catch (error) {
    // It ended while we looked.
    if (error instanceof Error) return undefined;
    throw error;
  }
}

export function allProcesses(): ProcessInfo[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .flatMap((pid) => processInfo(pid) ?? []);
}

/** It has rehearsed, and waits for somebody to fork for; false for one that has just ended. */
export function isIdleZygote(pid: number): boolean {
  const read = (name: string): string | undefined => quietly(() => readFileSync(`/proc/${pid}/${name}`, 'latin1'));
  return read('environ') === '' && /^(do_sys_poll|poll_schedule_timeout)/.test(read('wchan') ?? '');
}

/** Pids of the zygotes that wait below a directory. */
export function zygotesIn(dir: string): number[] {
  return allProcesses()
    .filter(({ command }) => command.includes(` zygote ${dir}/`))
    .map(({ pid }) => pid);
}

/** Pids of those that such zygotes have forked ahead of who comes next. */
export function aheadIn(dir: string): number[] {
  return allProcesses()
    .filter(({ command }) => command.includes(` zygote next ${dir}/`))
    .map(({ pid }) => pid);
}

/** How many threads of a process have a name. */
export function threadsNamed(name: string, pid: number | 'self' = 'self'): number {
  return readdirSync(`/proc/${pid}/task`).filter(
    (tid) => quietly(() => readFileSync(`/proc/${pid}/task/${tid}/comm`, 'utf8')) === `${name}\n`,
  ).length;
}

/** Running, or at least not a zombie. */
export function isAlive(pid: number): boolean {
  const info = processInfo(pid);
  return info !== undefined && (info.state !== 'Z' || threadsOf(pid) > 1);
}

/** The first thread of a killed process may be a zombie while others still hold what is open. */
function threadsOf(pid: number): number {
  return quietly(() => readdirSync(`/proc/${pid}/task`).length) ?? 0;
}

export function zombiesOf(parent: number): ProcessInfo[] {
  return allProcesses().filter(({ ppid, state }) => ppid === parent && state === 'Z');
}

/** Processes whose working directory lies in a directory, or that are in one of its cgroups. */
export function processesOf(dir: string, cgroup: string): ProcessInfo[] {
  return allProcesses().filter(({ pid }) => {
    const cwd = quietly(() => readlinkSync(`/proc/${pid}/cwd`)) ?? '';
    return (
      cwd === dir ||
      cwd.startsWith(`${dir}/`) ||
      (quietly(() => readFileSync(`/proc/${pid}/cgroup`, 'latin1')) ?? '').includes(`:${cgroup}/`)
    );
  });
}

/** What a process has open: number and target. */
export function descriptorsOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    const target = quietly(() => readlinkSync(`/proc/${pid}/fd/${fd}`));
    return target === undefined ? [] : [`${fd} ${target}`];
  });
}

/** CPU time of a process, in clock ticks. */
export function cpuTicks(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

export function mountsBelow(dir: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((point) => point === dir || point.startsWith(`${dir}/`));
}

/** The machine has cgroup v2 alone. */
export function hasCgroup2(): boolean {
  return existsSync(join(CGROUPS, 'cgroup.controllers'));
}

/** The cgroup directories of a path, in all hierarchies. */
export function cgroupDirs(path: string): string[] {
  const roots = hasCgroup2() ? [CGROUPS] : readdirSync(CGROUPS).map((name) => join(CGROUPS, name));
  return roots.map((root) => join(root, path)).filter((dir) => existsSync(dir));
}

export function cgroupDir(controller: string, path: string): string {
  return hasCgroup2() ? join(CGROUPS, path) : join(CGROUPS, controller, path);
}

/** All cgroups strictly below a path. */
export function cgroupsBelow(path: string): string[] {
  return cgroupDirs(path).flatMap((dir) => below(dir));
}

function below(dir: string): string[] {
  const entries = quietly(() => readdirSync(dir, { withFileTypes: true })) ?? [];
  return entries
    .filter((entry) => entry.isDirectory())
    .flatMap((entry) => [...below(join(dir, entry.name)), join(dir, entry.name)]);
}

export function thaw(path: string): void {
  for (const dir of cgroupsBelow(path)) {
    for (const [name, value] of [
      ['freezer.state', 'THAWED'],
      ['cgroup.freeze', '0'],
    ] as const) {
      if (existsSync(join(dir, name))) quietly(() => writeFileSync(join(dir, name), value));
    }
  }
}

export function removeCgroups(path: string): void {
  for (const dir of [...cgroupsBelow(path), ...cgroupDirs(path)]) quietly(() => rmdirSync(dir));
}

export function quietly<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof Error) return undefined;
    throw error;
  }
}
