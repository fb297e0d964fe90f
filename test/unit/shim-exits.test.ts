import assert from 'node:assert/strict';
import { spawn as nodeSpawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { before, test, type TestContext } from 'node:test';
import { OrphanReaper } from '../../src/shim/task/orphans.js';
import { becomeSubreaper, makePipe, onExit, reap, spawn } from '../../src/sys/index.js';
import { eventually } from '../support/eventually.js';
import { deferred } from '../support/ttrpc-fixture.js';
import { captured, helper, processState } from './fixtures/support.js';

const nowhere = openSync('/dev/null', 'r+');

before(() => becomeSubreaper());

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

function reaping(t: TestContext): OrphanReaper {
  const reaper = new OrphanReaper();
  reaper.start();
  t.after(() => reaper.stop());
  return reaper;
}

test('an orphan that ends is collected', async (t) => {
  reaping(t);
  const { pid, end } = await orphan(3);
  end();
  await eventually('it is gone', () => processState(pid) === undefined);
});

test('orphans that ended before are collected too', async (t) => {
  const { pid, end } = await orphan(3);
  end();
  await eventually('it is a zombie', () => processState(pid) === 'Z');
  reaping(t);
  await eventually('it is gone', () => processState(pid) === undefined);
});

test('many at once', async (t) => {
  reaping(t);
  const orphans = await Promise.all(Array.from({ length: 20 }, () => orphan(0)));
  for (const { end } of orphans) end();
  await eventually('all are gone', () => orphans.every(({ pid }) => processState(pid) === undefined));
});

test('while something may still tell us a pid, a zombie keeps its status for it', async (t) => {
  const reaper = reaping(t);
  const gate = deferred<void>();
  let status: number | undefined;
  const adopted = await orphan(42);
  const stranger = await orphan(1);
  const adoption = reaper.adopting(async () => {
    await gate.promise;
    onExit(adopted.pid, (found) => (status = found));
  });
  adopted.end();
  await eventually('it is a zombie', () => processState(adopted.pid) === 'Z');
  // Sweeps go on meanwhile: they come with every child that ends, and none takes it.
  for (let round = 0; round < 5; round++) {
    assert.equal(await spawn('/bin/sleep', ['sleep', '0.06'], { stdio: [nowhere, nowhere, nowhere] }).exited, 0);
    assert.equal(processState(adopted.pid), 'Z');
  }
  gate.resolve();
  await adoption;
  await eventually('its status is told', () => status !== undefined);
  assert.equal(status, 42);
  stranger.end();
  await eventually('others go after that', () => processState(stranger.pid) === undefined);
});

test('one that ended during an adoption, and was not what that was about, goes when it is over', async (t) => {
  const reaper = reaping(t);
  const gate = deferred<void>();
  const { pid, end } = await orphan(0);
  const adoption = reaper.adopting(() => gate.promise);
  end();
  await eventually('it is a zombie', () => processState(pid) === 'Z');
  gate.resolve();
  await adoption;
  await eventually('it is gone', () => processState(pid) === undefined);
});

test('an adoption keeps what ends while it lasts, and not what had ended before it', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const reaper = reaping(t);
  const sweep = (): void => t.mock.timers.tick(50);
  const first = await orphan(0);
  first.end();
  await eventually('it is a zombie', () => processState(first.pid) === 'Z');
  sweep();
  assert.equal(processState(first.pid), 'Z', 'seen for the first time');
  void reaper.adopting(() => new Promise(() => undefined));
  sweep();
  assert.equal(processState(first.pid), undefined, 'it cannot be what the adoption is about');
  const second = await orphan(0);
  second.end();
  await eventually('it is a zombie', () => processState(second.pid) === 'Z');
  for (let round = 0; round < 5; round++) {
    process.emit('SIGCHLD', 'SIGCHLD');
    sweep();
  }
  assert.equal(processState(second.pid), 'Z');
  // The next test must not find it.
  while (!reap(second.pid)) continue;
});

test('what an adoption gives is handed on, a failure too, which ends it', async (t) => {
  const reaper = reaping(t);
  assert.equal(await reaper.adopting(() => Promise.resolve(7)), 7);
  await assert.rejects(
    reaper.adopting(() => Promise.reject(new Error('mine'))),
    { message: 'mine' },
  );
  const { pid, end } = await orphan(0);
  end();
  await eventually('it is gone', () => processState(pid) === undefined);
});

test('children of node:child_process keep their exit codes', async (t) => {
  reaping(t);
  const codes = await Promise.all(
    Array.from(
      { length: 60 },
      (_, index) =>
        new Promise<number | null>((resolve) => {
          nodeSpawn('/bin/sh', ['-c', `exit ${index}`], { stdio: 'ignore' }).on('exit', resolve);
        }),
    ),
  );
  assert.deepEqual(
    codes,
    Array.from({ length: 60 }, (_, index) => index),
  );
});

test('a stopped reaper collects nothing', async (t) => {
  const reaper = reaping(t);
  reaper.stop();
  const { pid, end } = await orphan(0);
  end();
  await eventually('it is a zombie', () => processState(pid) === 'Z');
  assert.equal(process.listenerCount('SIGCHLD'), 0);
  reaper.start();
  await eventually('it is gone', () => processState(pid) === undefined);
});
