import assert from 'node:assert/strict';
import { test } from 'node:test';
import { google, millis, timestamp, ZERO_TIME } from '../../src/api/index.js';

const { Timestamp } = google.protobuf;

test('seconds and nanoseconds of a moment', () => {
  for (const [ms, seconds, nanos] of [
    [0, 0, 0],
    [1, 0, 1_000_000],
    [999, 0, 999_000_000],
    [1000, 1, 0],
    [1_700_000_000_123, 1_700_000_000, 123_000_000],
    [-1, -1, 999_000_000],
    [-1000, -1, 0],
    [1.5, 0, 1_500_000],
  ] as const)
    assert.deepEqual(timestamp(ms), { seconds, nanos }, `${ms}`);
});

test('nanoseconds never reach a second', () => {
  for (const ms of [999.9999999, 1_700_000_000_999.9999]) {
    const { nanos, seconds } = timestamp(ms);
    assert.ok(nanos! < 1_000_000_000, `${ms} became ${Number(seconds)} s ${nanos} ns`);
  }
});

test('what has not happened is the year 1', () => {
  assert.deepEqual(timestamp(undefined), { seconds: -62135596800, nanos: 0 });
  assert.equal(new Date(Number(ZERO_TIME.seconds) * 1000).toISOString(), '0001-01-01T00:00:00.000Z');
});

test('back again, also from the wire', () => {
  for (const ms of [0, 1, 999, 1_700_000_000_123, -1, -62135596799_000]) {
    assert.equal(millis(timestamp(ms)), ms);
    assert.equal(millis(Timestamp.decode(Timestamp.encode(timestamp(ms)).finish())), ms);
  }
});

test('a zero or missing time is no time', () => {
  assert.equal(millis(ZERO_TIME), undefined);
  assert.equal(millis(Timestamp.decode(Timestamp.encode(ZERO_TIME).finish())), undefined);
  assert.equal(millis(undefined), undefined);
  assert.equal(millis(null), undefined);
});
