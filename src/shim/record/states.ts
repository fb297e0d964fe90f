/**
 * The states of an init and of an exec: what may be done in each (the contract's tables, §3.3 and §3.4), and which state
 * follows. {@link move} is the only assignment to a state.
 *
 * That a process has ended is no state of its own: its `exitedAt` says so as soon as its end is seen, and it is `stopped`
 * once its exit event is published. Until then it is to clients what it was before.
 */
import { failedPrecondition, notFound, unavailable, unknown } from '../../api/errdefs.js';

/**
 * `creating`: its Create is under way. `unwanted`: the client has given that up. `abandoned`: the create failed, and nobody
 * knows of the container. `restorable`: created from a checkpoint, to be restored by Start. `restoring`: that is under way, or
 * has failed; it is not tried twice. `pausing`: the runtime is freezing it.
 */
export type InitState =
  | 'creating'
  | 'unwanted'
  | 'abandoned'
  | 'created'
  | 'restorable'
  | 'restoring'
  | 'running'
  | 'pausing'
  | 'paused'
  | 'stopped'
  | 'deleted';

/** `failed`: it was started once, in vain: it can only be deleted. */
export type ExecState = 'created' | 'failed' | 'running' | 'stopped' | 'deleted';

/** What clients ask for. Those that take a while are checked when they begin, and move the state when they are done. */
export type InitRequest =
  'start' | 'delete' | 'pause' | 'resume' | 'update' | 'checkpoint' | 'exec' | 'kill' | 'resize';
/** What happens besides. */
export type InitHappening =
  'created' | 'created from checkpoint' | 'give up' | 'undone' | 'restored' | 'paused' | 'pause failed' | 'stopped';
export type InitOperation = InitRequest | InitHappening;
export type ExecRequest = 'start' | 'delete' | 'kill' | 'resize';
export type ExecHappening = 'start failed' | 'stopped';
export type ExecOperation = ExecRequest | ExecHappening;

/** A container, as far as its init's state goes. */
interface InitSubject {
  readonly id: string;
  readonly init: { state: InitState };
}
/** An exec, as far as its state goes. */
interface ExecSubject {
  readonly id: string;
  state: ExecState;
}

/** The state that follows, or the error that the operation is answered with. */
type Rule<State, Subject> = State | ((subject: Subject) => Error);
type Rules<State extends string, Subject> = Record<State, Rule<State, Subject>>;
type InitRules = Rules<InitState, InitSubject>;

const no = (text: string) => (): Error => unknown(text);
const gone = (text: string) => (): Error => notFound(text);
const givenUp = (): Error => unavailable('the shim was told to shut down');
/** The shim itself never comes here. */
const defect = (): Error => new Error('a defect: this cannot happen in the current state');

/** Nobody finds a container by its id whose create is under way, or has failed. */
const unseen = { creating: defect, unwanted: defect, abandoned: defect };
/** Where it is, it stays. */
const stay = {
  creating: 'creating',
  unwanted: 'unwanted',
  abandoned: 'abandoned',
  created: 'created',
  restorable: 'restorable',
  restoring: 'restoring',
  running: 'running',
  pausing: 'pausing',
  paused: 'paused',
  stopped: 'stopped',
  deleted: 'deleted',
} as const satisfies InitRules;
/** What only happens to containers that are there. */
const never = {
  ...unseen,
  created: defect,
  restorable: defect,
  restoring: defect,
  running: defect,
  pausing: defect,
  paused: defect,
  stopped: defect,
  deleted: defect,
} as const satisfies InitRules;

