import assert from 'node:assert/strict';
import { test } from 'node:test';
import { json, missed, svg, table } from '../bench/report.js';
import { bestOfOthers, isReached, median, quantile, ratioOf, type Row } from '../bench/statistics.js';

const row = (more: Partial<Row> = {}): Row => ({
  name: 'total',
  unit: 'ms',
  samples: { hawser: [3, 1, 2], 'Go 1.6': [4, 5, 3], 'Go 2.4': [8, 8, 8] },
  ...more,
});

test('the median, in any order, of odd and even numbers, and of none', () => {
  assert.equal(median([9, 1, 5]), 5);
  assert.equal(median([10, 2, 4, 1]), 3);
  assert.equal(median([7]), 7);
  assert.ok(Number.isNaN(median([])));
});

test('a quantile is one of the samples, the last at most', () => {
  const hundred = Array.from({ length: 100 }, (_, i) => 99 - i);
  assert.equal(quantile(hundred, 0.99), 99);
  assert.equal(quantile(hundred, 1 / 4), 25);
  assert.equal(quantile([1, 2], 1), 2);
  assert.ok(Number.isNaN(quantile([], 0.5)));
});

test('samples stay in their order', () => {
  const samples = [3, 1, 2];
  median(samples);
  quantile(samples, 0.5);
  assert.deepEqual(samples, [3, 1, 2]);
});

test('ours is compared with the better of the others: the least, or where more is better the most', () => {
  assert.equal(bestOfOthers(row()), 4);
  assert.equal(ratioOf(row()), 0.5);
  assert.equal(bestOfOthers(row({ less: false })), 8);
  assert.equal(ratioOf(row({ less: false })), 0.25);
});

test('a shim that has not been measured is no better one', () => {
  assert.equal(bestOfOthers(row({ samples: { hawser: [1], 'Go 1.6': [], 'Go 2.4': [2] } })), 2);
  assert.ok(Number.isNaN(ratioOf(row({ samples: { hawser: [1] } }))));
});

test('a goal is a ratio, in the direction of the row, or a bound for ours', () => {
  assert.equal(isReached(row()), undefined);
  assert.equal(isReached(row({ goal: { ratio: 0.5 } })), true);
  assert.equal(isReached(row({ goal: { ratio: 0.49 } })), false);
  assert.equal(isReached(row({ less: false, goal: { ratio: 0.2 } })), true);
  assert.equal(isReached(row({ less: false, goal: { ratio: 0.3 } })), false);
  assert.equal(isReached(row({ goal: { most: 2 } })), true);
  assert.equal(isReached(row({ goal: { most: 1.9 } })), false);
});

test('what was not measured is neither reached nor missed', () => {
  assert.equal(isReached(row({ samples: { hawser: [1] }, goal: { ratio: 1 } })), undefined);
  assert.equal(isReached(row({ samples: { 'Go 1.6': [1] }, goal: { most: 1 } })), undefined);
});

test('the table has a column for each shim, and says what is missing', () => {
  const rows = [
    row({ goal: { ratio: 0.4 }, floor: [1] }),
    row({ name: 'private', unit: 'MB', samples: { hawser: [0.5], 'Go 2.4': [2] }, goal: { most: 0.5 } }),
    row({ name: 'growth', unit: 'MB', samples: { hawser: [1], 'Go 2.4': [-1] } }),
  ];
  assert.deepEqual(
    table(rows, ['hawser', 'Go 1.6', 'Go 2.4'])
      .split('\n')
      .map((line) => line.trim().split(/ {2,}/)),
    [
      ['hawser', 'Go 1.6', 'Go 2.4', 'ratio', 'to reach', 'no shim', 'quartiles'],
      ['total', '2.00 ms', '4.00 ms', '8.00 ms', '0.50', '≤ 0.40', 'no', '1.00'],
      ['private', '0.50 MB', '–', '2.00 MB', '0.25', '≤ 0.5 MB', 'yes'],
      ['growth', '1.00 MB', '–', '-1.00 MB'],
    ],
  );
  assert.deepEqual(missed(rows), ['total']);
});

test('the JSON has samples, medians and the ratio; the plot a bar for each ratio', () => {
  const parsed = JSON.parse(json([row({ goal: { ratio: 0.5 } })], { cpus: 2 })) as {
    cpus: number;
    rows: Record<string, unknown>[];
  };
  assert.equal(parsed.cpus, 2);
  assert.deepEqual(parsed.rows[0]?.medians, { hawser: 2, 'Go 1.6': 4, 'Go 2.4': 8 });
  assert.equal(parsed.rows[0]?.ratio, 0.5);
  assert.equal(parsed.rows[0]?.reached, true);
  const plot = svg([row({ goal: { ratio: 0.5 } }), row({ samples: { hawser: [1] } })], 'a < b');
  assert.equal(plot.match(/<rect x=/g)?.length, 1);
  assert.match(plot, /a &lt; b/);
});
