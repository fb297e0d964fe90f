import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { ReadyAnswers } from '../../src/shim/worker/ready-answers.js';

/** So many questions without a change. */
const WORTH = 8;

let kept: number;
let forgotten: number;
let made: number;
let given: number[];
let ready: ReadyAnswers;

beforeEach(() => {
  kept = forgotten = made = 0;
  given = [];
  ready = new ReadyAnswers(
    () => {
      made++;
      return [];
    },
    (count) => given.push(count),
    { keep: () => kept++, forget: () => 10 + forgotten++ },
  );
});

async function ask(times = WORTH): Promise<void> {
  for (let n = 0; n < times; n++) ready.asked();
  await turn();
}

test('answers are made once for who asks over and over, and not for who asks now and then', async () => {
  await ask(WORTH - 1);
  assert.deepEqual([made, kept], [0, 0]);
  await ask(1);
  assert.deepEqual([made, kept], [1, 1]);
});

test('while they are there a question that none of them answers has them made anew by nobody', async () => {
  await ask();
  await ask(3 * WORTH);
  assert.deepEqual([made, kept], [1, 1]);
});

test('a change takes them away, tells how many were given, and begins the count anew', async () => {
  await ask();
  ready.changed();
  assert.deepEqual([forgotten, given], [1, [10]]);
  ready.changed();
  assert.equal(forgotten, 1, 'there was nothing left');
  await ask(WORTH - 1);
  assert.equal(made, 1);
  await ask(1);
  assert.equal(made, 2);
});

test('what changes before they are made is no reason to make them', async () => {
  for (let n = 0; n < WORTH; n++) ready.asked();
  ready.changed();
  await turn();
  assert.equal(made, 0);
});

test('none are made while a request is under way that may change something', async () => {
  await ask();
  ready.begun();
  assert.equal(forgotten, 1);
  await ask(3 * WORTH);
  ready.begun();
  ready.done();
  await ask(3 * WORTH);
  assert.equal(made, 1);
  ready.done();
  await ask();
  assert.equal(made, 2);
});
