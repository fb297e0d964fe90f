/** The contract's state tables, §3.3 and §3.4, cell by cell. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  check,
  move,
  type ExecHappening,
  type ExecRequest,
  type ExecState,
  type InitHappening,
  type InitRequest,
  type InitState,
} from '../../src/shim/record/states.js';

const UNKNOWN = 2;
const NOT_FOUND = 5;
const FAILED_PRECONDITION = 9;

/** '' is allowed; a text is code Unknown, unless a code stands before it. */
type Cell = string | [number, string];

const initStates: InitState[] = ['created', 'restorable', 'running', 'paused', 'stopped', 'deleted'];
const init: Record<InitRequest, Cell[]> = {
  start: [
    '',
    '',
    'cannot start a running process',
    'cannot start a paused process',
    'cannot start a stopped process',
    'cannot start a deleted process',
  ],
  delete: [
    '',
    '',
    'cannot delete a running process',
    'cannot delete a paused process',
    '',
    [NOT_FOUND, 'cannot delete a deleted process: not found'],
  ],
  pause: [
    'cannot pause task in created state',
    'cannot pause task in created state',
    '',
    'cannot pause a paused container',
    'cannot pause a stopped container',
    'cannot pause a deleted process',
  ],
  resume: [
    'cannot resume task in created state',
    'cannot resume task in created state',
    'cannot resume a running process',
    '',
    'cannot resume a stopped container',
    'cannot resume a deleted process',
  ],
  update: ['', '', '', '', 'cannot update a stopped container', 'cannot update a deleted process'],
  checkpoint: [
    'cannot checkpoint a task in created state',
    'cannot checkpoint a task in created state',
    '',
    '',
    'cannot checkpoint a stopped container',
    'cannot checkpoint a deleted process',
  ],
  exec: [
    '',
    'cannot exec in a created state',
    '',
    'cannot exec in a paused state',
    'cannot exec in a stopped state',
    'cannot exec in a deleted state',
  ],
  kill: ['', '', '', '', '', [NOT_FOUND, 'cannot kill a deleted process: not found']],
  // Not in the table: resizing what has no terminal is no error, and the deleted state answers like every other operation.
  resize: ['', '', '', '', '', 'cannot resize a deleted process'],
};

const execStates: ExecState[] = ['created', 'running', 'stopped'];
const exec: Record<ExecRequest, Cell[]> = {
  start: ['', 'cannot start a running process', 'cannot start a stopped process'],
  delete: ['', 'cannot delete a running process', ''],
  resize: ['', '', 'cannot resize a stopped container'],
  kill: [
    [FAILED_PRECONDITION, 'process not created: failed precondition'],
    '',
    [NOT_FOUND, 'process already finished: not found'],
  ],
};

const container = (state: InitState): { id: string; init: { state: InitState } } => ({ id: 'c', init: { state } });
const execIn = (state: ExecState): { id: string; state: ExecState } => ({ id: 'e', state });

function outcome(check: () => void): Cell {
  try {
    check();
  } catch (error) {
    const { code, message } = error as { code: number; message: string };
    return code === UNKNOWN ? message : [code, message];
  }
  return '';
}

for (const [operation, cells] of Object.entries(init) as [InitRequest, Cell[]][]) {
  test(`init: ${operation}`, () => {
    assert.equal(cells.length, initStates.length);
    assert.deepEqual(
      initStates.map((state) => [state, outcome(() => check(container(state), operation))]),
      initStates.map((state, index) => [state, cells[index]]),
    );
  });
}

for (const [operation, cells] of Object.entries(exec) as [ExecRequest, Cell[]][]) {
  test(`exec: ${operation}`, () => {
    assert.equal(cells.length, execStates.length);
    assert.deepEqual(
      execStates.map((state) => [state, outcome(() => check(execIn(state), operation))]),
      execStates.map((state, index) => [state, cells[index]]),
    );
  });
}

test('a deleted exec can do nothing', () => {
  for (const operation of ['start', 'delete', 'kill', 'resize'] as const)
    assert.notEqual(
      outcome(() => check(execIn('deleted'), operation)),
      '',
      operation,
    );
});

