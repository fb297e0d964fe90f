/** Delete: of a container that was never started or has ended, and of an exec. */
import { unknown } from '../../api/errdefs.js';
import { removeFile } from '../../oci/bundle.js';
import { encodeDeleteResponse } from '../program/delete-response.js';
import type { ExecRecord } from '../record/record.js';
import { check, move } from '../record/states.js';
import { unmountRootfs } from '../rootfs/rootfs.js';
import { isUnknownContainer, runtimeFailure } from '../runtime/errors.js';
import { quietly, type LiveExec, type Parts } from './parts.js';
import { killNow } from './signal.js';
import { drain } from './streams.js';

/** Removes the container. It stays, and may be deleted again, when something could not be cleaned up. */
export async function removeContainer(parts: Parts): Promise<void> {
  const { record, shim, bundle, runtime, init, execs, memory, events } = parts;
  check(record, 'delete');
  // One that was never started has said nothing, and its init holds its pipes until the runtime kills it.
  if (record.init.exitedAt !== undefined) await drain(parts, init);
  let failure = await removeFromRuntime(parts);
  for (const exec of execs.values()) await exec.process.stdio?.close();
  await init.stdio?.close();
  if (record.mounts.length > 0) {
    await unmountRootfs(bundle.rootfs, { waits: shim.observations.waits }).catch((error: unknown) => {
      failure ??= unknown(`failed rootfs umount: ${(error as Error).message}`, error);
    });
  }
  if (failure !== undefined) throw failure;
  move(record, 'delete');
  memory.stop();
  // A created container's init is being killed right now, and not only if the runtime does what it says; nobody waits
  // for a container that was never started to stop.
  if (record.init.exitedAt === undefined) {
    killNow(parts, record.init);
    init.wake();
  }
  for (const exec of execs.values()) exec.process.wake();
  events.delete(record.init);
  // The last thing, as it says that there is nothing left to do. A runtime that only says so leaves the rest to `delete`.
  if (runtime.isKnown()) return;
  const { pid, exitStatus, exitedAt } = record.init;
  const response = exitedAt === undefined ? { pid } : { pid, status: exitStatus, exitedAt };
  quietly(parts, "writing the bundle's `deleted` file", () => bundle.writeDeleted(encodeDeleteResponse(response)));
}

async function removeFromRuntime(parts: Parts): Promise<Error | undefined> {
  const { record, runtime } = parts;
  if ((await removedEnded(parts)) || runtime.isAnothers()) return undefined;
  try {
    await runtime.remover().delete(record.id);
  } catch (error) {
    if (!isUnknownContainer(error)) return runtimeFailure('failed to delete task', error);
  }
  return undefined;
}

/** What goes wrong with it goes wrong with the runtime's own deletion too, which has the words for it. */
async function removedEnded({ record, runtime, shim }: Parts): Promise<boolean> {
  const { id, init } = record;
  if (init.exitedAt === undefined) return false;
  try {
    return (await runtime.live.removeEnded?.(id, init.pid)) ?? false;
  } catch (error) {
    shim.log.debug('removing an ended container without the runtime failed', { id, error });
    return false;
  }
}

/** Removes an exec that has ended or was never started. */
export function removeExec(
  parts: Pick<Parts, 'record' | 'shim' | 'bundle' | 'execs'>,
  exec: LiveExec,
): Promise<ExecRecord> {
  return exec.serial.run(async () => {
    const { record, process } = exec;
    check(record, 'delete');
    await drain(parts, process, record.id);
    await process.stdio?.close();
    removeFile(parts.bundle.execPid(record.id));
    move(record, 'delete');
    process.wake();
    parts.execs.delete(record.id);
    delete parts.record.execs[record.id];
    return record;
  });
}
