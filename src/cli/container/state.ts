/** What a container does, from its record, its task, and the kernel. */
import { readFileSync } from 'node:fs';
import type { Client, Container, TaskStatus } from '../../client/index.js';
import { inWords } from '../format/time.js';
import { lastRun } from '../labels.js';

/** The kernel gives the time of the machine's start in whole seconds. */
const BOOT_TIME_MS = 1000;

export type Status = 'created' | 'running' | 'paused' | 'exited' | 'unknown';

export interface ContainerState {
  readonly status: Status;
  readonly pid: number;
  /** Undefined while it runs, or when nobody knows any more. */
  readonly exitCode: number | undefined;
  readonly startedAt: number | undefined;
  readonly finishedAt: number | undefined;
}

/** @param task undefined when it has none */
export function stateOf({ record: { labels, createdAt } }: Container, task: TaskStatus | undefined): ContainerState {
  const last = lastRun(labels);
  const started = last.startedAt === undefined ? undefined : Date.parse(last.startedAt);
  if (task !== undefined && task.state !== 'stopped') {
    const status =
      task.state === 'running' || task.state === 'created'
        ? task.state
        : task.state === 'unknown'
          ? 'unknown'
          : 'paused';
    return {
      status,
      pid: task.pid,
      exitCode: undefined,
      startedAt: startOf(task.pid, started, createdAt.getTime()),
      finishedAt: undefined,
    };
  }
  if (task?.exit !== undefined)
    return {
      status: 'exited',
      pid: 0,
      exitCode: task.exit.exitCode,
      startedAt: started,
      finishedAt: task.exit.exitedAt.getTime(),
    };
  if (last.exitCode !== undefined)
    return {
      status: 'exited',
      pid: 0,
      exitCode: last.exitCode,
      startedAt: started,
      finishedAt: Date.parse(last.exitedAt ?? ''),
    };
  // It has run, and its task went without us: the machine was started anew.
  return {
    status: started === undefined ? 'created' : 'exited',
    pid: 0,
    exitCode: undefined,
    startedAt: started,
    finishedAt: undefined,
  };
}

/**
 * As it was written down, so that it stays the same when the container has ended. Another client may have started it since then, and may
 * write nothing down: the kernel knows, to a second, which may be before the container was made.
 */
function startOf(pid: number, written: number | undefined, created: number): number | undefined {
  const process = processStart(pid);
  if (process === undefined || (written !== undefined && process <= written + BOOT_TIME_MS)) return written;
  return Math.max(process, created);
}

/** As docker ps says it: `Up 3 minutes`, `Exited (0) 2 hours ago`. */
export function inDockersWords(state: ContainerState, now = Date.now()): string {
  switch (state.status) {
    case 'created':
      return 'Created';
    case 'unknown':
      return 'Unknown';
    case 'running':
      return `Up${state.startedAt === undefined ? '' : ` ${inWords(now - state.startedAt)}`}`;
    case 'paused':
      return `Up${state.startedAt === undefined ? '' : ` ${inWords(now - state.startedAt)}`} (Paused)`;
    case 'exited':
      return `Exited (${state.exitCode ?? '?'})${state.finishedAt === undefined ? '' : ` ${inWords(now - state.finishedAt)} ago`}`;
  }
}

/** When a process of this machine was started, in milliseconds since the epoch. */
export function processStart(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // proc(5): the 22nd field, in hundredths of a second since the machine's start. The second one may contain blanks.
    const ticks = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]);
    const boot = /^btime (\d+)$/m.exec(readFileSync('/proc/stat', 'latin1'))?.[1];
    return Number(boot) * 1000 + ticks * 10;
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

/** A container, and how it is. */
export interface Row {
  readonly container: Container;
  readonly state: ContainerState;
}

/** All containers of the session's namespace, with their states. */
export async function rowsOf(client: Client): Promise<Row[]> {
  const [containers, tasks] = await Promise.all([client.containers(), client.tasks()]);
  const byId = new Map(tasks.map((task) => [task.containerId, task]));
  return containers.map((container) => ({ container, state: stateOf(container, byId.get(container.id)) }));
}
