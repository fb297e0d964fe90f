import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runInNewContext } from 'node:vm';
import { compact, Rest } from '../../src/shim/worker/rest.js';

test('memory is given back when nothing has been asked for two seconds, once more after eight, and not for a trifle', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let collected = 0;
  let own = 10 << 20;
  const options = { ownBytes: (): number => own, giveBack: (times: number): void => void (collected += times) };
  const rest = new Rest(options);

  rest.busy();
  t.mock.timers.tick(1_000);
  assert.equal(collected, 0);
  t.mock.timers.tick(1_000);
  assert.equal(collected, 1, 'the first rest, after the start');
  t.mock.timers.tick(5_000);
  assert.equal(collected, 1);
  t.mock.timers.tick(1_000);
  assert.equal(collected, 3, 'the second look, which looks twice');
  t.mock.timers.tick(20_000);
  assert.equal(collected, 3, 'that was all');

  for (let n = 0; n < 49; n++) rest.busy();
  t.mock.timers.tick(20_000);
  assert.equal(collected, 3, '49 requests are not worth it');

  rest.busy();
  t.mock.timers.tick(20_000);
  assert.equal(collected, 3, 'nor are fifty, where nothing has grown');

  own += 2 << 20;
  for (let n = 0; n < 50; n++) rest.busy();
  t.mock.timers.tick(2_000);
  assert.equal(collected, 4);
  own += 2 << 20;
  for (let n = 0; n < 50; n++) rest.busy();
  t.mock.timers.tick(2_000);
  assert.equal(collected, 5, 'much that is asked between the two is looked at as at first');

  for (let n = 0; n < 50; n++) rest.busy();
  rest.stop();
  t.mock.timers.tick(20_000);
  assert.equal(collected, 5);

  own = 4 << 20;
  const forked = new Rest({ ...options, isForked: true });
  forked.busy();
  t.mock.timers.tick(20_000);
  assert.equal(collected, 5, 'what is shared with a zygote is best left as it is');
});

test('what is collected needs no flag of Node, and leaves none behind', async () => {
  const weak = new WeakRef({});
  // What a WeakRef has been asked for, or made of, lives until the turn is over.
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(globalThis.gc, undefined);
  compact();
  assert.equal(weak.deref(), undefined);
  assert.equal(runInNewContext('typeof gc'), 'undefined');
});
