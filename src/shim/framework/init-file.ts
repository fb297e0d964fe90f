/** Which process the init was, for whoever cleans up after a shim that was killed: a pid alone may be another's by then. */
import { join } from 'node:path';
import { tryRead, writeAtomic } from '../../oci/bundle.js';

const NAME = 'init.json';

interface Init {
  pid: number;
  /** When it began, in clock ticks since boot (proc(5), field 22 of stat). */
  started: string;
}

/** Notes the init in the bundle. One that has ended already is not noted. */
export function writeInit(bundle: string, pid: number): void {
  const started = startOf(pid);
  if (started !== undefined) writeAtomic(join(bundle, NAME), JSON.stringify({ pid, started } satisfies Init), 0o600);
}

/** Kills the init that was noted, if it is still that process. Returns its pid, 0 when none was noted. */
export function killInit(bundle: string): number {
  const text = tryRead(join(bundle, NAME));
  if (text === undefined) return 0;
  const { pid, started } = JSON.parse(text) as Init;
  if (startOf(pid) === started) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      // It ended just now.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
  return pid;
}

function startOf(pid: number): string | undefined {
  const stat = tryRead(`/proc/${pid}/stat`);
  // A name may have spaces and parentheses.
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}