const init: Record<InitOperation, InitRules> = {
  start: {
    ...unseen,
    created: 'running',
    restorable: 'restoring',
    // Its descriptors went with the first attempt.
    restoring: ({ id }) =>
      failedPrecondition(`container ${id} could not be restored before; delete it and create it anew`),
    running: no('cannot start a running process'),
    pausing: no('cannot start a running process'),
    paused: no('cannot start a paused process'),
    stopped: no('cannot start a stopped process'),
    deleted: no('cannot start a deleted process'),
  },
  delete: {
    ...unseen,
    created: 'deleted',
    restorable: 'deleted',
    restoring: 'deleted',
    running: no('cannot delete a running process'),
    pausing: no('cannot delete a running process'),
    paused: no('cannot delete a paused process'),
    stopped: 'deleted',
    deleted: gone('cannot delete a deleted process'),
  },
  pause: {
    ...unseen,
    created: no('cannot pause task in created state'),
    restorable: no('cannot pause task in created state'),
    restoring: no('cannot pause task in created state'),
    running: 'pausing',
    // Pauses come one after the other.
    pausing: defect,
    paused: no('cannot pause a paused container'),
    stopped: no('cannot pause a stopped container'),
    deleted: no('cannot pause a deleted process'),
  },
  resume: {
    ...unseen,
    created: no('cannot resume task in created state'),
    restorable: no('cannot resume task in created state'),
    restoring: no('cannot resume task in created state'),
    running: no('cannot resume a running process'),
    pausing: no('cannot resume a running process'),
    paused: 'running',
    stopped: no('cannot resume a stopped container'),
    deleted: no('cannot resume a deleted process'),
  },
  update: {
    ...stay,
    ...unseen,
    stopped: no('cannot update a stopped container'),
    deleted: no('cannot update a deleted process'),
  },
  checkpoint: {
    ...stay,
    ...unseen,
    created: no('cannot checkpoint a task in created state'),
    restorable: no('cannot checkpoint a task in created state'),
    restoring: no('cannot checkpoint a task in created state'),
    stopped: no('cannot checkpoint a stopped container'),
    deleted: no('cannot checkpoint a deleted process'),
  },
  exec: {
    ...stay,
    ...unseen,
    restorable: no('cannot exec in a created state'),
    restoring: no('cannot exec in a created state'),
    paused: no('cannot exec in a paused state'),
    stopped: no('cannot exec in a stopped state'),
    deleted: no('cannot exec in a deleted state'),
  },
  kill: {
    ...stay,
    ...unseen,
    deleted: gone('cannot kill a deleted process'),
  },
  resize: {
    ...stay,
    ...unseen,
    deleted: no('cannot resize a deleted process'),
  },
  created: { ...never, creating: 'created', unwanted: givenUp },
  'created from checkpoint': { ...never, creating: 'restorable', unwanted: givenUp },
  'give up': { ...stay, creating: 'unwanted' },
  undone: {
    ...never,
    creating: 'abandoned',
    unwanted: 'abandoned',
    created: 'abandoned',
    restorable: 'abandoned',
  },
  restored: { ...never, restoring: 'running' },
  paused: {
    ...never,
    pausing: 'paused',
    // It ended while the runtime was freezing it.
    stopped: no('cannot pause a stopped container'),
    deleted: no('cannot pause a deleted process'),
  },
  'pause failed': { ...stay, pausing: 'running' },
  stopped: {
    ...stay,
    // The exit is held back until the Create is answered.
    creating: defect,
    unwanted: defect,
    created: 'stopped',
    restorable: 'stopped',
    restoring: 'stopped',
    running: 'stopped',
    pausing: 'stopped',
    paused: 'stopped',
  },
};

const exec: Record<ExecOperation, Rules<ExecState, ExecSubject>> = {
  start: {
    created: 'running',
    failed: ({ id }) => failedPrecondition(`exec ${id} could not be started before; delete it and add it anew`),
    running: no('cannot start a running process'),
    stopped: no('cannot start a stopped process'),
    deleted: no('cannot start a deleted process'),
  },
  delete: {
    created: 'deleted',
    failed: 'deleted',
    running: no('cannot delete a running process'),
    stopped: 'deleted',
    deleted: gone('cannot delete a deleted process'),
  },
  kill: {
    created: () => failedPrecondition('process not created'),
    failed: () => failedPrecondition('process not created'),
    running: 'running',
    stopped: gone('process already finished'),
    deleted: gone('process already finished'),
  },
  resize: {
    created: 'created',
    failed: 'failed',
    running: 'running',
    stopped: no('cannot resize a stopped container'),
    deleted: no('cannot resize a deleted process'),
  },
  'start failed': { created: 'failed', failed: defect, running: defect, stopped: defect, deleted: defect },
  stopped: { created: defect, failed: defect, running: 'stopped', stopped: defect, deleted: defect },
};

/** Throws what the operation is answered with when the state does not allow it. Nothing changes. */
export function check(record: InitSubject, operation: InitOperation): void;
export function check(record: ExecSubject, operation: ExecOperation): void;
export function check(record: InitSubject | ExecSubject, operation: InitOperation | ExecOperation): void {
  following(record, operation);
}

/** Puts the init of a container, or an exec, into the state that follows; throws like {@link check}. */
export function move(record: InitSubject, operation: InitOperation): void;
export function move(record: ExecSubject, operation: ExecOperation): void;
export function move(record: InitSubject | ExecSubject, operation: InitOperation | ExecOperation): void {
  if ('init' in record) record.init.state = following(record, operation) as InitState;
  else record.state = following(record, operation) as ExecState;
}

function following(record: InitSubject | ExecSubject, operation: InitOperation | ExecOperation): InitState | ExecState {
  const rule =
    'init' in record
      ? asked(init[operation as InitOperation][record.init.state], record)
      : asked(exec[operation as ExecOperation][record.state], record);
  if (rule instanceof Error) throw rule;
  return rule;
}

function asked<State extends string, Subject>(rule: Rule<State, Subject>, subject: Subject): State | Error {
  return typeof rule === 'function' ? rule(subject) : rule;
}
