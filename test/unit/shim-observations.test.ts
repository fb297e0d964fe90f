/** What a service tells of itself is its own, though there be another in the same process. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Observations } from '../../src/shim/observe/observations.js';
import type { CallContext } from '../../src/ttrpc/index.js';
import { deferred } from '../support/ttrpc-fixture.js';

/** Nothing here looks at it. */
const context = {} as CallContext;

test('one service knows nothing of what another is asked, waits for, runs and counts', async () => {
  const [rehearsal, own] = [new Observations(), new Observations()];
  const [reply, opened] = [deferred<object>(), deferred<void>()];
  const calls: string[] = [];
  const { Create, State } = rehearsal.requests.accountedFor(
    {
      Create: (_: { id: string }, __: CallContext) => reply.promise,
      State: (_: { id: string }, __: CallContext) => ({}),
    },
    { onRequest: () => calls.push('request'), onCommand: () => calls.push('command') },
  );
  const created = Create({ id: 'c' }, context);
  State({ id: 'c' }, context);
  const waited = rehearsal.waits.for('mount', '/rootfs', opened.promise);
  rehearsal.commands.begins('create');
  rehearsal.commands.ended('create', 30, false);
  rehearsal.counters.execsStarted++;

  assert.deepEqual(calls, ['request', 'command', 'request']);
  assert.deepEqual(
    rehearsal.requests.pending().map(({ method, id }) => `${method} ${id}`),
    ['Create c'],
  );
  assert.deepEqual(
    rehearsal.timeline.moments().map(({ what }) => what),
    ['Create: asked', 'runtime create: begins', 'runtime create: ended'],
  );
  assert.equal(rehearsal.waits.pending().length, 1);
  assert.deepEqual(
    [
      own.requests.pending(),
      own.requests.totals().size,
      own.requests.current,
      own.timeline.moments(),
      own.waits.pending(),
      own.commands.byName().size,
    ],
    [[], 0, undefined, [], [], 0],
  );
  assert.deepEqual(own.counters, { execsStarted: 0, execsFinished: 0, bytesCopied: 0, answeredReady: 0 });

  reply.resolve({});
  opened.resolve();
  await Promise.all([created, waited]);
  assert.deepEqual([rehearsal.requests.pending(), rehearsal.waits.pending()], [[], []]);
});