test('a container that is being frozen is one that runs', () => {
  for (const operation of ['start', 'delete', 'resume', 'update', 'checkpoint', 'exec', 'kill', 'resize'] as const)
    assert.deepEqual(
      outcome(() => check(container('pausing'), operation)),
      outcome(() => check(container('running'), operation)),
      operation,
    );
});

test('a container is restored once, and an exec started once', () => {
  for (const operation of Object.keys(init) as InitRequest[])
    assert.deepEqual(
      outcome(() => check(container('restoring'), operation)),
      operation === 'start'
        ? [
            FAILED_PRECONDITION,
            'container c could not be restored before; delete it and create it anew: failed precondition',
          ]
        : outcome(() => check(container('restorable'), operation)),
      operation,
    );
  for (const operation of Object.keys(exec) as ExecRequest[])
    assert.deepEqual(
      outcome(() => check(execIn('failed'), operation)),
      operation === 'start'
        ? [FAILED_PRECONDITION, 'exec e could not be started before; delete it and add it anew: failed precondition']
        : outcome(() => check(execIn('created'), operation)),
      operation,
    );
});

/** What an operation makes of each state that allows it. */
function following(operation: InitRequest | InitHappening): Partial<Record<InitState, InitState>> {
  const states: InitState[] = ['creating', 'unwanted', 'abandoned', ...initStates, 'restoring', 'pausing'];
  const next: Partial<Record<InitState, InitState>> = {};
  for (const state of states) {
    const one = container(state);
    if (outcome(() => move(one, operation)) !== '') assert.equal(one.init.state, state, 'a refusal changes nothing');
    else if (one.init.state !== state) next[state] = one.init.state;
  }
  return next;
}

test('the state that follows, where it is another one: init', () => {
  const stopped = Object.fromEntries(
    ['created', 'restorable', 'restoring', 'running', 'pausing', 'paused'].map((state) => [state, 'stopped']),
  );
  const table: Record<InitRequest | InitHappening, Partial<Record<InitState, InitState>>> = {
    created: { creating: 'created' },
    'created from checkpoint': { creating: 'restorable' },
    'give up': { creating: 'unwanted' },
    undone: { creating: 'abandoned', unwanted: 'abandoned', created: 'abandoned', restorable: 'abandoned' },
    start: { created: 'running', restorable: 'restoring' },
    restored: { restoring: 'running' },
    pause: { running: 'pausing' },
    paused: { pausing: 'paused' },
    'pause failed': { pausing: 'running' },
    resume: { paused: 'running' },
    stopped,
    delete: { created: 'deleted', restorable: 'deleted', restoring: 'deleted', stopped: 'deleted' },
    update: {},
    checkpoint: {},
    exec: {},
    kill: {},
    resize: {},
  };
  for (const [operation, expected] of Object.entries(table))
    assert.deepEqual(following(operation as InitRequest), expected, operation);
});

test('the state that follows, where it is another one: exec', () => {
  const table: Record<ExecRequest | ExecHappening, Partial<Record<ExecState, ExecState>>> = {
    start: { created: 'running' },
    'start failed': { created: 'failed' },
    stopped: { running: 'stopped' },
    delete: { created: 'deleted', failed: 'deleted', stopped: 'deleted' },
    kill: {},
    resize: {},
  };
  for (const [operation, expected] of Object.entries(table)) {
    const next: Partial<Record<ExecState, ExecState>> = {};
    for (const state of ['created', 'failed', 'running', 'stopped', 'deleted'] as const) {
      const one = execIn(state);
      if (outcome(() => move(one, operation as ExecRequest)) === '' && one.state !== state) next[state] = one.state;
    }
    assert.deepEqual(next, expected, operation);
  }
});

test('a create that is given up is answered with that, and one that has ended while it was frozen is not paused', () => {
  assert.deepEqual(
    outcome(() => move(container('unwanted'), 'created')),
    [14, 'the shim was told to shut down: unavailable'],
  );
  assert.equal(
    outcome(() => move(container('stopped'), 'paused')),
    'cannot pause a stopped container',
  );
});
