/** Execs: registered by one request, started by another. */
import { alreadyExists, failedPrecondition } from '../../../api/errdefs.js';
import { tryReadPidFile } from '../../../oci/bundle.js';
import { parseExact } from '../../../oci/json.js';
import type { Process } from '../../../oci/spec.js';
import { Code, TtrpcError } from '../../../ttrpc/status.js';
import type { ExecRecord } from '../../record/record.js';
import { check, move } from '../../record/states.js';
import { checkTargets } from '../../stdio/index.js';
import { BreakOff } from '../cancellation.js';
import { launch, type Strategy } from '../launch.js';
import type { LiveExec, Parts } from '../parts.js';
import { LiveProcess } from '../process.js';
import { Serial } from '../queue.js';
import { killNow } from '../signal.js';
import { openStreams } from '../streams.js';

/** Registers an exec; nothing is run. */
export function addExec(
  { record, shim, execs, events, host }: Pick<Parts, 'record' | 'shim' | 'execs' | 'events' | 'host'>,
  exec: ExecRecord,
): void {
  check(record, 'exec');
  if (execs.has(exec.id)) throw alreadyExists(`id ${exec.id}`);
  checkTargets({ ...exec, onDeath: record.onLogDeath });
  // After the reply.
  setImmediate(() => host.expectMigration());
  record.execs[exec.id] = exec;
  const serial = new Serial(shim.observations.requests);
  execs.set(exec.id, { record: exec, process: new LiveProcess(exec, host), serial });
  events.execAdded(exec.id);
}

/**
 * Starts an exec, and resolves to its pid.
 *
 * @param deadline when it passes, what the runtime is still doing for it is broken off: nobody waits for it any more
 */
export function startExec(parts: Parts, exec: LiveExec, deadline?: AbortSignal): Promise<number> {
  return exec.serial.run(async () => {
    const { record, process } = exec;
    check(record, 'start');
    if (parts.record.init.exitedAt !== undefined)
      throw failedPrecondition(`container ${parts.record.id} init process is not running`);
    parts.exits.execBegins();
    process.hold();
    // A client that only hangs up, as a daemon that restarts, may still want it.
    const breakOff = new BreakOff().when(parts.runtime.over).when(deadline, isTimeout);
    let over: () => void = () => undefined;
    exec.starting = { over: new Promise((resolve) => (over = resolve)), breakOff };
    try {
      const stdio = await openStreams(parts, process, record.id, parts.record.init.pid);
      const strategy = running(parts, exec, breakOff.signal);
      stdio.beforeStart();
      await launch(parts, process, stdio, strategy);
      move(record, 'start');
      // It may be long, and is of no more use.
      record.spec = '';
      parts.shim.observations.counters.execsStarted++;
      parts.events.execStarted(record.id, record.pid);
      return record.pid;
    } catch (error) {
      await startFailed(parts, exec);
      // That the runtime was killed is not why.
      if (hasPassed(deadline))
        throw new TtrpcError(Code.DeadlineExceeded, 'context deadline exceeded', { cause: error });
      throw error;
    } finally {
      process.release();
      breakOff.release();
      exec.starting = undefined;
      over();
    }
  });
}

function isTimeout(reason: unknown): boolean {
  return (reason as Error).name === 'TimeoutError';
}

function hasPassed(deadline: AbortSignal | undefined): boolean {
  return deadline?.aborted === true && isTimeout(deadline.reason);
}

function running(parts: Parts, exec: LiveExec, signal: AbortSignal): Strategy {
  const { record: container, bundle, runtime, host, exits } = parts;
  const { record } = exec;
  const spec: Process = { ...(parseExact(record.spec) as Process), terminal: record.terminal };
  const pidFile = bundle.execPid(record.id);
  return {
    failure: 'OCI runtime exec failed',
    async run(io) {
      try {
        const launching = {
          container: container.id,
          exec: record.id,
          bundle: container.bundle,
          pidFile,
          spec,
          io,
          signal,
        };
        const pid = runtime.live.exec(launching);
        // The client may have taken its time since it added the exec.
        host.expectMigration();
        return await pid;
      } catch (error) {
        // A runtime that was killed may have made the process by then, which must not run on unseen.
        const stray = tryReadPidFile(pidFile);
        if (stray !== undefined && host.isChild(stray)) killNow(parts, { pid: stray });
        throw error;
      }
    },
    launched() {
      // It came too late to be killed with the others when the init ended.
      if (container.init.exitedAt !== undefined && container.sharesPidNamespace) killNow(parts, record);
    },
    seen: (status) => exits.execSeen(exec, status),
    free: () => exits.execFree(exec),
  };
}

/** It stays as created, with no pid, and Waits for it are answered with status 0 (contract §3.5). */
async function startFailed(parts: Parts, { record, process }: LiveExec): Promise<void> {
  move(record, 'start failed');
  // The runtime had started it, but its terminal never came: it must not run on unseen.
  killNow(parts, record);
  record.pid = 0;
  record.exitStatus = 0;
  delete record.exitedAt;
  try {
    await process.stdio?.close();
  } finally {
    process.stdio = undefined;
    process.wake();
    parts.exits.execOver();
  }
}
