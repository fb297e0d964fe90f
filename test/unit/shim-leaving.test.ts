/** What a worker leaves with its monitor, and what becomes of it when it does not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CannotRest, Found, Leaving } from '../../src/shim/worker/leaving.js';
import { leavesNothingOpen } from './fixtures/support.js';

test('places are in their order, and a copy goes into the place that it was told', () => {
  const leaving = new Leaving();
  const { both } = leaving.keepAll({ both: 7 });
  const source = leaving.keep(8);
  const client = leaving.wakes(9);
  leaving.copies(source, both!);
  assert.deepEqual(leaving.all, [
    { fd: 7, how: 'kept' },
    { fd: 8, how: 'copied', into: 0 },
    { fd: 9, how: 'wakes' },
  ]);
  const found = new Found({ fds: [17, 18, 19], shared: [], held: [Buffer.of(), Buffer.from('x'), Buffer.of()] });
  assert.deepEqual([found.fd(client), found.all({ both: both! }), String(found.held(source))], [19, { both: 17 }, 'x']);
});

test('what was opened to be watched is closed when it is given up', async () => {
  await leavesNothingOpen(() => {
    const leaving = new Leaving();
    leaving.changes('/proc/self/mounts');
    leaving.changes('/proc/self/mounts');
    leaving.giveUp();
    leaving.giveUp();
  });
});

test('more descriptors than go with one message cannot be left', () => {
  const leaving = new Leaving();
  for (let fd = 0; fd < 250; fd++) leaving.keep(fd);
  assert.throws(() => leaving.keep(250), CannotRest);
});
