import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Gate } from '../../src/daemon/shims/gate.js';

test('no more than so many at a time, in their order, whatever becomes of them', async () => {
  const gate = new Gate(2);
  let inside = 0;
  let most = 0;
  const order: number[] = [];
  const results = await Promise.allSettled(
    [...Array(9).keys()].map((n) =>
      gate.run(async () => {
        most = Math.max(most, ++inside);
        order.push(n);
        await turn();
        inside--;
        if (n % 3 === 0) throw new Error(String(n));
        return n;
      }),
    ),
  );
  assert.equal(most, 2);
  assert.deepEqual(order, [...Array(9).keys()]);
  assert.deepEqual(
    results.map(({ status }) => status === 'fulfilled'),
    [...Array(9).keys()].map((n) => n % 3 !== 0),
  );
  assert.equal(await gate.run(() => Promise.resolve('again')), 'again');
});
