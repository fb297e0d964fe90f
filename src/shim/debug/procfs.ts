/** What the kernel says of a process, from files that never block: not cmdline, which a stuck process may lock up. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { unlessGone } from '../../sys/error.js';

export interface ProcessInfo {
  pid: number;
  name: string;
  /** R running, S sleeping, D in the kernel and not to be killed, T stopped, t traced, Z ended and not collected (proc(5)). */
  state: string;
  /** The kernel function that it sleeps in. */
  wchan?: string;
  children?: ProcessInfo[];
}

const MOST_CHILDREN = 8;

/** @param depth how far down its children are listed */
export function inspect(pid: number, depth = 3): ProcessInfo | undefined {
  const stat = tryRead(`/proc/${pid}/stat`);
  const [, name = '', state = ''] = /^\d+ \(([\s\S]*)\) (\S)/.exec(stat ?? '') ?? [];
  if (!stat) return undefined;
  const wchan = tryRead(`/proc/${pid}/wchan`);
  const children =
    depth > 0
      ? childrenOf(pid)
          .map((child) => inspect(child, depth - 1))
          .filter((child) => child !== undefined)
      : [];
  return {
    pid,
    name,
    state,
    ...(wchan && wchan !== '0' ? { wchan } : {}),
    ...(children.length > 0 ? { children } : {}),
  };
}

/** The working directories of all processes that the kernel calls by this name. */
export function directoriesOf(name: string): string[] {
  const pids = readdirSync('/proc').filter(
    (entry) => /^\d+$/.test(entry) && tryRead(`/proc/${entry}/comm`)?.trim() === name,
  );
  return pids.map((pid) => unlessGone(() => readlinkSync(`/proc/${pid}/cwd`))).filter((dir) => dir !== undefined);
}

/** How many descriptors this process has open. */
export function countDescriptors(): number {
  // One of them is the directory itself.
  return readdirSync('/proc/self/fd').length - 1;
}

/** Memory that is this process's alone, in bytes; undefined where the kernel doesn't say. */
export function privateDirty(): number | undefined {
  const kB = /^Private_Dirty: +(\d+)/m.exec(tryRead('/proc/self/smaps_rollup') ?? '')?.[1];
  return kB === undefined ? undefined : Number(kB) * 1024;
}

function childrenOf(pid: number): number[] {
  return tryList(`/proc/${pid}/task`)
    .flatMap((tid) => (tryRead(`/proc/${pid}/task/${tid}/children`) ?? '').split(' ').filter(Boolean).map(Number))
    .slice(0, MOST_CHILDREN);
}

/** Undefined for a process that is gone, or one that may not be looked into. */
function tryRead(file: string): string | undefined {
  return unlessGone(() => readFileSync(file, 'latin1'));
}

function tryList(dir: string): string[] {
  return unlessGone(() => readdirSync(dir)) ?? [];
}
