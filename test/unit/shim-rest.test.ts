import assert from 'node:assert/strict';
import { test } from 'node:test';
import { busy } from '../../src/shim/rest.js';

test('garbage is collected once when nothing has been asked for two seconds, and not for a trifle', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const before = globalThis.gc;
  t.after(() => void (globalThis.gc = before));
  let collected = 0;
  globalThis.gc = (() => void collected++) as unknown as typeof globalThis.gc;
  let used = 5 << 20;
  t.mock.method(process, 'memoryUsage', () => ({ heapUsed: used }));

  busy();
  t.mock.timers.tick(1_000);
  assert.equal(collected, 0);
  t.mock.timers.tick(1_000);
  assert.equal(collected, 1);

  used += 1 << 20;
  busy();
  t.mock.timers.tick(5_000);
  assert.equal(collected, 1, 'a megabyte is not worth it');

  used += 1 << 20;
  busy();
  t.mock.timers.tick(5_000);
  assert.equal(collected, 2);
});
