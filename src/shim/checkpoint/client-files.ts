/**
 * The client's FIFOs and log files that a container has as its stdio. They lie outside of the container's mounts, where
 * criu would not look for them.
 */
import { readFileSync, readlinkSync, statSync } from 'node:fs';

/** One of them. */
export interface ClientFile {
  /** What criu calls a file from outside. */
  key: string;
  path: string;
  /** As which of 0, 1 and 2 the container's init has it. */
  fds: number[];
}

/** Those of a container's processes, its init the first of them. */
export function clientFiles([init, ...others]: readonly number[]): ClientFile[] {
  const outside = mountIds('self');
  const found = new Map<string, ClientFile>();
  for (const pid of init === undefined ? [] : [init, ...others]) {
    for (const fd of [0, 1, 2]) {
      const file = tryOpenFile(pid, fd, outside);
      if (!file) continue;
      const entry = found.get(file.key) ?? { ...file, fds: [] };
      if (pid === init) entry.fds.push(fd);
      found.set(file.key, entry);
    }
  }
  return [...found.values()];
}

function tryOpenFile(pid: number, fd: number, outside: ReadonlySet<string>): { key: string; path: string } | undefined {
  try {
    const path = `/proc/${pid}/fd/${fd}`;
    const target = statSync(path, { bigint: true });
    if (!target.isFIFO() && !target.isFile()) return undefined;
    const mount = /^mnt_id:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'latin1'))?.[1] ?? '';
    // Pipes and memory files are on mounts that nobody sees; a file that the container sees is its own.
    if (!outside.has(mount) || mountIds(String(pid)).has(mount)) return undefined;
    return {
      key: `file[${Number(mount).toString(16)}:${target.ino.toString(16)}]`,
      path: readlinkSync(path).replace(/ \(deleted\)$/, ''),
    };
  } catch (error) {
    // The process, or just this descriptor, is gone.
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

function mountIds(pid: string): Set<string> {
  return new Set(
    readFileSync(`/proc/${pid}/mountinfo`, 'latin1')
      .split('\n')
      .map((line) => line.slice(0, line.indexOf(' '))),
  );
}
