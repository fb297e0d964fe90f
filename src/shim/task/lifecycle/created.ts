/** Creating a container, undoing that, and starting what has been created. */
import { cgroupMounts, type CgroupMount } from '../../../oci/cgroup-mounts.js';
import { cgroupsThere, removeCgroups } from '../../cgroup/remove.js';
import { move } from '../../record/states.js';
import { mountRootfs, unmountRootfs } from '../../rootfs/rootfs.js';
import { runtimeFailure } from '../../runtime/errors.js';
import { initEnd, launch, type Strategy } from '../launch.js';
import { quietly, type Parts } from '../parts.js';
import { openStreams } from '../streams.js';

/** What a create has done so far, for undoing it. */
interface Made {
  /** The runtime has been asked to make the container. */
  isAsked: boolean;
  /** Cgroups of its path that were there before it; undefined when nobody has looked, or nothing has been made. */
  cgroupsBefore: readonly string[] | undefined;
}

/** Mounts the rootfs, opens stdio, and lets the runtime create the container. On failure nothing is left. */
export async function create(parts: Parts): Promise<void> {
  const { record, shim, bundle, init, host, events } = parts;
  host.expectMigration();
  bundle.removeEnd();
  await mountRootfs(record.mounts, bundle.rootfs, shim.observations.waits);
  const made: Made = { isAsked: false, cgroupsBefore: undefined };
  init.hold();
  try {
    const stdio = await openStreams(parts, init, record.id);
    if (!record.checkpoint) {
      parts.runtime.lookForForeign();
      await launch(parts, init, stdio, creation(parts, made));
    }
    move(record, record.checkpoint ? 'created from checkpoint' : 'created');
    events.create(record);
  } catch (error) {
    await undo(parts, made);
    throw error;
  } finally {
    init.release();
  }
}

function creation(parts: Parts, made: Made): Strategy {
  const { record, bundle, runtime, shim, memory, exits } = parts;
  let mounts: CgroupMount[] | undefined;
  return {
    failure: 'OCI runtime create failed',
    run(io) {
      made.isAsked = true;
      const launching = { container: record.id, bundle: record.bundle, pidFile: bundle.initPid, io };
      const pid = runtime.live.create(launching);
      // runc create takes about 30 ms, and makes its cgroup at the end of them.
      quietly(parts, 'looking at the cgroups, or connecting to the daemon, during create', () => {
        mounts = cgroupMounts();
        made.cgroupsBefore = cgroupsThere(record.cgroupsPath, mounts);
        shim.events.prepare();
      });
      return pid;
    },
    // Create's reply does not wait for this, but it comes before any further request does.
    launched: () => void setImmediate(() => memory.load(mounts)),
    ...initEnd(exits),
  };
}

/** The error that led here is what the caller is answered; what goes wrong with undoing is for the log. */
async function undo({ record, bundle, init, runtime, memory, shim }: Parts, made: Made): Promise<void> {
  const { id, cgroupsPath, mounts } = record;
  const attempt = async (what: string, work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      shim.log.warn(`undoing a failed create: ${what} failed`, { id, error });
    }
  };
  const isOurs = made.isAsked && !runtime.isForeign;
  // A runtime undoes its own failures, unless it was killed or gave a pid that is none.
  if (init.record.pid > 0 || (isOurs && runtime.isKnown() && !runtime.isAnothers()))
    await attempt('delete', () => runtime.remover().delete(id, { force: true }));
  // One that was killed early has not written down what it had made by then.
  const before = made.cgroupsBefore;
  if (before && !runtime.isForeign) await attempt('remove cgroups', () => removeCgroups(cgroupsPath, before));
  move(record, 'undone');
  memory.stop();
  await attempt('close stdio', async () => init.stdio?.close());
  if (mounts.length > 0)
    await attempt('unmount', () => unmountRootfs(bundle.rootfs, { lazy: true, waits: shim.observations.waits }));
}

/** The client has given up on a create that is under way: it is undone as soon as may be, and no event is published. */
export function abandon({ record, runtime }: Pick<Parts, 'record' | 'runtime'>): void {
  move(record, 'give up');
  runtime.end();
}

/** Lets the init that was created run its command. */
export async function startCreated({
  record,
  runtime,
  exits,
}: Pick<Parts, 'record' | 'runtime' | 'exits'>): Promise<void> {
  try {
    await runtime.live.start(record.id, exits.initGone);
  } catch (error) {
    throw runtimeFailure('OCI runtime start failed', error);
  }
  move(record, 'start');
}
