/** The contract's state tables, §3.3 and §3.4, cell by cell. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  checkExec,
  checkInit,
  type ExecOperation,
  type ExecState,
  type InitOperation,
  type InitState,
} from '../../src/shim/record/states.js';

const UNKNOWN = 2;
const NOT_FOUND = 5;
const FAILED_PRECONDITION = 9;

/** '' is allowed; a text is code Unknown, unless a code stands before it. */
type Cell = string | [number, string];

const initStates: InitState[] = ['created', 'createdCheckpoint', 'running', 'paused', 'stopped', 'deleted'];
const init: Record<InitOperation, Cell[]> = {
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
const exec: Record<ExecOperation, Cell[]> = {
  start: ['', 'cannot start a running process', 'cannot start a stopped process'],
  delete: ['', 'cannot delete a running process', ''],
  resize: ['', '', 'cannot resize a stopped container'],
  kill: [
    [FAILED_PRECONDITION, 'process not created: failed precondition'],
    '',
    [NOT_FOUND, 'process already finished: not found'],
  ],
};

function outcome(check: () => void): Cell {
  try {
    check();
  } catch (error) {
    const { code, message } = error as { code: number; message: string };
    return code === UNKNOWN ? message : [code, message];
  }
  return '';
}

for (const [operation, cells] of Object.entries(init) as [InitOperation, Cell[]][]) {
  test(`init: ${operation}`, () => {
    assert.equal(cells.length, initStates.length);
    assert.deepEqual(
      initStates.map((state) => [state, outcome(() => checkInit(operation, state))]),
      initStates.map((state, index) => [state, cells[index]]),
    );
  });
}

for (const [operation, cells] of Object.entries(exec) as [ExecOperation, Cell[]][]) {
  test(`exec: ${operation}`, () => {
    assert.equal(cells.length, execStates.length);
    assert.deepEqual(
      execStates.map((state) => [state, outcome(() => checkExec(operation, state))]),
      execStates.map((state, index) => [state, cells[index]]),
    );
  });
}

test('a deleted exec can do nothing', () => {
  for (const operation of ['start', 'delete', 'kill', 'resize'] as const)
    assert.notEqual(
      outcome(() => checkExec(operation, 'deleted')),
      '',
      operation,
    );
});
