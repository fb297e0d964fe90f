import assert from 'node:assert/strict';
import { test } from 'node:test';
import { busy } from '../../src/shim/rest.js';

test('memory is given back once when nothing has been asked for two seconds, and not for a trifle', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const before = globalThis.gc;
  t.after(() => void (globalThis.gc = before));
  let collected = 0;
  globalThis.gc = (() => void collected++) as unknown as typeof globalThis.gc;

  busy();
  t.mock.timers.tick(1_000);
  assert.equal(collected, 0);
  t.mock.timers.tick(1_000);
  assert.equal(collected, 1, 'the first rest, after the start');

  for (let n = 0; n < 49; n++) busy();
  t.mock.timers.tick(5_000);
  assert.equal(collected, 1, '49 requests are not worth it');

  busy();
  t.mock.timers.tick(5_000);
  assert.equal(collected, 2);
});
