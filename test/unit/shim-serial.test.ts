import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Serial } from '../../src/shim/task/queue.js';
import { deferred } from '../support/ttrpc-fixture.js';

/** Nothing here is asked for by a request. */
const nobody = { current: undefined };

test('one after the other, in the order of asking', async () => {
  const serial = new Serial(nobody);
  const log: string[] = [];
  const gates = [deferred<void>(), deferred<void>(), deferred<void>()];
  const runs = gates.map(({ promise }, index) =>
    serial.run(async () => {
      log.push(`begin ${index}`);
      await promise;
      log.push(`end ${index}`);
      return index;
    }),
  );
  // The later ones are ready first.
  gates[2]!.resolve();
  gates[1]!.resolve();
  await Promise.resolve();
  gates[0]!.resolve();
  assert.deepEqual(await Promise.all(runs), [0, 1, 2]);
  assert.deepEqual(log, ['begin 0', 'end 0', 'begin 1', 'end 1', 'begin 2', 'end 2']);
});

test('a failure is the asker’s alone, and the next goes on', async () => {
  const serial = new Serial(nobody);
  const failed = serial.run(() => Promise.reject(new Error('mine')));
  const thrown = serial.run(() => {
    throw new Error('at once');
  });
  const next = serial.run(() => Promise.resolve('fine'));
  await assert.rejects(failed, { message: 'mine' });
  await assert.rejects(thrown, { message: 'at once' });
  assert.equal(await next, 'fine');
});

test('nothing runs within the call', async () => {
  const serial = new Serial(nobody);
  let ran = false;
  const run = serial.run(() => {
    ran = true;
    return Promise.resolve();
  });
  assert.equal(ran, false);
  await run;
  assert.equal(ran, true);
});

test('how many run or wait', async () => {
  const serial = new Serial(nobody);
  assert.equal(serial.pending, 0);
  const gate = deferred<void>();
  const runs = [
    serial.run(() => gate.promise),
    serial.run(() => Promise.reject(new Error('x'))).catch(() => undefined),
  ];
  assert.equal(serial.pending, 2);
  gate.resolve();
  await Promise.all(runs);
  assert.equal(serial.pending, 0);
});
