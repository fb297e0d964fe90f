/**
 * What has been told of a namespace's containers: what is told again is passed over, and what was missed is found by comparing it
 * with what the daemon has now.
 */
import type { ContainerEvent, EventKind } from '../types/events.js';
import type { Exit, TaskStatus } from '../types/process.js';

interface Known {
  pid: number;
  state: 'created' | 'running' | 'paused' | 'stopped';
  /** Execs that have not ended, with their pids; 0 for one that was not started. */
  readonly execs: Map<string, number>;
}

/** One that was just made. */
function created(pid: number): Known {
  return { pid, state: 'created', execs: new Map() };
}

/** Finds what became of an exec: undefined when it is there and has not ended. */
export type LookAtExec = (containerId: string, exec: string) => Promise<{ exit: Exit | undefined } | undefined>;

export class KnownContainers {
  readonly #containers = new Map<string, Known>();
  /** Pids of processes whose end was found out: who tells of it later is not heard. */
  readonly #found = new Set<number>();

  /** Takes over what is there, as told. */
  learn(tasks: readonly TaskStatus[]): void {
    for (const { containerId, pid, state } of tasks)
      this.#containers.set(containerId, { pid, state: plain(state), execs: new Map() });
  }

  /** Notes an event that was heard. False when it had been told. */
  take({ kind, containerId, processId, pid }: ContainerEvent, deleted: boolean): boolean {
    if (kind === 'exit' && this.#found.delete(pid)) return false;
    const known = this.#containers.get(containerId);
    if (deleted) {
      // Of a task that another has followed already.
      if (known === undefined || (pid !== 0 && known.pid !== pid)) return known === undefined;
      if (processId === containerId) this.#containers.delete(containerId);
      return true;
    }
    if (kind === 'create') {
      if (known?.pid === pid) return false;
      // The number is another process's now.
      this.#found.delete(pid);
      this.#containers.set(containerId, created(pid));
      return true;
    }
    if (known === undefined) return true;
    if (processId !== containerId) return this.#takeExec(known, kind, processId, pid);
    if (kind === 'start' || kind === 'exit') {
      if (known.pid !== pid) return false;
      if (kind === 'start' ? known.state !== 'created' : known.state === 'stopped') return false;
      known.state = kind === 'start' ? 'running' : 'stopped';
    } else if (kind === 'paused' || kind === 'resumed') {
      const state = kind === 'paused' ? 'paused' : 'running';
      if (known.state === state) return false;
      known.state = state;
    }
    return true;
  }

  #takeExec({ execs }: Known, kind: EventKind, exec: string, pid: number): boolean {
    if (kind === 'exec-added') execs.set(exec, 0);
    else if (kind === 'exec-started') {
      this.#found.delete(pid);
      execs.set(exec, pid);
    } else if (kind === 'exit') execs.delete(exec);
    return true;
  }

  /**
   * Compares with what there is now.
   *
   * @param heard exits that have been heard since and are yet to be told, by pid
   * @returns what has happened, in order for each container
   */
  async compare(
    tasks: readonly TaskStatus[],
    heard: ReadonlyMap<number, Exit>,
    look: LookAtExec,
  ): Promise<ContainerEvent[]> {
    const events: ContainerEvent[] = [];
    const now = new Map(tasks.map((task) => [task.containerId, task]));
    const tell = (kind: EventKind, containerId: string, processId: string, pid: number, exit?: Exit): void => {
      if (kind === 'exit') this.#found.add(pid);
      events.push({
        kind,
        containerId,
        processId,
        pid,
        exit,
        timestamp: exit?.exitedAt ?? new Date(),
        replayed: true,
        envelope: undefined,
      });
    };
    for (const [id, known] of this.#containers) {
      const task = now.get(id);
      const isSame = task?.pid === known.pid;
      for (const [exec, pid] of known.execs) {
        const found = isSame && task.state !== 'stopped' ? await look(id, exec) : { exit: heard.get(pid) };
        if (found === undefined) continue;
        known.execs.delete(exec);
        // One that was never started has no exit.
        if (pid !== 0) tell('exit', id, exec, pid, found.exit ?? heard.get(pid));
      }
      if (isSame) continue;
      if (known.state !== 'stopped') tell('exit', id, id, known.pid, heard.get(known.pid));
      this.#containers.delete(id);
    }
    for (const { containerId: id, pid, state, exit } of tasks) {
      let known = this.#containers.get(id);
      if (known === undefined) {
        this.#containers.set(id, (known = created(pid)));
        tell('create', id, id, pid);
      }
      const next = plain(state);
      if (known.state === 'created' && next !== 'created') tell('start', id, id, pid);
      if (known.state !== 'paused' && next === 'paused') tell('paused', id, id, pid);
      if (known.state === 'paused' && next === 'running') tell('resumed', id, id, pid);
      if (known.state !== 'stopped' && next === 'stopped') tell('exit', id, id, pid, exit);
      known.state = next;
    }
    return events;
  }
}

function plain(state: TaskStatus['state']): Known['state'] {
  if (state === 'pausing') return 'running';
  return state === 'unknown' ? 'stopped' : state;
}
