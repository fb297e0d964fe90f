import { readFileSync } from 'node:fs';

/**
 * When a process was started, in clock ticks since the boot (proc(5), the 22nd field of stat); with its pid it names it for
 * good. Undefined when there is no such process.
 */
export function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}
