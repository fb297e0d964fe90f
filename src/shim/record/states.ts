/** The states of an init and of an exec, and what may be done in each: the contract's tables (§3.3, §3.4). */
import { failedPrecondition, notFound, unknown } from '../../api/errdefs.js';

export type InitState = 'created' | 'createdCheckpoint' | 'running' | 'paused' | 'stopped' | 'deleted';
export type ExecState = 'created' | 'running' | 'stopped' | 'deleted';

export type InitOperation =
  'start' | 'delete' | 'pause' | 'resume' | 'update' | 'checkpoint' | 'exec' | 'kill' | 'resize';
export type ExecOperation = 'start' | 'delete' | 'kill' | 'resize';

/** Allowed, or the error it is. */
type Rule = true | (() => Error);

const no =
  (text: string): Rule =>
  () =>
    unknown(text);
const gone =
  (text: string): Rule =>
  () =>
    notFound(text);

const init: Record<InitOperation, Record<InitState, Rule>> = {
  start: {
    created: true,
    createdCheckpoint: true,
    running: no('cannot start a running process'),
    paused: no('cannot start a paused process'),
    stopped: no('cannot start a stopped process'),
    deleted: no('cannot start a deleted process'),
  },
  delete: {
    created: true,
    createdCheckpoint: true,
    running: no('cannot delete a running process'),
    paused: no('cannot delete a paused process'),
    stopped: true,
    deleted: gone('cannot delete a deleted process'),
  },
  pause: {
    created: no('cannot pause task in created state'),
    createdCheckpoint: no('cannot pause task in created state'),
    running: true,
    paused: no('cannot pause a paused container'),
    stopped: no('cannot pause a stopped container'),
    deleted: no('cannot pause a deleted process'),
  },
  resume: {
    created: no('cannot resume task in created state'),
    createdCheckpoint: no('cannot resume task in created state'),
    running: no('cannot resume a running process'),
    paused: true,
    stopped: no('cannot resume a stopped container'),
    deleted: no('cannot resume a deleted process'),
  },
  update: {
    created: true,
    createdCheckpoint: true,
    running: true,
    paused: true,
    stopped: no('cannot update a stopped container'),
    deleted: no('cannot update a deleted process'),
  },
  checkpoint: {
    created: no('cannot checkpoint a task in created state'),
    createdCheckpoint: no('cannot checkpoint a task in created state'),
    running: true,
    paused: true,
    stopped: no('cannot checkpoint a stopped container'),
    deleted: no('cannot checkpoint a deleted process'),
  },
  exec: {
    created: true,
    createdCheckpoint: no('cannot exec in a created state'),
    running: true,
    paused: no('cannot exec in a paused state'),
    stopped: no('cannot exec in a stopped state'),
    deleted: no('cannot exec in a deleted state'),
  },
  kill: {
    created: true,
    createdCheckpoint: true,
    running: true,
    paused: true,
    stopped: true,
    deleted: gone('cannot kill a deleted process'),
  },
  resize: {
    created: true,
    createdCheckpoint: true,
    running: true,
    paused: true,
    stopped: true,
    deleted: no('cannot resize a deleted process'),
  },
};

const exec: Record<ExecOperation, Record<ExecState, Rule>> = {
  start: {
    created: true,
    running: no('cannot start a running process'),
    stopped: no('cannot start a stopped process'),
    deleted: no('cannot start a deleted process'),
  },
  delete: {
    created: true,
    running: no('cannot delete a running process'),
    stopped: true,
    deleted: gone('cannot delete a deleted process'),
  },
  kill: {
    created: () => failedPrecondition('process not created'),
    running: true,
    stopped: gone('process already finished'),
    deleted: gone('process already finished'),
  },
  resize: {
    created: true,
    running: true,
    stopped: no('cannot resize a stopped container'),
    deleted: no('cannot resize a deleted process'),
  },
};

/** Throws what the operation is answered with when the init's state does not allow it. */
export function checkInit(operation: InitOperation, state: InitState): void {
  refuse(init[operation][state]);
}

/** Throws what the operation is answered with when the exec's state does not allow it. */
export function checkExec(operation: ExecOperation, state: ExecState): void {
  refuse(exec[operation][state]);
}

function refuse(rule: Rule): void {
  if (rule !== true) throw rule();
}
