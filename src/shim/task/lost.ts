/**
 * What becomes of an operation whose process ended in the middle of it, without a word. The runtime's command goes on, as it is the
 * monitor's child; when it has ended, the machine says how far it came. What has come to be and can be known is kept: a
 * container that runs, one that is frozen. What would run on unseen is undone: a create, an exec, a restored process.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { containerd } from '../../api/gen/api.js';
import { tryReadPidFile } from '../../oci/bundle.js';
import { EMPTY } from '../../ttrpc/envelope.js';
import { isFrozen } from '../cgroup/frozen.js';
import type { ContainerRecord } from '../record/record.js';
import { move } from '../record/states.js';
import { unmountRootfs } from '../rootfs/rootfs.js';
import { commandLine, Commands } from './commands.js';
import type { Parts } from './parts.js';
import { killNow } from './signal.js';

/** Something that was asked for, and neither done nor answered. */
export interface Lost {
  readonly method: string;
  /** The container's. */
  readonly id: string;
  /** Empty for the init. */
  readonly execId: string;
}

/** How often it is looked whether a command has ended; they take some tens of milliseconds. */
const LOOK_MS = 5;
/** How often none must be found. */
const LOOKS = 2;
/** How long it may take: as long as the runtime has for any of them (contract appendix B), but for hooks after a container's end, which need nobody. */
const COMMAND_MS = 30_000;

/**
 * The encoded reply to what the record says was done, before that could be answered; undefined for all else.
 *
 * @param record the container's; undefined when there is none
 */
export function replyTo({ method, execId }: Lost, record: ContainerRecord | undefined): Uint8Array | undefined {
  if (!record) return undefined;
  const { init, execs } = record;
  const exec = execs[execId];
  switch (method) {
    case 'Create':
      return containerd.task.v2.CreateTaskResponse.encode({ pid: init.pid }).finish();
    case 'Exec':
      return exec && EMPTY;
    case 'Start':
      // One whose start has failed has none.
      if (execId !== '') return exec && STARTED.has(exec.state) && exec.pid > 0 ? startReply(exec.pid) : undefined;
      return STARTED.has(init.state) ? startReply(init.pid) : undefined;
    case 'Pause':
      return init.state === 'paused' ? EMPTY : undefined;
    case 'Resume':
      return init.state === 'running' ? EMPTY : undefined;
    default:
      return undefined;
  }
}

const STARTED: ReadonlySet<string> = new Set(['running', 'pausing', 'paused', 'stopped']);
const startReply = (pid: number): Uint8Array => containerd.task.v2.StartResponse.encode({ pid }).finish();

/** Finds out what became of it, and puts the record right. */
export async function settle(parts: Parts, lost: readonly Lost[]): Promise<void> {
  const { init } = parts;
  // An exit that has come meanwhile follows what it follows.
  init.hold();
  try {
    await untilCommandsEnd(parts);
    const wasStarted = (exec: string): boolean =>
      lost.some(({ method, execId }) => method === 'Start' && execId === exec);
    for (const execId of parts.execs.keys()) settleExec(parts, execId, wasStarted(execId));
    settleStart(parts, wasStarted(''));
    settleFreezer(parts);
  } finally {
    init.release();
  }
}

/** Undoes a create that nobody has been told of. */
export async function undoLost(parts: Parts): Promise<void> {
  const { record, bundle, runtime, shim } = parts;
  const { id, mounts } = record;
  const attempt = async (what: string, work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      shim.log.warn(`undoing a create that was broken off: ${what} failed`, { id, error });
    }
  };
  await untilCommandsEnd(parts);
  if (runtime.isKnown() && !bundle.isForeign && !runtime.isAnothers())
    await attempt('delete', () => runtime.remover().delete(id, { force: true }));
  const { custom } = shim;
  if (custom?.undo) await attempt('cleanup', () => custom.undo!(record));
  move(record, 'undone');
  if (mounts.length > 0)
    await attempt('unmount', () => unmountRootfs(bundle.rootfs, { lazy: true, waits: shim.observations.waits }));
}

/** Its streams went with who started it: it is as if its start had failed. */
function settleExec(parts: Parts, execId: string, wasStarted: boolean): void {
  const exec = parts.execs.get(execId);
  if (exec?.record.state !== 'created') return;
  const pid = tryReadPidFile(parts.bundle.execPid(execId));
  const isThere = pid !== undefined && parts.host.isChild(pid);
  if (!isThere && !wasStarted) return;
  if (isThere) killNow(parts, { pid });
  move(exec.record, 'start failed');
  exec.record.pid = 0;
  exec.record.exitStatus = 0;
  delete exec.record.exitedAt;
  exec.process.wake();
}

function settleStart(parts: Parts, wasStarted: boolean): void {
  const { record, runtime, events, bundle, host } = parts;
  const { init } = record;
  // Until it is started, the init is the runtime's program: `runc init`, or a fork of `crun create`.
  const words = commandLine(init.pid);
  const isRuntimes = words[1] === 'init' || words.includes(record.runtime.root);
  // An author's runtime has ways of its own. Of one that has ended, only who was asked to start it knows more.
  const isStarted = !parts.shim.custom?.runtime && !isRuntimes && (words.length > 1 || wasStarted);
  if (init.state === 'created' && isStarted) {
    move(record, 'start');
    runtime.noteStarted();
    parts.init.stdio?.beforeStart();
    events.start(init.pid);
  }
  // What the runtime has restored has streams that nobody reads.
  const restored =
    init.state === 'restorable' || init.state === 'restoring' ? tryReadPidFile(bundle.initPid) : undefined;
  const isThere = restored !== undefined && host.isChild(restored);
  if (init.state === 'restorable' && (isThere || wasStarted)) move(record, 'start');
  if (isThere) killNow(parts, { pid: restored });
}

function settleFreezer({ record, events }: Parts): void {
  const { init, cgroup } = record;
  if (!cgroup || init.exitedAt !== undefined) return;
  const frozen = isFrozen(cgroup);
  if (init.state === 'running' && frozen) move(record, 'pause');
  if (init.state === 'pausing') {
    move(record, frozen ? 'paused' : 'pause failed');
    if (frozen) events.paused();
  } else if (init.state === 'paused' && !frozen) {
    move(record, 'resume');
    events.resumed();
  }
}

/** The commands of the runtime for this container, which another process has begun. */
async function untilCommandsEnd({ record, shim, bundle }: Parts): Promise<void> {
  const { id, runtime } = record;
  const deadline = Date.now() + COMMAND_MS;
  // A process of the container may look like the command that has made it, until it is started.
  const isProcess = (pid: number): boolean =>
    pid === tryReadPidFile(bundle.initPid) ||
    Object.keys(record.execs).some((exec) => pid === tryReadPidFile(bundle.execPid(exec)));
  const commands = new Commands((words) => words.includes(runtime.root) && words.includes(id), isProcess);
  // A list of children that is read while one of them ends may leave out another (proc(5), children): so it is read once more.
  for (let without = 0; without < LOOKS;) {
    without = commands.look() ? 0 : without + 1;
    if (Date.now() > deadline) {
      shim.log.warn(
        'waiting for a command of the runtime that another process has begun failed, as it takes too long',
        { id },
      );
      return;
    }
    if (without < LOOKS) await delay(LOOK_MS);
  }
}
