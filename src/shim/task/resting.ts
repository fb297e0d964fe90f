/** A container between operations: leaving it to another process, and going on with it there. */
import type { RestingWatch } from '../cgroup/oom.js';
import type { ContainerRecord, ProcessRecord } from '../record/record.js';
import type { InitState } from '../record/states.js';
import type { RestingStdio } from '../stdio/index.js';
import type { ExitStatus } from '../../sys/index.js';
import type { Found, Leaving } from '../worker/leaving.js';
import type { Listening } from '../program/listen.js';
import type { Custom } from './custom.js';
import { initEnd } from './launch.js';
import type { Parts } from './parts.js';
import { LiveProcess } from './process.js';
import { Serial } from './queue.js';
import { resumeStreams } from './streams.js';

/** What is left of a container besides its descriptors. Plain data. */
export interface RestingContainer {
  readonly record: ContainerRecord;
  readonly isForeign: boolean;
  /** Of who does not do all as runc's shim does it. */
  readonly custom?: unknown;
  readonly memory: RestingWatch | undefined;
  readonly init: RestingStdio | undefined;
  /** By id. */
  readonly execs: Readonly<Record<string, RestingStdio | undefined>>;
}

/** Where nothing is under way by itself. */
const AT_REST: ReadonlySet<InitState> = new Set(['created', 'running', 'paused', 'stopped']);

/** Why a shim never leaves what it has to another process, whatever that is; undefined where it may. */
export function staysAwake({
  custom,
  interceptors,
  listening,
}: {
  readonly custom?: Custom | undefined;
  readonly interceptors: readonly unknown[];
  readonly listening: Pick<Listening, 'path'>;
}): string | undefined {
  if (custom?.staysAwake !== undefined) return custom.staysAwake;
  if (interceptors.length > 0) return 'it makes calls fail on purpose';
  return listening.path === '' ? 'somebody else has bound its socket' : undefined;
}

/** @throws CannotRest while an operation is under way, or somebody's end has not been published */
export function restContainer(parts: Parts, serial: Serial, leaving: Leaving): RestingContainer {
  const { record, init, execs, memory, runtime } = parts;
  const { id } = record;
  if (serial.pending > 0) leaving.underWay(`an operation on ${id} is under way`);
  if (!AT_REST.has(record.init.state)) leaving.underWay(`${id} is ${record.init.state}`);
  checkProcess(leaving, id, record.init, init);
  for (const [execId, exec] of execs) {
    if (exec.serial.pending > 0 || exec.starting)
      leaving.underWay(`exec ${execId} of ${id} is being started or deleted`);
    checkProcess(leaving, execId, exec.record, exec.process);
  }
  return {
    record,
    isForeign: runtime.isForeign,
    custom: parts.shim.custom?.rest?.(record, leaving),
    memory: memory.rest(leaving),
    init: init.stdio?.rest(leaving),
    execs: Object.fromEntries(
      // What is made for one that is being started goes with whoever starts it.
      [...execs].map(([execId, { process, starting }]) => [
        execId,
        starting ? undefined : process.stdio?.rest(leaving),
      ]),
    ),
  };
}

/** A process whose end has been seen is no more, and only that is left which follows. */
function watchAgain(process: LiveProcess, seen: (status: ExitStatus) => void, free: () => void): void {
  if (process.record.exitedAt === undefined) process.watch(process.record.pid, seen, free);
  else setImmediate(() => process.whenFree(free));
}

function checkProcess(
  leaving: Leaving,
  id: string,
  record: ProcessRecord & { state: string },
  live: LiveProcess,
): void {
  if (live.isHeld) leaving.underWay(`${id} is being answered for`);
  if (record.exitedAt !== undefined && record.state !== 'stopped')
    leaving.underWay(`the exit of ${id} is to be published`);
}

/** Goes on with a container whose parts have just been made from its record. */
export function resumeContainer(
  parts: Parts,
  { isForeign, memory, init, execs }: RestingContainer,
  found: Found,
): void {
  const { record, host, exits, runtime } = parts;
  runtime.resume({ isForeign });
  parts.memory.resume(memory, found);
  if (init) resumeStreams(parts, parts.init, record.id, init, found);
  for (const [id, exec] of Object.entries(record.execs)) {
    const process = new LiveProcess(exec, host);
    const live = { record: exec, process, serial: new Serial(parts.shim.observations.requests) };
    parts.execs.set(id, live);
    const stdio = execs[id];
    if (stdio) resumeStreams(parts, process, id, stdio, found);
  }
  exits.resume();
  // Whoever has ended meanwhile is found as it is watched.
  for (const live of parts.execs.values())
    if (live.record.state === 'running')
      watchAgain(
        live.process,
        (status) => exits.execSeen(live, status),
        () => exits.execFree(live),
      );
  // One that is restored by its Start has none before.
  if (record.init.state !== 'stopped' && record.init.pid > 0) {
    const { seen, free } = initEnd(exits);
    watchAgain(parts.init, seen, free);
  }
}
