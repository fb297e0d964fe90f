import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Observations } from '../../src/shim/observe/observations.js';
import type { CallContext } from '../../src/ttrpc/index.js';
import { Timeline } from '../../src/shim/observe/timeline.js';

/** More than are kept. */
const MANY = 200;

test('the text of the moments is what they are, few and many, and after another has gone on with them', () => {
  const timeline = new Timeline();
  assert.equal(timeline.restText(), '[]');
  for (let n = 0; n < MANY; n++) {
    timeline.mark(`"${n}"`, n % 2 ? 'a container' : undefined);
    assert.deepEqual(JSON.parse(timeline.restText()), timeline.rest());
  }
  const next = new Timeline();
  next.mark('woken');
  next.resume(timeline.rest());
  assert.deepEqual(JSON.parse(next.restText()), next.rest());
  assert.equal(next.rest().at(-1)!.what, 'woken');
});

test('the text of all that is observed is what it is', () => {
  const observations = new Observations();
  assert.deepEqual(JSON.parse(observations.restText()), observations.rest());
  const handlers = observations.requests.accountedFor(
    { State: (): object => ({}), Create: (_request: object, _context: CallContext): object => ({}) },
    { onRequest: () => undefined, onCommand: () => undefined },
  );
  handlers.Create({ id: 'c' }, {} as CallContext);
  observations.counters.execsStarted = 3;
  assert.deepEqual(JSON.parse(observations.restText()), observations.rest());
  assert.deepEqual(
    observations.rest().requests,
    { Create: { count: 1, failed: 0 } },
    'what was never asked is left out',
  );
});
