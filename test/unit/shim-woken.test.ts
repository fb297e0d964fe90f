/** How long a shim waits before it sleeps, once it has been woken (src/shim/worker/sleep.ts). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { idleMsOf, woken } from '../../src/shim/worker/sleep.js';

const IDLE_MS = 5_000;

/** What one that has slept for so long waits, having waited for so long the last time. */
function waits(sleptMs: number, idleMs = IDLE_MS, isForked = true): number {
  return woken({ times: 3, idleMs, since: Date.now() - sleptMs }, IDLE_MS, 'a request', isForked).idleMs;
}

test('one that is woken at once waits twice as long, up to five minutes', () => {
  assert.equal(waits(500), 10_000);
  assert.equal(waits(500, 20_000), 40_000);
  assert.equal(waits(500, 200_000), 300_000);
});

test('one that somebody runs something in every ten seconds sleeps in between, whatever it has waited before', () => {
  assert.equal(waits(4_000), IDLE_MS);
  assert.equal(waits(4_000, 40_000), IDLE_MS);
});

test('one that is started anew each time, as there is no zygote, stays awake for that', () => {
  assert.equal(waits(4_000, IDLE_MS, false), 10_000);
  assert.equal(waits(70_000, 40_000, false), IDLE_MS);
});

test('what has woken it is noted, and how often it has slept', () => {
  const { times, wokenBy } = woken({ times: 3, idleMs: IDLE_MS, since: 0 }, IDLE_MS, 'a request', true);
  assert.deepEqual([times, wokenBy], [3, 'a request']);
});

test('what is set', () => {
  assert.deepEqual([undefined, '', '0.3', '60', 'off'].map(idleMsOf), [5_000, 5_000, 300, 60_000, undefined]);
});
