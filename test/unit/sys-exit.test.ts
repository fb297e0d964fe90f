import assert from 'node:assert/strict';
import { openSync } from 'node:fs';
import { test } from 'node:test';
import { native } from '../../src/sys/native.js';
import { isWatched, onExit, reap, spawn } from '../../src/sys/index.js';
import { eventually } from '../support/eventually.js';
import { descriptorsOf } from '../support/machine.js';
import { leavesNothingOpen, processState } from './fixtures/support.js';

const nowhere = openSync('/dev/null', 'r+');
const quiet = [nowhere, nowhere, nowhere];

/** A child that nobody waits for. */
function unwatched(text: string): number {
  const pid = native.spawn('/bin/sh', ['sh', '-c', text], [], null, quiet, true, false);
  assert.ok(pid > 0);
  return pid;
}

function exitOf(pid: number): Promise<number> {
  return new Promise((resolve) => onExit(pid, resolve));
}

test('a process that ended before anybody asked still tells its status', async () => {
  const pid = unwatched('exit 42');
  await eventually('it is a zombie', () => processState(pid) === 'Z');
  assert.equal(await exitOf(pid), 42);
  assert.equal(processState(pid), undefined, 'it has been collected');
});

test('the callback never comes within the call', async () => {
  const pid = unwatched('exit 1');
  await eventually('it is a zombie', () => processState(pid) === 'Z');
  let called = false;
  const told = new Promise<void>((resolve) =>
    onExit(pid, () => {
      called = true;
      resolve();
    }),
  );
  assert.equal(called, false);
  await told;
});

test('two who ask for one pid are both told, once each', async () => {
  const pid = unwatched('exit 5');
  const calls: string[] = [];
  onExit(pid, (status) => calls.push(`first ${status}`));
  onExit(pid, (status) => calls.push(`second ${status}`));
  await exitOf(pid);
  assert.deepEqual(calls, ['first 5', 'second 5']);
});

test('isWatched holds exactly while somebody waits', async () => {
  const pid = unwatched('exec /bin/sleep 1000');
  assert.equal(isWatched(pid), false);
  const exited = exitOf(pid);
  assert.equal(isWatched(pid), true);
  process.kill(pid, 'SIGKILL');
  assert.equal(await exited, 137);
  assert.equal(isWatched(pid), false);
});

test('a pid that is nobody, or whose status another took, is told as 255', async () => {
  const pid = unwatched('exit 3');
  await eventually('it is a zombie', () => processState(pid) === 'Z');
  assert.equal(reap(pid), true);
  assert.equal(await exitOf(pid), 255);
  assert.equal(isWatched(pid), false);
});

test('a status taken by another while we wait is told as 255', async () => {
  const pid = unwatched('exit 3');
  const exited = exitOf(pid);
  // Collected in the same turn: the loop has no chance to come first.
  while (!reap(pid)) continue;
  assert.equal(await exited, 255);
});

test('field 1: 200 children killed at once are each told, once', async () => {
  const told = new Map<number, number[]>();
  const children = Array.from({ length: 200 }, () => {
    const child = spawn('/bin/sleep', ['sleep', '1000'], { stdio: quiet });
    told.set(child.pid, []);
    onExit(child.pid, (status) => told.get(child.pid)!.push(status));
    return child;
  });
  for (const { pid } of children) process.kill(pid, 'SIGKILL');
  assert.deepEqual(
    await Promise.all(children.map(({ exited }) => exited)),
    Array.from({ length: 200 }, () => 137),
  );
  assert.deepEqual(
    [...told.values()],
    Array.from({ length: 200 }, () => [137]),
  );
});

test('a pid comes back as another process and is told anew', async () => {
  const first = spawn('/bin/sh', ['sh', '-c', 'exit 1'], { stdio: quiet });
  assert.equal(await first.exited, 1);
  assert.equal(isWatched(first.pid), false, 'so that a process of the same number can be waited for');
});

test('one who throws does not keep the others from being told', async (t) => {
  const pid = unwatched('exit 6');
  const thrown: unknown[] = [];
  const caught = (error: unknown): void => void thrown.push(error);
  process.setUncaughtExceptionCaptureCallback(caught);
  t.after(() => process.setUncaughtExceptionCaptureCallback(null));
  onExit(pid, () => {
    throw new Error('mine');
  });
  let second: number | undefined;
  onExit(pid, (status) => (second = status));
  await eventually('the first has thrown', () => thrown.length > 0);
  assert.equal(second, 6);
});

test('nothing stays open', () =>
  leavesNothingOpen(async () => {
    const pid = unwatched('exit 0');
    await Promise.all([exitOf(pid), exitOf(pid)]);
  }));

test('who is answered finds nothing of it open any more', async () => {
  const pidfds = (): number => descriptorsOf(process.pid).filter((file) => file.includes('pidfd')).length;
  const before = pidfds();
  const exit = exitOf(unwatched('exit 0'));
  assert.equal(pidfds(), before + 1);
  await exit;
  assert.equal(pidfds(), before);
});

test('field 2: an exit is told though nobody listens for SIGCHLD: each process that is waited for has a pidfd', async () => {
  assert.equal(process.listenerCount('SIGCHLD'), 0);
  const exit = exitOf(unwatched('sleep 0.2; exit 7'));
  assert.equal(process.listenerCount('SIGCHLD'), 0);
  assert.equal(await exit, 7);
});
