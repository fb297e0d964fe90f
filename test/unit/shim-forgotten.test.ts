import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Forgotten } from '../../src/shim/worker/forgotten.js';
import { eventually } from '../support/eventually.js';

test('field 7: a shim that was never given a container ends after a while, once, and not while it is in use', async (t) => {
  let unused = false;
  let ends = 0;
  let asked = 0;
  const forgotten = new Forgotten(
    () => {
      asked++;
      return unused;
    },
    () => {
      ends++;
    },
    { neverUsedMs: 5, emptyMs: 1_000_000 },
  );
  t.after(() => forgotten.stop());
  await eventually('it was asked several times', () => asked > 3);
  assert.equal(ends, 0);
  unused = true;
  await eventually('it ends', () => ends > 0);
  const before = asked;
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.deepEqual([ends, asked], [1, before]);
});

test('field 8, field 9: a shim that lost its last container, and whose Shutdown got lost, ends soon', async (t) => {
  let ends = 0;
  const forgotten = new Forgotten(
    () => true,
    () => {
      ends++;
    },
    { neverUsedMs: 1_000_000, emptyMs: 5 },
  );
  t.after(() => forgotten.stop());
  assert.equal(ends, 0);
  forgotten.emptied();
  forgotten.emptied();
  await eventually('it ends', () => ends > 0);
  assert.equal(ends, 1);
});

test('field 7: clients that are connected are waited for longer, and not for ever', async (t) => {
  const asked: boolean[] = [];
  const forgotten = new Forgotten(
    (forLong) => {
      asked.push(forLong);
      return forLong;
    },
    () => undefined,
    { neverUsedMs: 60, emptyMs: 10 },
  );
  t.after(() => forgotten.stop());
  forgotten.emptied();
  await eventually('it has been long', () => asked.includes(true));
  assert.equal(asked[0], false);
  assert.equal(asked.at(-1), true);
});

test('a stopped one asks nothing and ends nothing', async () => {
  const forgotten = new Forgotten(
    () => assert.fail(),
    () => assert.fail(),
    { neverUsedMs: 1, emptyMs: 1 },
  );
  forgotten.emptied();
  forgotten.stop();
  await new Promise((resolve) => setTimeout(resolve, 20));
});
