/** Signals for the processes of a container. */
import { invalidArgument, notFound, unknown } from '../../api/errdefs.js';
import { Code } from '../../ttrpc/status.js';
import type { ProcessRecord } from '../record/record.js';
import { check } from '../record/states.js';
import { killFailure } from '../runtime/errors.js';
import type { LiveExec, Parts } from './parts.js';

const SIGKILL = 9;
/** How long the runtime may go on starting an exec that is to be killed. */
const STARTING_MS = 5_000;

/** Signals the init, or with `all` every process. Not queued behind a start: a start that hangs must be killable. */
export async function kill(
  { record, runtime, memory }: Pick<Parts, 'record' | 'runtime' | 'memory'>,
  signal: number,
  all: boolean,
): Promise<void> {
  const { id, init } = record;
  check(record, 'kill');
  // The runtime would only say the same, at the cost of a process.
  if (init.state === 'stopped' && !all) throw notFound('process already finished');
  // Not restored yet: of that name there can only be somebody else's.
  if (init.pid === 0 && runtime.isAnothers()) throw notFound('no such container');
  // The end of its init is the end of its pid namespace. runc up to 1.1 signals the cgroup instead, in which there may be
  // another daemon's container of the same name; and thaws it, which a paused one needs.
  if (signal === SIGKILL) memory.killAsked();
  const isEnough = signal === SIGKILL && !record.sharesPidNamespace && init.state !== 'paused';
  try {
    await runtime.cleaner().kill(id, signal, { all: all && !isEnough });
  } catch (error) {
    throw killFailure(error);
  }
}

/** An exec that is being started is signalled when that is done; SIGKILL ends a start that hangs, too. */
export async function killExec(
  { host }: Pick<Parts, 'host'>,
  { record, starting }: LiveExec,
  signal: number,
): Promise<void> {
  if (starting) {
    const timer = signal === SIGKILL ? setTimeout(() => starting.breakOff.now(), STARTING_MS) : undefined;
    await starting.over;
    clearTimeout(timer);
    if (signal === SIGKILL && starting.breakOff.signal.aborted) return;
  }
  check(record, 'kill');
  if (record.exitedAt !== undefined) throw notFound('exec kill error: process already finished');
  try {
    host.signal(record.pid, signal);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ESRCH') throw notFound('exec kill error: process already finished', error);
    if (code === 'EINVAL') throw invalidArgument(`exec kill error: signal ${signal}`, error);
    throw unknown(`exec kill error: ${(error as Error).message}`, error);
  }
}

/** Kills what is left of a container whose init has ended. */
export async function killRest({ record, runtime }: Pick<Parts, 'record' | 'runtime'>): Promise<void> {
  try {
    await runtime.cleaner().kill(record.id, SIGKILL, { all: true });
  } catch (error) {
    // Nothing was left to kill.
    if (killFailure(error).code !== Code.NotFound) throw error;
  }
}

/** Without its init an exec must not run on, whatever the runtime's `kill --all` has achieved. */
export function killExecs(parts: Pick<Parts, 'record' | 'shim' | 'host' | 'execs'>): void {
  for (const { record } of parts.execs.values()) killNow(parts, record);
}

/** Kills a process that runs; one that has just ended is as good. */
export function killNow(
  { record, shim, host }: Pick<Parts, 'record' | 'shim' | 'host'>,
  { pid, exitedAt }: Pick<ProcessRecord, 'pid' | 'exitedAt'>,
): void {
  if (pid === 0 || exitedAt !== undefined) return;
  try {
    host.signal(pid, SIGKILL);
  } catch (error) {
    shim.log.debug('killing a process failed, as it is gone', { id: record.id, pid, error });
  }
}
