import assert from 'node:assert/strict';
import { spawn as nodeSpawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { before, test } from 'node:test';
import { becomeSubreaper, isWatched, makePipe, onExit, reap, reapableOrphans, spawn } from '../../src/sys/index.js';
import { eventually } from '../support/eventually.js';
import { captured, helper, leavesNothingOpen, processState } from './fixtures/support.js';

const nowhere = openSync('/dev/null', 'r+');

before(() => becomeSubreaper());

/** A process that is ours because its parent is gone. It ends with this status when told to. */
async function orphan(status: number): Promise<{ pid: number; end: () => void }> {
  const { read, write } = makePipe();
  const pid = Number(
    await captured(async (out) => {
      assert.equal(
        await spawn(helper(), ['helper', 'orphan', String(status)], {
          stdio: [read, out, nowhere],
          dieWithParent: false,
        }).exited,
        0,
      );
    }),
  );
  closeSync(read);
  return { pid, end: () => closeSync(write) };
}

test('an orphan is listed when it has ended, and collected once', async () => {
  const { pid, end } = await orphan(7);
  assert.equal(reapableOrphans().includes(pid), false, 'it still runs');
  assert.equal(reap(pid), false, 'it still runs');
  end();
  await eventually('it is a zombie', () => processState(pid) === 'Z');
  assert.deepEqual(reapableOrphans(), [pid]);
  assert.equal(reap(pid), true);
  assert.equal(processState(pid), undefined);
  assert.deepEqual(reapableOrphans(), []);
  assert.equal(reap(pid), false);
});

test('an orphan can be waited for like a child, and is then not listed', async () => {
  const { pid, end } = await orphan(9);
  const exited = new Promise<number>((resolve) => onExit(pid, resolve));
  end();
  while (processState(pid) !== 'Z') continue;
  assert.equal(isWatched(pid), true);
  assert.deepEqual(reapableOrphans(), []);
  assert.equal(await exited, 9);
});

test('a watched zombie does not hide an orphan behind it', async () => {
  const first = await orphan(1);
  const second = await orphan(2);
  const exited = new Promise<number>((resolve) => onExit(first.pid, resolve));
  first.end();
  second.end();
  while (processState(first.pid) !== 'Z' || processState(second.pid) !== 'Z') continue;
  assert.deepEqual(reapableOrphans(), [second.pid]);
  assert.equal(reap(second.pid), true);
  assert.equal(await exited, 1);
});

test('children of node:child_process keep their exit codes beside ours', async () => {
  let open = true;
  const watching = (async () => {
    // As the shim does it: what a turn of the loop has left is nobody's.
    const seen = new Set<number>();
    while (open) {
      const now = reapableOrphans();
      for (const pid of now) if (seen.has(pid)) reap(pid);
      seen.clear();
      for (const pid of now) seen.add(pid);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  const theirs = Array.from(
    { length: 40 },
    (_, index) =>
      new Promise<number | null>((resolve) => {
        nodeSpawn('/bin/sh', ['-c', `exit ${index}`], { stdio: 'ignore' }).on('exit', resolve);
      }),
  );
  const ours = Array.from(
    { length: 40 },
    (_, index) => spawn('/bin/sh', ['sh', '-c', `exit ${100 + index}`], { stdio: [nowhere, nowhere, nowhere] }).exited,
  );
  assert.deepEqual(
    await Promise.all(theirs),
    Array.from({ length: 40 }, (_, index) => index),
  );
  assert.deepEqual(
    await Promise.all(ours),
    Array.from({ length: 40 }, (_, index) => 100 + index),
  );
  open = false;
  await watching;
});

test('nothing stays open', () =>
  leavesNothingOpen(async () => {
    const { pid, end } = await orphan(0);
    end();
    await eventually('it is listed', () => reapableOrphans().includes(pid));
    assert.equal(reap(pid), true);
  }));
