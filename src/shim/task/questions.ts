/** How a container and its processes are, from what the shim knows of them: no system call is made for it. */
import { containerd } from '../../api/gen/api.js';
import { timestamp } from '../../api/timestamp.js';
import { shimPid } from '../../sys/index.js';
import type { ContainerRecord } from '../record/record.js';
import type { ExecState, InitState } from '../record/states.js';
import type { Containers } from './containers.js';

const { Status } = containerd.task.v2;

/** @throws TtrpcError when there is no such container or exec */
export function stateOf(
  containers: Containers,
  id: string,
  execId: string,
): containerd.task.v2.StateResponse.$Properties {
  const container = containers.get(id);
  const { record } = container;
  const process = container.process(execId);
  const isOver = hasEnded(record, execId);
  return {
    id: execId || id,
    bundle: record.bundle,
    pid: process.pid,
    status: statusOf(record, execId),
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    terminal: process.terminal,
    exitStatus: isOver ? process.exitStatus : 0,
    exitedAt: timestamp(isOver ? process.exitedAt : undefined),
    execId,
  };
}

/** Of a container that is not there the pid is 0, as with the Go shim. */
export function connectionTo(containers: Containers, id: string): containerd.task.v2.ConnectResponse.$Properties {
  return { shimPid: shimPid(), taskPid: containers.find(id)?.record.init.pid ?? 0 };
}

const statuses: Record<InitState | ExecState, containerd.task.v2.Status> = {
  // Those that nobody can ask for.
  creating: Status.UNKNOWN,
  unwanted: Status.UNKNOWN,
  abandoned: Status.UNKNOWN,
  created: Status.CREATED,
  restorable: Status.CREATED,
  restoring: Status.CREATED,
  failed: Status.CREATED,
  running: Status.RUNNING,
  pausing: Status.PAUSING,
  paused: Status.PAUSED,
  stopped: Status.STOPPED,
  deleted: Status.UNKNOWN,
};

function statusOf(record: ContainerRecord, execId: string): containerd.task.v2.Status {
  const { init } = record;
  // An exec in a frozen container is frozen, whatever else it is.
  if (init.state === 'pausing' || init.state === 'paused') return statuses[init.state];
  return statuses[execId ? record.execs[execId]!.state : init.state];
}

/** Its exit may be known a little before its event is published; until then State does not show it. */
function hasEnded(record: ContainerRecord, execId: string): boolean {
  return (execId ? record.execs[execId]!.state : record.init.state) === 'stopped';
}
