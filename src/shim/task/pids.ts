import { processesIn } from '../cgroup/processes.js';
import type { Parts } from './parts.js';

export interface ContainerPid {
  pid: number;
  /** Undefined for the init, and for what neither the init nor an exec is. */
  execId: string | undefined;
}

/**
 * Pids of all processes of a container, and which exec each is.
 *
 * @param connectedAt when who asks has connected, by performance.now()
 */
export async function pidsOf(
  { record, runtime, events }: Pick<Parts, 'record' | 'runtime' | 'events'>,
  connectedAt: number,
): Promise<ContainerPid[]> {
  const { init, cgroup, id } = record;
  if (init.state === 'stopped') {
    // A daemon that restarts asks for pids before an exit event can reach it, and since 1.7 removes a task that has none,
    // status and all. So the init counts until the daemon has its exit event.
    return events.isInitExitWaiting(connectedAt) ? [{ pid: init.pid, execId: undefined }] : [];
  }
  let pids = cgroup ? processesIn(cgroup) : await runtime.live.ps(id);
  // A live container must never look empty: a daemon that restarts would take it for a leftover (contract §1.13). Nor
  // must one whose init has ended, and whose exit is about to be published.
  if (pids.length === 0 && init.pid > 0) pids = [init.pid];
  // The pid of one that has ended may be somebody else's by now.
  const running = Object.values(record.execs).filter(({ exitedAt }) => exitedAt === undefined);
  const execs = new Map(running.map((exec) => [exec.pid, exec.id]));
  return pids.map((pid) => ({ pid, execId: execs.get(pid) }));
}
