/** When what a worker knows is handed to its monitor: see src/shim/worker/checkpoints.ts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Checkpoints } from '../../src/shim/worker/checkpoints.js';

/** What was known each time it was handed over. */
function setup(): { known: string[]; kept: string[]; checkpoints: Checkpoints } {
  const known: string[] = [];
  const kept: string[] = [];
  return { known, kept, checkpoints: new Checkpoints(() => kept.push(known.join())) };
}

/** As an exit is seen and published: in one turn of the loop, with awaits in between. */
async function whatFollows(known: string[], checkpoints: Checkpoints): Promise<void> {
  for (let step = 0; step < 10; step++) await Promise.resolve();
  known.push('published');
  checkpoints.soon();
}

test('a change is kept at once, in one turn with others; an exit with what follows from it', async () => {
  for (const [first, kept] of [
    ['soon', ['seen', 'seen,published']],
    ['later', ['seen,published']],
  ] as const) {
    const { checkpoints, known, kept: all } = setup();
    // Only in a callback of the loop's, as an exit is seen, does the next tick come before what was promised.
    setImmediate(() => {
      known.push('seen');
      checkpoints[first]();
      void whatFollows(known, checkpoints);
    });
    await nextTurn();
    await nextTurn();
    assert.deepEqual(all, kept, first);
    await nextTurn();
    assert.equal(all.length, kept.length);
  }
});

test('an exit from which nothing follows is kept in the same turn, and before anything is sent', async () => {
  const { checkpoints, known, kept } = setup();
  await nextTurn();
  known.push('seen');
  checkpoints.later();
  await nextTurn();
  assert.deepEqual(kept, ['seen']);
  checkpoints.later();
  checkpoints.ifDue();
  assert.equal(kept.length, 2);
  await nextTurn();
  assert.equal(kept.length, 2);
  checkpoints.ifDue();
  assert.equal(kept.length, 2, 'nothing has changed');
});

test('after the end nothing is kept', async () => {
  const { checkpoints, kept } = setup();
  checkpoints.soon();
  checkpoints.later();
  checkpoints.stop();
  await nextTurn();
  checkpoints.later();
  checkpoints.now();
  await nextTurn();
  assert.deepEqual(kept, []);
});
