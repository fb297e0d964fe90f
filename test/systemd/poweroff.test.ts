/** Leaves containers behind for a machine that is about to be switched off (test/vm/systemd.ts). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { docker, IMAGE, shimOf, useShim, type ShimKind } from './system.js';

const kind = (process.env.HAWSER_TEST_SHIM ?? 'hawser') as ShimKind;

test(`five containers of ${kind}'s shim run`, async () => {
  await useShim(kind);
  for (let one = 0; one < 5; one++) {
    // A shell that waits for a program of its own hears the signal when that has ended, and not at once.
    const id = docker('run', '-d', IMAGE, 'sh', '-c', 'trap "exit 0" TERM; sleep 1000 & wait');
    assert.equal(shimOf(id), kind);
  }
});
