/** What a worker leaves with its monitor, and what becomes of it when it does not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CannotRest, Found, Leaving } from '../../src/shim/worker/leaving.js';
import { leavesNothingOpen } from './fixtures/support.js';

test('places are in their order, and a copy goes into the place that it was told, or wakes where it has none', () => {
  const leaving = new Leaving();
  const { both } = leaving.keepAll({ both: 7 });
  const source = leaving.keep(8);
  const client = leaving.wakes(9);
  const [bounded, full, unknown] = [leaving.keep(10), leaving.keep(11), leaving.keep(12)];
  leaving.copies(source, { place: both! });
  leaving.copies(bounded, { place: both!, most: 100 });
  leaving.copies(full, { place: both!, most: 0 });
  leaving.copies(unknown, undefined);
  assert.deepEqual(leaving.all, [
    { fd: 7, how: 'kept' },
    { fd: 8, how: 'copied', into: 0, most: undefined },
    { fd: 9, how: 'wakes' },
    { fd: 10, how: 'copied', into: 0, most: 100 },
    { fd: 11, how: 'wakes' },
    { fd: 12, how: 'wakes' },
  ]);
  const held = [Buffer.of(), Buffer.from('x'), Buffer.of()];
  const found = new Found({ fds: [17, 18, 19], held, copied: [0, 5, 0], shared: [] });
  assert.deepEqual([found.fd(client), found.all({ both: both! })], [19, { both: 17 }]);
  assert.deepEqual(found.copied(source), { held: held[1], bytes: 5 });
});

test('what was opened to be watched is closed when it is given up', async () => {
  await leavesNothingOpen(() => {
    const leaving = new Leaving();
    leaving.changes('/proc/self/mounts');
    leaving.changes('/proc/self/mounts');
    leaving.nowhere();
    leaving.giveUp();
    leaving.giveUp();
  });
});

test('more descriptors than go with one message cannot be left', () => {
  const leaving = new Leaving();
  for (let fd = 0; fd < 250; fd++) leaving.keep(fd);
  assert.throws(() => leaving.keep(250), CannotRest);
});
