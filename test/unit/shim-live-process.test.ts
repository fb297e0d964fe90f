import assert from 'node:assert/strict';
import { openSync } from 'node:fs';
import { test } from 'node:test';
import { native } from '../../src/sys/native.js';
import { LiveProcess } from '../../src/shim/task/process.js';
import { eventually } from '../support/eventually.js';

const nowhere = openSync('/dev/null', 'r+');
const newRecord = () => ({
  pid: 0,
  stdin: '',
  stdout: '',
  stderr: '',
  terminal: false,
  stdinClosed: false,
  label: '',
  exitStatus: 0,
});

function child(status: number): number {
  return native.spawn('/bin/sh', ['sh', '-c', `exit ${status}`], [], null, [nowhere, nowhere, nowhere], true, false);
}

test('an exit is seen, then told', async () => {
  const live = new LiveProcess(newRecord());
  const log: string[] = [];
  const pid = child(4);
  live.watch(
    pid,
    (status) => log.push(`seen ${status}`),
    () => log.push('told'),
  );
  assert.equal(live.record.pid, pid);
  await eventually('it is told', () => log.length === 2);
  assert.deepEqual(log, ['seen 4', 'told']);
});

test('an exit is seen at once, but told only when nothing holds it', async () => {
  const live = new LiveProcess(newRecord());
  const log: string[] = [];
  live.hold();
  live.hold();
  live.watch(
    child(4),
    () => log.push('seen'),
    () => log.push('told'),
  );
  await eventually('it is seen', () => log.length === 1);
  live.release();
  assert.deepEqual(log, ['seen']);
  log.push('released');
  live.release();
  assert.deepEqual(log, ['seen', 'released', 'told']);
  live.hold();
  live.release();
  assert.deepEqual(log.length, 3, 'told once');
});

test('holding and releasing before the exit changes nothing', async () => {
  const live = new LiveProcess(newRecord());
  const log: string[] = [];
  live.hold();
  live.watch(
    child(0),
    () => log.push('seen'),
    () => log.push('told'),
  );
  live.release();
  await eventually('it is told', () => log.length === 2);
});

test('all who wait are released, once', async () => {
  const live = new LiveProcess(newRecord());
  const { signal } = new AbortController();
  const waits = [live.wait(signal), live.wait(signal)];
  assert.equal(live.waiting, 2);
  live.wake();
  await Promise.all(waits);
  assert.equal(live.waiting, 0);
  live.wake();
});

test('one who gives up no longer counts, and hears why', async () => {
  const live = new LiveProcess(newRecord());
  const controller = new AbortController();
  const other = new AbortController();
  const given = live.wait(controller.signal);
  const kept = live.wait(other.signal);
  const reason = new Error('the connection is gone');
  controller.abort(reason);
  await assert.rejects(given, reason);
  assert.equal(live.waiting, 1);
  live.wake();
  await kept;
  other.abort();
  await assert.rejects(live.wait(AbortSignal.abort(reason)), reason);
  assert.equal(live.waiting, 0);
});
